// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package spawn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"nsenter-cpp.example/internal/testutil"
	"nsenter-cpp.example/nsenter/bootstrap"
)

// TestEachStepSaysWhatFailed, in words that are exact, and nothing is left of it.
func TestEachStepSaysWhatFailed(t *testing.T) {
	testutil.RequireRoot(t)
	ended := exec.Command("/bin/true")
	if err := ended.Start(); err != nil {
		t.Fatal(err)
	}
	gone := process(t, ended.Process.Pid)
	if err := ended.Wait(); err != nil {
		t.Fatal(err)
	}
	self := process(t, os.Getpid())
	testutil.NothingLeft(t)
	withoutChecks(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	fd, zero, groups := int(null.Fd()), 0, make([]uint32, 70000)
	everything := ^uint64(0)
	two := []Namespace{{bootstrap.Net, fd, "/a"}, {bootstrap.UTS, fd, "/b"}}
	for _, c := range []struct {
		s     Spec
		want  string
		errno syscall.Errno
	}{
		{Spec{Target: gone, Join: bootstrap.Net | bootstrap.UTS},
			fmt.Sprintf("failed to join net namespace of process %d: No such process", gone.Pid), syscall.ESRCH},
		{Spec{Target: self, Join: bootstrap.User},
			fmt.Sprintf("failed to join user namespace of process %d: Invalid argument", self.Pid), syscall.EINVAL},
		{Spec{Joins: two}, "failed to join net namespace /a: Invalid argument", syscall.EINVAL},
		{Spec{Create: 1}, "failed to create namespaces: : Invalid argument", syscall.EINVAL},
		{Spec{Files: []int{0, 1, 777}}, "failed to put a file on fd 2: Bad file descriptor", syscall.EBADF},
		{Spec{Files: []int{fd}, Terminal: &zero},
			"failed to make fd 0 the controlling terminal: Inappropriate ioctl for device", syscall.ENOTTY},
		{Spec{Root: &fd}, "failed to change the root directory: Not a directory", syscall.ENOTDIR},
		{Spec{DirFD: &fd}, "failed to change the working directory: Not a directory", syscall.ENOTDIR},
		{Spec{Dir: "/no/such"}, "chdir /no/such: no such file or directory", syscall.ENOENT},
		{Spec{Limits: []Limit{{Resource: 99}}}, "failed to set the resource limit 99: Invalid argument", syscall.EINVAL},
		{Spec{Groups: &groups}, "failed to set the supplementary groups: Invalid argument", syscall.EINVAL},
		{Spec{IDs: &IDs{0, 0xffffffff}, Path: "true"}, "", 0}, // -1 leaves it
		{Spec{Capabilities: &Capabilities{Permitted: everything, Effective: everything}},
			"failed to set capabilities: Operation not permitted", syscall.EPERM},
		{Spec{Capabilities: &Capabilities{Bounding: everything, Permitted: 1, Ambient: 4}},
			"failed to raise ambient capability 2: Operation not permitted", syscall.EPERM},
		{Spec{DeathSignal: 99}, "failed to ask for signal 99 at the caller's end: Invalid argument", syscall.EINVAL},
		{Spec{Seccomp: []syscall.SockFilter{{Code: 0xffff}}},
			"failed to install the seccomp filter: Invalid argument", syscall.EINVAL},
		{Spec{Path: "no-such-program"}, `exec: "no-such-program": executable file not found in $PATH`, 0},
		{Spec{Path: "/no/such"}, `exec: "/no/such": stat /no/such: no such file or directory`, syscall.ENOENT},
		{Spec{Path: "/dev/null"}, `exec: "/dev/null": permission denied`, syscall.EACCES},
		{Spec{Path: "/dev"}, `exec: "/dev": is a directory`, syscall.EISDIR},
		{Spec{Path: "a", Program: &fd}, "exec the caller's a: permission denied", syscall.EACCES},
		{Spec{Path: "a\x00b"}, `spawn: a NUL in "a\x00b": invalid argument`, syscall.EINVAL},
		{Spec{Seccomp: make([]syscall.SockFilter, 70000)},
			"spawn: a seccomp filter of 70000 instructions: invalid argument", syscall.EINVAL},
	} {
		if c.s.Path == "" {
			c.s.Path = "true"
		}
		p, err := Start(testutil.Deadline(t, short), &c.s)
		if p != nil {
			wait(p.Pidfd)
			syscall.Close(p.Pidfd)
		}
		if c.want == "" && err == nil {
			continue
		}
		if err == nil || err.Error() != c.want || c.errno != 0 && !errors.Is(err, c.errno) {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
}

// TestLookUp: as exec.LookPath would do it in the same place.
func TestLookUp(t *testing.T) {
	testutil.RequireRoot(t)
	testutil.NothingLeft(t)
	dir := t.TempDir()
	for name, mode := range map[string]fs.FileMode{"plain": 0o644, "script": 0o755, "missing": 0o755, "later": 0o755} {
		text := "#!/bin/sh\necho here $0\n"
		if name == "missing" {
			text = "#!/no/such/interpreter\n"
		}
		if err := os.WriteFile(dir+"/"+name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(dir+"/later.d", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir+"/later.d/later", 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, c := range []struct{ path, name, output, err string }{
		{dir, "script", "here " + dir + "/script\n", ""},
		{"/no/such:/dev/null:" + dir + "/later.d:" + dir, "later", "here " + dir + "/later\n", ""},
		{dir, "plain", "", `exec: "plain": executable file not found in $PATH`},
		{dir + ":/bin", "missing", "", "exec " + dir + "/missing: no such file or directory"},
		{":/bin", "script", "", `exec: "script": cannot run executable found relative to current directory`},
		{".:" + dir, "script", "", `exec: "script": cannot run executable found relative to current directory`},
		{"", "script", "", `exec: "script": executable file not found in $PATH`},
	} {
		output, _, err := run(t, Spec{Path: c.name, Env: []string{"A=1", "PATH=" + c.path, "PATH=/bin"}})
		if output != c.output || c.err == "" && err != nil || c.err != "" && (err == nil || err.Error() != c.err) {
			t.Errorf("%q in %q: got %q, %v", c.name, c.path, output, err)
		}
	}
	if _, _, err := run(t, Spec{Path: "no-such-program"}); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	expect(t, Spec{Path: "true"}, "") // by DefaultPath
}

// TestWhereMemoryIsNotShared is the table of docs/decisions/0017-programs-that-share-memory.md.
func TestWhereMemoryIsNotShared(t *testing.T) {
	confined := container(t, five, "")
	privileged := process(t, testutil.Fixture(t, uintptr(five), ""))
	rootless := process(t, testutil.Fixture(t, uintptr(five|bootstrap.User), ""))
	file, err := os.Open(fmt.Sprintf("/proc/%d/ns/pid", confined.Pid))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	pid := []Namespace{{bootstrap.PID, int(file.Fd()), file.Name()}}
	less := &Capabilities{Bounding: 1, Permitted: 1, Effective: 1}
	for name, c := range map[string]struct {
		s    Spec
		want Reason
	}{
		"a container":                         {Spec{Target: confined, Join: five}, 0},
		"a rootless container":                {Spec{Target: rootless, Join: five}, 0},
		"a privileged container":              {Spec{Target: privileged, Join: five}, TargetMayTrace},
		"a privileged container's network":    {Spec{Target: privileged, Join: bootstrap.Net | bootstrap.Mount}, 0},
		"a pid namespace by descriptor":       {Spec{Joins: pid}, UnknownTarget},
		"one of which a process is known":     {Spec{Joins: pid, Member: confined.Pid}, 0},
		"one of which another is":             {Spec{Joins: pid, Member: privileged.Pid}, UnknownTarget},
		"a user namespace":                    {Spec{Target: rootless, Join: bootstrap.User}, OwnNamespace},
		"a new user namespace":                {Spec{Create: bootstrap.User}, OwnNamespace},
		"a time namespace":                    {Spec{Create: bootstrap.Time}, OwnNamespace},
		"new namespaces":                      {Spec{Create: five}, 0},
		"less privileges in a container":      {Spec{Target: confined, Join: five, Capabilities: less}, LessPrivileged},
		"another user in a container":         {Spec{Target: confined, Join: five, IDs: &IDs{1, 0}}, LessPrivileged},
		"less privileges where the caller is": {Spec{Capabilities: less}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c.s.Path = "/bin/true"
			p, err := Start(testutil.Deadline(t, short), &c.s)
			if p != nil {
				wait(p.Pidfd)
				syscall.Close(p.Pidfd)
			}
			var unsafe *Unsafe
			if c.want == 0 && err != nil || c.want != 0 && (!errors.As(err, &unsafe) || unsafe.Reason != c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	for reason := NotHere; reason <= ShownByTheKernel; reason++ {
		if text := reason.String(); strings.HasPrefix(text, "reason") {
			t.Error(text)
		}
	}
}

func TestMayTrace(t *testing.T) {
	status := func(inh, prm, bnd string) []byte {
		return []byte("Name:\tCapBnd:\nCapInh:\t" + inh + "\nCapPrm:\t" + prm + "\nCapEff:\t0\nCapBnd:\t" + bnd + "\n")
	}
	for want, texts := range map[bool][][]byte{
		false: {status("0", "0", "0"), status("0", "000001fffef7ffff", "000001fffef7ffff")},
		true: {status("80000", "0", "0"), status("0", "80000", "0"), status("0", "0", "80000"), nil, status("0", "x", "0"),
			[]byte("Name:\tx\nCapInh:\t0\nCapPrm:\t0\n")},
	} {
		for _, text := range texts {
			if mayTrace(text) != want {
				t.Errorf("%q: not %v", text, want)
			}
		}
	}
}

func TestCallersWhoAreNotRoot(t *testing.T) {
	testutil.RequireRoot(t)
	for _, c := range []struct {
		name string
		sys  syscall.SysProcAttr
		want string
	}{
		{"user", syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1234, Gid: 1234}}, "the caller is not root"},
		{"root of a user namespace", syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{HostID: 0, Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: 0, Size: 1}},
		}, "the caller is not in the initial user namespace"},
	} {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env, cmd.SysProcAttr, cmd.Dir = append(os.Environ(), envRole+"=new mount"), &c.sys, "/"
		output, err := cmd.CombinedOutput()
		if want := "spawn: memory cannot be shared: " + c.want + "\n"; err == nil || string(output) != want {
			t.Errorf("%s: %v, %q, want %q", c.name, err, output, want)
		}
	}
}

func init() {
	roles["new mount"] = func() error {
		_, err := Start(context.Background(), &Spec{Create: bootstrap.Mount, Path: "true"})
		return err
	}
}

// TestAContainerThatHoldsUp has a file system that never answers, once its requests are read and once they are not.
// The call ends with its context in both cases, the caller stays hidden as long as the process has its memory, and then
// everything is as it was.
func TestAContainerThatHoldsUp(t *testing.T) {
	testutil.RequireRoot(t)
	for _, reads := range []bool{false, true} {
		t.Run(fmt.Sprintf("reads %v", reads), func(t *testing.T) {
			testutil.NothingLeft(t)
			showAgain()
			dir, server := neverAnswers(t, reads)
			start := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer cancel()
			_, err := Start(ctx, &Spec{Path: "true", Dir: dir + "/x"})
			took := time.Since(start)
			if !errors.Is(err, context.DeadlineExceeded) || took > patience+5*time.Second {
				t.Errorf("%v after %v", err, took)
			}
			if is := dumpability(); reads && is != 0 {
				t.Errorf("the caller's dumpable flag is %d while a process in the container has its memory", is)
			}
			expect(t, shell("echo another"), "another\n")
			syscall.Close(server) // its end; the kernel lets go
			for end := time.Now().Add(short); dumpability() != dumpable; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("the caller stays hidden")
				}
			}
		})
	}
}

// neverAnswers mounts a FUSE file system, of which only the first request, by which it begins, is answered.
func neverAnswers(t *testing.T, reads bool) (dir string, server int) {
	t.Helper()
	server, err := syscall.Open("/dev/fuse", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	testutil.Require(t, err == nil, "/dev/fuse")
	dir = t.TempDir()
	data := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", server)
	if err := syscall.Mount("spawn", dir, "fuse", 0, data); err != nil {
		syscall.Close(server)
		testutil.Require(t, false, "FUSE: "+err.Error())
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	buffer := make([]byte, 1<<17)
	if _, err := syscall.Read(server, buffer); err != nil {
		t.Fatal(err)
	}
	const headerSize, initSize = 16, 64
	answer := make([]byte, headerSize+initSize)
	*(*uint32)(unsafe.Pointer(&answer[0])) = uint32(len(answer))
	copy(answer[8:16], buffer[8:16])                              // which request
	*(*uint32)(unsafe.Pointer(&answer[headerSize])) = 7           // the version of the protocol
	*(*uint32)(unsafe.Pointer(&answer[headerSize+4])) = 31        // its minor version
	*(*uint32)(unsafe.Pointer(&answer[headerSize+20])) = 64 << 10 // the most that is written at once
	if _, err := syscall.Write(server, answer); err != nil {
		t.Fatal(err)
	}
	if reads {
		done := make(chan struct{})
		go func() {
			defer close(done)
			syscall.Read(server, buffer)
		}()
		t.Cleanup(func() { <-done })
	}
	return dir, server
}
