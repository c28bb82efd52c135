// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"nsenter-cpp.example/internal/testutil"
)

// confined is a fixture that has what containers usually have: not CAP_SYS_PTRACE.
func confined(t testing.TB, kinds Namespaces, script string) int {
	t.Helper()
	requireRoot(t)
	_, err := exec.LookPath("setpriv")
	testutil.Require(t, err == nil, "setpriv(1)")
	return fixture(t, kinds, script+
		"\nexec setpriv --bounding-set=-sys_ptrace sh -c 'echo ready; exec 1>&-; exec sleep 600'")
}

// TestProgramsAreTheSameEitherWay starts programs in processes that share the caller's memory, and the same by a child.
// Neither the program nor its caller can tell which it was.
func TestProgramsAreTheSameEitherWay(t *testing.T) {
	kinds := Mount | PID | UTS | Net | IPC
	target := confined(t, kinds, "mount --make-rprivate /\nmount -t proc proc /proc\nhostname up-there")
	program := filepath.Join(t.TempDir(), "static")
	buildStatic(t, program)
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	uts, err := os.Open(fmt.Sprintf("/proc/%d/ns/uts", target))
	if err != nil {
		t.Fatal(err)
	}
	defer uts.Close()
	nothingLeft(t)
	inside := Of(target, kinds)
	look := "hostname; pwd; id; umask; ulimit -a; env; tr '\\0' , </proc/$$/cmdline; ls /proc/$$/fd; " +
		"readlink /proc/$$/fd/3 /proc/$$/fd/4 /proc/$$/fd/5; ps -o sid= $$ | grep -c $$; " +
		"grep -E '^(Cap|Sig[BIC]|NoNewPrivs|Seccomp:)' /proc/self/status; cat; exit 3"
	for name, c := range map[string]struct {
		proc Proc
		cmd  Cmd
	}{
		"nothing":     {Proc{}, Cmd{Args: []string{"sh", "-c", look}}},
		"a container": {Proc{Target: inside}, Cmd{Args: []string{"sh", "-c", look, "a", "b c"}}},
		"all":         {Proc{Target: Of(target, All)}, Cmd{Args: []string{"sh", "-c", look}}},
		"files": {Proc{Target: inside, ExtraFiles: []*os.File{file, nil, file}, Dir: "usr/../tmp"},
			Cmd{Args: []string{"sh", "-c", look}}},
		"environment": {Proc{Target: FD(UTS, uts), Env: []string{"B=1", "GODEBUG=x=1", "A=2", "B=3", "PATH=/bin", "C"}},
			Cmd{Args: []string{"sh", "-c", look}}},
		"new":             {Proc{New: kinds}, Cmd{Args: []string{"sh", "-c", "echo $$; hostname; ls /sys/class/net"}}},
		"from the caller": {Proc{Target: inside}, Cmd{Path: program, FromCaller: true, Args: []string{"a", "b"}}},
		"no name":         {Proc{Target: inside}, Cmd{Path: "no-such-program"}},
		"no path":         {Proc{Target: inside}, Cmd{Path: "/no/such/program"}},
		"no program":      {Proc{Target: inside}, Cmd{Path: "/dev/null"}},
		"a directory":     {Proc{Target: inside}, Cmd{Path: "/dev"}},
		"no directory":    {Proc{Target: inside, Dir: "/no/such"}, Cmd{Path: "true"}},
		"no PATH":         {Proc{Target: inside, Env: []string{"PATH="}}, Cmd{Path: "true"}},
		"relative":        {Proc{Target: inside, Env: []string{"PATH=.:/bin"}, Dir: "/bin"}, Cmd{Path: "true"}},
		"killed":          {Proc{}, Cmd{Args: []string{"sh", "-c", "kill -KILL $$"}}},
	} {
		t.Run(name, func(t *testing.T) {
			var said [2]string
			var errs [2]error
			for i, shares := range []bool{false, true} {
				p, cmd := c.proc, c.cmd
				p.Stdin = strings.NewReader("in\n")
				cmd.Proc, cmd.ShareMemory = &p, shares
				if cmd.Path == "" {
					cmd.Path = "sh"
				}
				output, err := cmd.CombinedOutput(deadline(t, short))
				said[i], errs[i] = string(output), err
				if started := cmd.program != nil; err == nil && started != shares {
					t.Errorf("ShareMemory %v: shared memory: %v", shares, started)
				}
			}
			if said[0] != said[1] || fmt.Sprint(errs[0]) != fmt.Sprint(errs[1]) {
				t.Errorf("not sharing:\n%s%v\nsharing:\n%s%v", said[0], errs[0], said[1], errs[1])
			}
			for _, sentinel := range []error{exec.ErrNotFound, os.ErrNotExist, os.ErrPermission, syscall.EISDIR} {
				if errors.Is(errs[0], sentinel) != errors.Is(errs[1], sentinel) {
					t.Errorf("%v: %v or %v", sentinel, errs[0], errs[1])
				}
			}
		})
	}
}

// TestProgramsThatShareMemoryAreKilled with their contexts, along with what they have started.
func TestProgramsThatShareMemoryAreKilled(t *testing.T) {
	target := confined(t, Net|PID, "")
	nothingLeft(t)
	ctx, cancel := context.WithCancelCause(deadline(t, short))
	var output bytes.Buffer
	c := Command(&Proc{Target: Of(target, Net|PID), Stdout: &output}, "sh", "-c", "sleep 600 & sleep 600")
	c.ShareMemory = true
	if err := c.Start(ctx); err != nil || c.program == nil {
		t.Fatal(err)
	}
	why := errors.New("enough")
	time.AfterFunc(50*time.Millisecond, func() { cancel(why) })
	begin := time.Now()
	if err := c.Wait(); c.ProcessState == nil || c.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("got %v", err)
	}
	if took := time.Since(begin); took > patienceForOthers {
		t.Errorf("what it has started lived on: %v", took)
	}
	late := Command(&Proc{Target: Of(target, Net|PID)}, "true")
	late.ShareMemory = true
	if err := late.Run(ctx); err != why {
		t.Errorf("got %v", err)
	}
}

// TestWhoseMemoryIsNotShared: where it could be got at, a child does what is asked.
func TestWhoseMemoryIsNotShared(t *testing.T) {
	privileged := fixture(t, PID|UTS, "hostname up-there")
	nothingLeft(t)
	zero := 0
	for name, p := range map[string]*Proc{
		"a container that may trace": {Target: Of(privileged, PID|UTS)},
		"an unknown container":       {Target: Path(PID, fmt.Sprintf("/proc/%d/ns/pid", privileged))},
		"a user namespace":           {New: User},
		"a time namespace":           {New: Time},
		"Started":                    {Started: func(int) error { return nil }},
		"a score":                    {OOMScoreAdj: &zero},
	} {
		c := Command(p, "true")
		c.ShareMemory = true
		if err := c.Run(deadline(t, short)); err != nil || c.program != nil {
			t.Errorf("%s: %v, shared memory: %v", name, err, c.program != nil)
		}
	}
}

// TestProcOfAnotherPidNamespace: numbers of a target are those in /proc, which may be others than the kernel takes from
// this process. To it, 3 is a process in its own uts namespace, and in /proc a thread of the kernel.
func TestProcOfAnotherPidNamespace(t *testing.T) {
	requireRoot(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	role := inRole("other-proc")
	cmd := exec.Command("/bin/sh", "-c", `sleep 60 & sleep 60 & exec "$0"`, self)
	cmd.Env = role.Env
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: uintptr(PID | UTS)}
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

func init() {
	roles["other-proc"] = func() error {
		ctx, cancel := context.WithTimeout(context.Background(), short)
		defer cancel()
		want, err := os.Readlink("/proc/3/ns/uts")
		if err != nil {
			return err
		}
		for _, shares := range []bool{false, true} {
			c := Command(&Proc{Target: Of(3, UTS)}, "readlink", "/proc/self/ns/uts")
			c.ShareMemory = shares
			got, err := c.Output(ctx)
			if err != nil || strings.TrimSpace(string(got)) != want {
				return fmt.Errorf("ShareMemory %v: in %q (%v), want %q", shares, got, err, want)
			}
		}
		return nil
	}
}

// BenchmarkCommandInTurn runs /bin/true in five namespaces of a container, by Command, by nsenter(1), and outside by
// package os/exec, one after the other, from a program with a heap of 200 MB. Compare the ratios of the medians:
//
//	go test -run XXX -bench CommandInTurn -benchtime 300x ./nsenter/within
func BenchmarkCommandInTurn(b *testing.B) {
	target := confined(b, benchKinds, "")
	nsenter, err := exec.LookPath("nsenter")
	testutil.Require(b, err == nil, "nsenter(1)")
	heap := bytes.Repeat([]byte{1}, 200<<20)
	p := &Proc{Target: Of(target, benchKinds)}
	ways := []testutil.Way{
		{Name: "command", Run: func() error {
			c := Command(p, "/bin/true")
			c.ShareMemory = true
			return c.Run(context.Background())
		}},
		{Name: "nsenter", Run: func() error {
			return exec.Command(nsenter, "-t", strconv.Itoa(target), "-u", "-n", "-i", "-p", "-m", "/bin/true").Run()
		}},
		{Name: "os/exec", Run: func() error { return exec.Command("/bin/true").Run() }},
	}
	medians := testutil.InTurn(b, ways)
	b.ReportMetric(medians[0]/medians[1], "of-nsenter")
	b.ReportMetric(medians[0]/medians[2], "of-os/exec")
	b.Logf("with a heap of %d MB", len(heap)>>20)
}
