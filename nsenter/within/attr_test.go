// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"nsenter-cpp.example/internal/testutil"
)

func pointer[T any](value T) *T { return &value }

// refusing is a filter that answers a system call with an errno, and allows the others.
func refusing(call uint32, errno syscall.Errno) SeccompFilter {
	const load, equal, ret, allow, refuse = 0x20, 0x15, 0x06, 0x7fff0000, 0x00050000
	return SeccompFilter{Program: []syscall.SockFilter{
		{Code: load}, {Code: equal, Jf: 1, K: call}, {Code: ret, K: refuse | uint32(errno)}, {Code: ret, K: allow},
	}}
}

// openFolderOf opens a folder that a test needs.
func openFolderOf(t testing.TB, path string) *os.File {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// lookAtState prints what an Attr sets.
const lookAtState = "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:|Cpus_allowed_list)' /proc/self/status; umask; " +
	"cat /proc/self/limits; pwd; ls /; uname; cut -d' ' -f41,19 /proc/self/stat"

const netRaw, chown = 1 << 13, 1 << 0

// TestAttr starts programs with an Attr, in processes that share the caller's memory where that is possible, and by a
// child. Each has what the Attr says, and the same either way.
func TestAttr(t *testing.T) {
	target := confined(t, Mount|UTS|IPC|Net, "mount --make-rprivate /\nmount -t tmpfs none /mnt\n"+
		"mkdir /mnt/bin /mnt/proc /mnt/only-there\ncp /bin/busybox /mnt/bin\n"+
		"for a in sh grep cat ls uname cut umask pwd; do ln -s busybox /mnt/bin/$a; done\nmount -t proc proc /mnt/proc")
	_, err := os.Stat("/bin/busybox")
	testutil.Require(t, err == nil, "a static busybox")
	outside := openFolderOf(t, t.TempDir())
	root := openFolderOf(t, fmt.Sprintf("/proc/%d/root/mnt", target))
	inside, uts := Of(target, Mount|UTS|IPC|Net), Of(target, UTS)
	for name, c := range map[string]struct {
		proc   Proc
		attr   Attr
		want   []string // patterns of lines
		shared bool
	}{
		"nothing": {Proc{Target: inside}, Attr{}, []string{`Uid:\t0\t0\t0\t0`, `NoNewPrivs:\t0`, `/`}, true},
		"ids": {Proc{Target: uts}, Attr{Credential: &syscall.Credential{Uid: 1000, Gid: 1001, Groups: []uint32{7, 100000}}},
			[]string{`Uid:\t1000\t1000\t1000\t1000`, `Gid:\t1001\t1001\t1001\t1001`, `Groups:\t7 100000 ?`,
				`CapEff:\t0+`, `CapPrm:\t0+`}, true},
		"ids in a container": {Proc{Target: inside}, Attr{Credential: &syscall.Credential{Uid: 1000, Gid: 1001}},
			[]string{`Uid:\t1000\t1000\t1000\t1000`, `Groups:\t ?`, `CapEff:\t0+`}, false},
		"the same groups": {Proc{Target: uts}, Attr{Credential: &syscall.Credential{Uid: 5, Gid: 5, NoSetGroups: true}},
			[]string{`Uid:\t5\t5\t5\t5`}, true},
		"kept capabilities": {Proc{Target: inside},
			Attr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}, KeepCaps: true},
			[]string{`Uid:\t1000\t1000\t1000\t1000`, `CapAmb:\t0*[1-9a-f][0-9a-f]*`, `CapEff:\t0*[1-9a-f][0-9a-f]*`}, false},
		"capabilities": {Proc{Target: uts}, Attr{
			Credential: &syscall.Credential{Uid: 1000, Gid: 1000},
			Capabilities: &Capabilities{Bounding: netRaw | chown, Permitted: netRaw | chown, Effective: netRaw | chown,
				Inheritable: netRaw, Ambient: netRaw},
		}, []string{`CapInh:\t0+2000`, `CapPrm:\t0+2000`, `CapEff:\t0+2000`, `CapBnd:\t0+2001`, `CapAmb:\t0+2000`}, true},
		"root's capabilities": {Proc{Target: inside}, Attr{
			Capabilities: &Capabilities{Bounding: netRaw | chown, Permitted: chown, Effective: chown},
		}, []string{`Uid:\t0\t0\t0\t0`, `CapInh:\t0+`, `CapPrm:\t0+2001`, `CapEff:\t0+2001`, `CapBnd:\t0+2001`}, false},
		"no_new_privs": {Proc{Target: inside}, Attr{NoNewPrivs: true}, []string{`NoNewPrivs:\t1`, `Seccomp:\t0`}, true},
		"a filter": {Proc{Target: inside},
			Attr{NoNewPrivs: true, Seccomp: []SeccompFilter{refusing(syscall.SYS_UNAME, syscall.EXDEV)}},
			[]string{`NoNewPrivs:\t1`, `Seccomp:\t2`, `uname: .*ross-device link`}, true},
		"a filter of a user": {Proc{Target: uts}, Attr{
			Credential: &syscall.Credential{Uid: 9, Gid: 9}, NoNewPrivs: true,
			Seccomp: []SeccompFilter{refusing(syscall.SYS_UNAME, syscall.EXDEV)},
		}, []string{`Uid:\t9\t9\t9\t9`, `Seccomp:\t2`, `uname: .*ross-device link`}, true},
		"a filter that grants": {Proc{Target: uts}, Attr{
			Credential: &syscall.Credential{Uid: 9, Gid: 9},
			Seccomp:    []SeccompFilter{refusing(syscall.SYS_UNAME, syscall.EXDEV)},
		}, []string{`Uid:\t9\t9\t9\t9`, `NoNewPrivs:\t0`, `Seccomp:\t2`, `uname: .*ross-device link`}, true},
		"two filters": {Proc{Target: inside}, Attr{NoNewPrivs: true, Seccomp: []SeccompFilter{
			refusing(syscall.SYS_UNAME, syscall.EXDEV), {Program: refusing(syscall.SYS_SWAPON, syscall.EPERM).Program, Flags: 2},
		}}, []string{`Seccomp:\t2`, `uname: .*ross-device link`}, false},
		"limits": {Proc{Target: inside}, Attr{Rlimits: []Rlimit{
			{syscall.RLIMIT_NOFILE, syscall.Rlimit{Cur: 99, Max: 100}}, {syscall.RLIMIT_CORE, syscall.Rlimit{}},
			{syscall.RLIMIT_AS, syscall.Rlimit{Cur: 1 << 29, Max: 1 << 30}},
			{syscall.RLIMIT_DATA, syscall.Rlimit{Cur: 1 << 24, Max: 1 << 30}},
		}}, []string{`Max open files +99 +100 .*`, `Max core file size +0 +0 .*`,
			`Max address space +536870912 +1073741824 .*`, `Max data size +16777216 +1073741824 .*`}, true},
		"limits of a filtered user": {Proc{Target: uts}, Attr{
			Credential: &syscall.Credential{Uid: 1000, Gid: 1000}, NoNewPrivs: true,
			Seccomp: []SeccompFilter{refusing(syscall.SYS_PRLIMIT64, syscall.EPERM)},
			Rlimits: []Rlimit{{syscall.RLIMIT_DATA, syscall.Rlimit{Cur: 1 << 26, Max: 1 << 27}}},
		}, []string{`Max data size +67108864 +134217728 .*`, `Uid:\t1000\t1000\t1000\t1000`}, true},
		"few processes": {Proc{Target: uts}, Attr{
			Credential: &syscall.Credential{Uid: 12345, Gid: 1},
			Rlimits:    []Rlimit{{6, syscall.Rlimit{Cur: 9, Max: 9}}},
		}, []string{`Max processes +9 +9 .*`}, true},
		"processors": {Proc{Target: inside}, Attr{CPUs: []int{0}}, []string{`Cpus_allowed_list:\t0`}, false},
		"nice":       {Proc{Target: inside}, Attr{Scheduler: &Scheduler{Policy: 3, Nice: 7}}, []string{`7 3`}, false},
		"a mask":     {Proc{Target: inside}, Attr{Umask: pointer(0o027)}, []string{`0?027`}, true},
		"no mask":    {Proc{Target: inside}, Attr{Umask: pointer(0)}, []string{`0?000`}, true},
		"a root":     {Proc{Target: inside, Dir: "bin"}, Attr{Chroot: "/mnt"}, []string{`only-there`, `/bin`}, false},
		"a root from outside": {Proc{Target: Of(target, UTS|Net), Dir: "/proc"}, Attr{Root: root},
			[]string{`only-there`, `/proc`}, true},
		"a directory": {Proc{Target: inside, Dir: "usr/../tmp"}, Attr{}, []string{`/tmp`}, true},
		"a directory from outside": {Proc{Target: Of(target, UTS|Net)}, Attr{Dir: outside},
			[]string{regexp.QuoteMeta(outside.Name())}, true},
	} {
		t.Run(name, func(t *testing.T) {
			nothingLeft(t)
			var said [2]string
			for i, shares := range []bool{false, true} {
				p := c.proc
				cmd := Command(&p, "sh", "-c", lookAtState)
				cmd.Attr, cmd.ShareMemory = &c.attr, shares
				output, err := cmd.CombinedOutput(deadline(t, short))
				if err != nil && !strings.Contains(string(output), "uname:") {
					t.Errorf("ShareMemory %v: %v", shares, err)
				}
				if started := cmd.program != nil; started != (shares && c.shared) {
					t.Errorf("ShareMemory %v: shared memory: %v", shares, started)
				}
				said[i] = string(output)
			}
			if said[0] != said[1] {
				t.Errorf("not sharing:\n%s\nsharing:\n%s", said[0], said[1])
			}
			for _, line := range c.want {
				if !regexp.MustCompile(`(?m)^` + line + ` *$`).MatchString(said[0]) {
					t.Errorf("no line %q in:\n%s", line, said[0])
				}
			}
		})
	}
}

// TestAttrThatCannotBeTaken: each step says which it is, with its value and errno, either way, and nothing is executed.
func TestAttrThatCannotBeTaken(t *testing.T) {
	target := confined(t, UTS|Net, "")
	null := openFolderOf(t, os.DevNull)
	never := &Capabilities{Ambient: netRaw}
	for name, c := range map[string]struct {
		attr Attr
		proc Proc
		want string
		is   error
	}{
		"processors": {Attr{CPUs: []int{40000}}, Proc{},
			"failed to set the processors [40000]: Invalid argument", syscall.EINVAL},
		"a policy": {Attr{Scheduler: &Scheduler{Policy: 77, Nice: 3}}, Proc{},
			"failed to set the scheduling policy 77, nice 3, priority 0: Invalid argument", syscall.EINVAL},
		"a root": {Attr{Chroot: "/no/such"}, Proc{},
			"failed to change the root directory to /no/such: No such file or directory", os.ErrNotExist},
		"a root from outside": {Attr{Root: null}, Proc{},
			"failed to change the root directory: Not a directory", syscall.ENOTDIR},
		"a limit": {Attr{Rlimits: []Rlimit{{7, syscall.Rlimit{Cur: 2, Max: 1}}}}, Proc{},
			"failed to set the resource limit 7: Invalid argument", syscall.EINVAL},
		"an AppArmor profile": {Attr{AppArmorProfile: "none-such"}, Proc{},
			"failed to set the AppArmor profile none-such: Invalid argument", syscall.EINVAL},
		"an SELinux label": {Attr{SELinuxLabel: "none:such:t"}, Proc{},
			"failed to set the SELinux label none:such:t: Invalid argument", syscall.EINVAL},
		"groups": {Attr{Credential: &syscall.Credential{Groups: []uint32{1<<32 - 1}}}, Proc{},
			"failed to set the supplementary groups: Invalid argument", syscall.EINVAL},
		"a gid": {Attr{Credential: &syscall.Credential{Gid: 70000, NoSetGroups: true}}, Proc{New: User},
			"failed to become gid 70000: Invalid argument", syscall.EINVAL},
		"a uid": {Attr{Credential: &syscall.Credential{Uid: 70001, NoSetGroups: true}}, Proc{New: User},
			"failed to become uid 70001: Invalid argument", syscall.EINVAL},
		"capabilities": {Attr{Capabilities: &Capabilities{Effective: chown}}, Proc{},
			"failed to set capabilities: Operation not permitted", syscall.EPERM},
		"an ambient one": {Attr{Capabilities: never}, Proc{},
			"failed to raise ambient capability 13: Operation not permitted", syscall.EPERM},
		"a directory": {Attr{}, Proc{Dir: "/no/such"}, "chdir /no/such: no such file or directory", os.ErrNotExist},
		"a directory from outside": {Attr{Dir: null}, Proc{}, "failed to change the working directory: Not a directory",
			syscall.ENOTDIR},
		"a directory of root's": {Attr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}, Proc{Dir: "/root"},
			"chdir /root: permission denied", os.ErrPermission},
		"a filter": {Attr{NoNewPrivs: true, Seccomp: []SeccompFilter{{Program: []syscall.SockFilter{{Code: 0xff}}}}}, Proc{},
			"failed to install the seccomp filter: Invalid argument", syscall.EINVAL},
		"the second filter": {Attr{NoNewPrivs: true, Seccomp: []SeccompFilter{refusing(syscall.SYS_SWAPON, syscall.EPERM),
			{Program: []syscall.SockFilter{{Code: 0xff}}}}}, Proc{},
			"failed to install seccomp filter 2 of 2: Invalid argument", syscall.EINVAL},
		"a filter without execve": {Attr{NoNewPrivs: true,
			Seccomp: []SeccompFilter{refusing(syscall.SYS_EXECVE, syscall.EDOM)}}, Proc{},
			"exec /bin/touch: numerical argument out of domain", syscall.EDOM},
		"a cgroup": {Attr{Cgroups: []*os.File{null}}, Proc{},
			"within: failed to open the cgroup: open /dev/null/cgroup.procs: not a directory", syscall.ENOTDIR},
		"a cgroup that is none": {Attr{Cgroups: []*os.File{openFolderOf(t, "/tmp")}}, Proc{},
			"within: failed to open the cgroup: open /tmp/cgroup.procs: no such file or directory", os.ErrNotExist},
		"no cgroup": {Attr{Cgroups: []*os.File{nil}}, Proc{}, "within: cgroup 0 is nil", nil},
		"contradictory capabilities": {Attr{KeepCaps: true, Capabilities: never}, Proc{},
			"within: KeepCaps and Capabilities are both set", nil},
		"two roots":       {Attr{Chroot: "/", Root: null}, Proc{}, "within: Chroot and Root are both set", nil},
		"two directories": {Attr{Dir: null}, Proc{Dir: "/"}, "within: Attr.Dir and Proc.Dir are both set", nil},
		"a NUL": {Attr{Chroot: "/a\x00b"}, Proc{}, `within: a NUL or line end in Chroot "/a\x00b": invalid argument`,
			syscall.EINVAL},
		"no instructions": {Attr{Seccomp: []SeccompFilter{{}}}, Proc{},
			"within: seccomp filter 0 has 0 instructions: invalid argument", syscall.EINVAL},
		"a listener": {Attr{Seccomp: []SeccompFilter{{Program: refusing(1, 1).Program, Flags: 8}}}, Proc{},
			"within: seccomp filter 0 has flags 0x8: invalid argument", syscall.EINVAL},
		"no processor": {Attr{CPUs: []int{-1}}, Proc{}, "within: there is no processor -1: invalid argument", syscall.EINVAL},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.HasPrefix(name, "an SELinux") || strings.HasPrefix(name, "an AppArmor") {
				_, err := os.ReadFile("/proc/self/attr/current")
				testutil.Require(t, err != nil, "a kernel without these modules")
			}
			nothingLeft(t)
			witness := filepath.Join(t.TempDir(), "executed")
			for _, shares := range []bool{false, true} {
				p := c.proc
				if p.New == 0 {
					p.Target = Of(target, UTS|Net)
				}
				cmd := Command(&p, "/bin/touch", witness)
				cmd.Attr, cmd.ShareMemory = &c.attr, shares
				err := cmd.Start(deadline(t, short))
				if err == nil {
					t.Fatalf("ShareMemory %v: no error; the end: %v", shares, cmd.Wait())
				}
				if err.Error() != c.want || c.is != nil && !errors.Is(err, c.is) {
					t.Errorf("ShareMemory %v: %v; want %s, which is %v", shares, err, c.want, c.is)
				}
			}
			if _, err := os.Stat(witness); err == nil {
				t.Error("the program was executed")
			}
		})
	}
}

// TestAttrDoesNotLoseTheDeathSignal: ids that change make the kernel forget it (prctl(2)), so it is asked for after
// them. The program, which is this one, says what it has.
func TestAttrDoesNotLoseTheDeathSignal(t *testing.T) {
	requireRoot(t)
	nothingLeft(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "program")
	if err := exec.Command("cp", self, program).Run(); err != nil {
		t.Fatal(err)
	}
	for folder := filepath.Dir(program); folder != "/tmp" && folder != "/"; folder = filepath.Dir(folder) {
		os.Chmod(folder, 0o755)
	}
	cmd := Command(&Proc{New: UTS, Env: []string{envRole + "=death-signal"}}, program)
	cmd.Attr, cmd.DieWithCaller = &Attr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}, true
	output, err := cmd.Output(deadline(t, short))
	if err != nil {
		t.Fatalf("%v: %s", err, stderrOf(err))
	}
	if want := fmt.Sprintln(int(syscall.SIGKILL)); string(output) != want {
		t.Errorf("the death signal is %q, want %q", output, want)
	}
}

func init() {
	roles["death-signal"] = func() error {
		const prGetPdeathsig = 2
		var signal int32
		_, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prGetPdeathsig, uintptr(unsafe.Pointer(&signal)), 0)
		fmt.Println(signal)
		return orNil(errno)
	}
}

// TestAttrOfACallersProgram: a program of the caller's has all of it too, and a filter needs to allow execveat(2) only.
func TestAttrOfACallersProgram(t *testing.T) {
	requireRoot(t)
	nothingLeft(t)
	for _, kinds := range []Namespaces{UTS, UTS | Mount} {
		cmd := Command(&Proc{New: kinds}, "grep", "-E", "^(Uid|NoNewPrivs|Seccomp):", "/proc/self/status")
		cmd.FromCaller = true
		cmd.Attr = &Attr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}, NoNewPrivs: true,
			Seccomp: []SeccompFilter{refusing(syscall.SYS_EXECVE, syscall.EDOM)}}
		output, err := cmd.Output(deadline(t, short))
		if want := "Uid:\t1000\t1000\t1000\t1000\nNoNewPrivs:\t1\nSeccomp:\t2\n"; err != nil || string(output) != want {
			t.Errorf("%v: %v %q, want %q", kinds, err, output, want)
		}
	}
}

// TestAttrOfPipes: a user's program can open the pipes that it is given by this package.
func TestAttrOfPipes(t *testing.T) {
	requireRoot(t)
	nothingLeft(t)
	for _, shares := range []bool{false, true} {
		cmd := Command(&Proc{New: UTS, Stdin: strings.NewReader("in\n")}, "sh", "-c", "cat /dev/stdin >/dev/stdout")
		cmd.ShareMemory = shares
		cmd.Attr = &Attr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
		if output, err := cmd.Output(deadline(t, short)); err != nil || string(output) != "in\n" {
			t.Errorf("%v %q: %s", err, output, stderrOf(err))
		}
	}
}

// TestAttrRestoresTheLimitOfFiles: the Go runtime raises it for itself, and a filter must not keep it from the program.
func TestAttrRestoresTheLimitOfFiles(t *testing.T) {
	requireRoot(t)
	role := inRole("limit-of-files")
	limited := exec.Command("prlimit", append([]string{"--nofile=100:200"}, role.Args...)...)
	_, err := exec.LookPath("prlimit")
	testutil.Require(t, err == nil, "prlimit(1)")
	limited.Args[2], err = os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	limited.Env = role.Env
	if output, err := limited.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

func init() {
	roles["limit-of-files"] = func() error {
		ctx, cancel := context.WithTimeout(context.Background(), short)
		defer cancel()
		cmd := Command(&Proc{New: UTS}, "grep", "Max open files", "/proc/self/limits")
		cmd.Attr = &Attr{NoNewPrivs: true, Seccomp: []SeccompFilter{refusing(syscall.SYS_PRLIMIT64, syscall.EPERM)}}
		output, err := cmd.Output(ctx)
		if f := strings.Fields(string(output)); len(f) < 5 || f[3] != "100" || f[4] != "200" {
			return fmt.Errorf("%v: %q %s", err, output, stderrOf(err))
		}
		return nil
	}
}

func stderrOf(err error) []byte {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return nil
	}
	return exit.Stderr
}

// cgroupFolder makes a cgroup of a hierarchy that has one, and removes it.
func cgroupFolder(t testing.TB) (folder *os.File, line string) {
	t.Helper()
	requireRoot(t)
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for _, mount := range strings.Split(string(mounts), "\n") {
		f := strings.Fields(mount)
		if len(f) < 4 || f[2] != "cgroup2" && !(f[2] == "cgroup" && strings.Contains(f[3], "pids")) {
			continue
		}
		path, err := os.MkdirTemp(f[1], "within-test-")
		if err != nil {
			continue
		}
		t.Cleanup(func() {
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
		})
		return openFolderOf(t, path), ":/" + filepath.Base(path)
	}
	testutil.Require(t, false, "a cgroup file system in which folders can be made")
	return nil, ""
}

// TestCgroup: a program is in its cgroups from the beginning, and in a new cgroup namespace that is the root.
func TestCgroup(t *testing.T) {
	folder, line := cgroupFolder(t)
	nothingLeft(t)
	for name, c := range map[string]struct {
		proc Proc
		user uint32
		want string
	}{
		"root's":      {Proc{New: UTS}, 0, line},
		"a user's":    {Proc{New: UTS}, 1000, line},
		"a namespace": {Proc{New: Cgroup | Mount}, 0, ":/"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := Command(&c.proc, "cat", "/proc/self/cgroup")
			cmd.Attr = &Attr{Cgroups: []*os.File{folder}, Credential: &syscall.Credential{Uid: c.user, Gid: c.user}}
			cmd.ShareMemory = true
			output, err := cmd.Output(deadline(t, short))
			if err != nil || !strings.Contains(string(output), c.want+"\n") {
				t.Errorf("%v; no line ends with %q:\n%s", err, c.want, output)
			}
			if c.proc.New.Has(Cgroup) && strings.Contains(string(output), line) || strings.Contains(string(output), "/..") {
				t.Errorf("the namespace begins elsewhere:\n%s", output)
			}
			if cmd.program != nil {
				t.Error("memory was shared across cgroups")
			}
		})
	}
}
