// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"nsenter-cpp.example/internal/testutil"
)

// startTarget starts a program that stays, and returns when it runs.
func startTarget(t testing.TB, p *Proc, attr *Attr) (pid int) {
	t.Helper()
	cmd := Command(p, "sh", "-c", "echo ready; read line")
	cmd.Attr = attr
	return startWaiting(t, cmd)
}

// startWaiting starts a program that says that it is ready and then waits for its input to end.
func startWaiting(t testing.TB, cmd *Cmd) (pid int) {
	t.Helper()
	p := cmd.Proc
	requireRoot(t)
	in, theirIn, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	theirOut, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer theirOut.Close()
	p.Stdin, p.Stdout, p.Stderr = in, out, os.Stderr
	err = cmd.Start(deadline(t, 5*short))
	in.Close()
	out.Close()
	if err != nil {
		theirIn.Close()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		theirIn.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	ready := make([]byte, 6)
	if _, err := io.ReadFull(theirOut, ready); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

// stateOf is what Confine takes of a process, as /proc shows it from outside.
func stateOf(t testing.TB, pid string) string {
	t.Helper()
	var state bytes.Buffer
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|Cpus_allowed_list|Umask|Speculation).*\n`)
	for _, line := range lines.FindAll(status, -1) {
		state.Write(line)
	}
	for _, file := range []string{"limits", "cgroup", "oom_score_adj"} {
		text, err := os.ReadFile("/proc/" + pid + "/" + file)
		if err != nil {
			t.Fatal(err)
		}
		state.Write(text)
	}
	for _, link := range []string{"root", "cwd", "ns/net", "ns/uts", "ns/mnt", "ns/user", "ns/ipc", "ns/cgroup",
		"ns/pid"} {
		target, err := os.Readlink("/proc/" + pid + "/" + link)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&state, link, target)
	}
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:]))
	fmt.Fprintln(&state, "nice", fields[16], "policy", fields[38])
	return state.String()
}

// stateOfConfined starts a program, confined as a process, and looks at it while it runs.
func stateOfConfined(t testing.TB, pid int, change func(c *Cmd)) string {
	t.Helper()
	cmd := Command(&Proc{}, "sh", "-c", "echo ready; read line")
	if change != nil {
		change(cmd)
	}
	if err := cmd.Confine(deadline(t, short), pid); err != nil {
		t.Fatal(err)
	}
	return stateOf(t, fmt.Sprint(startWaiting(t, cmd)))
}

// TestConfine: a program that is confined as a process has what that has, each thing alone and all of them.
func TestConfine(t *testing.T) {
	testutil.RequireAllNamespaces(t)
	_, err := exec.LookPath("setpriv")
	testutil.Require(t, err == nil, "setpriv(1)")
	folder, _ := cgroupFolder(t)
	user := &syscall.Credential{Uid: 1000, Gid: 1001, Groups: []uint32{5, 7}}
	filters := []SeccompFilter{refusing(syscall.SYS_UNAME, syscall.EXDEV),
		{Program: refusing(syscall.SYS_SWAPON, syscall.EPERM).Program, Flags: seccompFlagLog}}
	few := &Capabilities{Bounding: netRaw | chown, Permitted: netRaw, Effective: netRaw, Inheritable: netRaw,
		Ambient: netRaw}
	limits := []Rlimit{{syscall.RLIMIT_NOFILE, syscall.Rlimit{Cur: 64, Max: 128}}, {syscall.RLIMIT_CORE, syscall.Rlimit{}},
		{syscall.RLIMIT_CPU, syscall.Rlimit{Cur: 100, Max: 101}}, {6, syscall.Rlimit{Cur: 500, Max: 600}}}
	for name, c := range map[string]struct {
		proc Proc
		attr Attr
	}{
		"nothing":      {Proc{New: UTS}, Attr{}},
		"ids":          {Proc{New: UTS}, Attr{Credential: user}},
		"capabilities": {Proc{New: Net}, Attr{Credential: user, Capabilities: few}},
		"root's":       {Proc{New: Net}, Attr{Capabilities: few}},
		"filters":      {Proc{New: Net}, Attr{NoNewPrivs: true, Seccomp: filters}},
		"limits":       {Proc{New: IPC}, Attr{Rlimits: limits}},
		"a cgroup":     {Proc{New: Cgroup}, Attr{Cgroups: []*os.File{folder}}},
		"scheduling":   {Proc{New: UTS}, Attr{CPUs: []int{1}, Scheduler: &Scheduler{Policy: 3, Nice: 5}}},
		"directories":  {Proc{New: UTS}, Attr{Chroot: "/usr", Umask: pointer(0o77)}},
		"a user namespace": {Proc{
			New: User | Mount | PID | Net | UTS | IPC | Cgroup, OOMScoreAdj: pointer(77),
			UIDMap: []IDRange{{Inside: 0, Outside: 100000, Count: 5000}},
			GIDMap: []IDRange{{Inside: 0, Outside: 300000, Count: 5000}},
		}, Attr{Credential: user, Capabilities: few, Rlimits: limits}},
		"all": {Proc{New: Mount | PID | Net | UTS | IPC | Cgroup | Time, Dir: "/tmp", OOMScoreAdj: pointer(88)}, Attr{
			Credential: user, Capabilities: few, NoNewPrivs: true, Seccomp: filters, Rlimits: limits,
			Cgroups: []*os.File{folder}, CPUs: []int{0}, Scheduler: &Scheduler{Nice: 3}, Umask: pointer(0),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if len(c.attr.CPUs) > 0 && c.attr.CPUs[0] == 1 {
				_, err := os.Stat("/sys/devices/system/cpu/cpu1")
				testutil.Require(t, err == nil, "two processors")
			}
			nothingLeft(t)
			if c.attr.Chroot != "" {
				c.attr.Chroot = smallRoot(t)
			}
			target := startTarget(t, &c.proc, &c.attr)
			want := stateOf(t, fmt.Sprint(target))
			if got := stateOfConfined(t, target, nil); got != want {
				t.Errorf("the program:\n%s\nthe target:\n%s", got, want)
			}
			if after := stateOf(t, fmt.Sprint(target)); after != want {
				t.Errorf("the target afterwards:\n%s\nbefore:\n%s", after, want)
			}
		})
	}
}

// smallRoot is a root directory with a shell.
func smallRoot(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/bin/busybox")
	testutil.Require(t, err == nil, "a static busybox")
	root := t.TempDir()
	err = os.Mkdir(filepath.Join(root, "bin"), 0o755)
	for _, name := range []string{"sh", "cat"} {
		err = errors.Join(err, os.WriteFile(filepath.Join(root, "bin", name), text, 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func init() {
	roles["keyring"] = func() error {
		serial, errno := sessionKeyring()
		fmt.Print(serial)
		return orNil(errno)
	}
}

// sessionKeyring is the number of this thread's session keyring.
func sessionKeyring() (serial uintptr, errno syscall.Errno) {
	const getKeyringID = 0
	session := -3
	serial, _, errno = syscall.RawSyscall(syscall.SYS_KEYCTL, getKeyringID, uintptr(session), 0)
	return serial, errno
}

// TestConfineLeavesTheKeyring: keys of the caller's session are not for the program.
func TestConfineLeavesTheKeyring(t *testing.T) {
	own, errno := sessionKeyring()
	testutil.Require(t, errno == 0, "a session keyring")
	target := startTarget(t, &Proc{New: UTS}, nil)
	for _, isConfined := range []bool{false, true} {
		c := Command(&Proc{Target: Of(target, All), Env: []string{envRole + "=keyring"}}, "/proc/self/exe")
		c.FromCaller, c.Attr = true, &Attr{}
		if isConfined {
			if err := c.Confine(deadline(t, short), target); err != nil {
				t.Fatal(err)
			}
		}
		output, err := c.Output(deadline(t, short))
		if err != nil || (string(output) == fmt.Sprint(own)) == isConfined {
			t.Errorf("confined %t: keyring %s (%v), the caller's is %d", isConfined, output, err, own)
		}
	}
}

// TestConfineLeavesWhatIsSet: a field that the caller has set counts, and then it is not looked for.
func TestConfineLeavesWhatIsSet(t *testing.T) {
	nothingLeft(t)
	target := startTarget(t, &Proc{New: UTS, Dir: "/tmp"}, &Attr{NoNewPrivs: true, Umask: pointer(0o77),
		Seccomp: []SeccompFilter{refusing(syscall.SYS_UNAME, syscall.EXDEV)}})
	state := stateOfConfined(t, target, func(c *Cmd) {
		c.Proc.Dir = "/usr"
		c.Proc.Target = Of(target, UTS)
		c.Attr = &Attr{Credential: &syscall.Credential{Uid: 12}, Seccomp: []SeccompFilter{}, Rlimits: []Rlimit{},
			Capabilities: &Capabilities{}}
	})
	for _, line := range []string{`Uid:\t12\t12\t12\t12`, `Seccomp:\t0`, `NoNewPrivs:\t1`, `Umask:\t0077`, `cwd /usr`,
		`CapBnd:\t0+`} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(state) {
			t.Errorf("no line %q in:\n%s", line, state)
		}
	}
}

// TestConfineKeepsTheProcessorAsItIs: kernels before 5.16 switch a feature of the processor off for whoever installs a
// filter without SECCOMP_FILTER_FLAG_SPEC_ALLOW. That flag cannot be read, but its effect.
func TestConfineKeepsTheProcessorAsItIs(t *testing.T) {
	status, err := os.ReadFile("/proc/self/status")
	testutil.Require(t, err == nil && bytes.Contains(status, []byte("Speculation_Store_Bypass:\tvulnerable")),
		"a processor with speculative store bypass")
	target := startTarget(t, &Proc{New: UTS}, &Attr{NoNewPrivs: true,
		Seccomp: []SeccompFilter{refusing(syscall.SYS_UNAME, syscall.EXDEV)}})
	cmd := Command(&Proc{}, "true")
	if err := cmd.Confine(deadline(t, short), target); err != nil {
		t.Fatal(err)
	}
	if flags := cmd.Attr.Seccomp[0].Flags; flags != seccompFlagSpecAllow {
		t.Errorf("the flags are %#x", flags)
	}
	if err := cmd.Run(deadline(t, short)); err != nil {
		t.Error(err)
	}
}

// TestWhatCannotBeConfined is an error, which names it, and nothing is left open.
func TestWhatCannotBeConfined(t *testing.T) {
	requireRoot(t)
	filtered := startTarget(t, &Proc{New: UTS}, &Attr{NoNewPrivs: true,
		Seccomp: []SeccompFilter{refusing(syscall.SYS_UNAME, syscall.EXDEV)}})
	notify := refusing(syscall.SYS_UNAME, 0)
	notify.Program[2].K = 0x7fc00000
	supervised := startTarget(t, &Proc{New: UTS}, &Attr{NoNewPrivs: true, Seccomp: []SeccompFilter{notify}})
	several := inRole("several-uids")
	in, out := testutil.StartPiped(t, several)
	defer several.Wait()
	defer in.Close()
	out.Read(make([]byte, 1))
	traced := exec.Command("strace", "-qq", "-o", "/dev/null", "-e", "trace=none", "-p", fmt.Sprint(filtered))
	for name, c := range map[string]struct {
		pid  int
		want string
		is   error
	}{
		"an ended process": {endedProcess(t), "", syscall.ESRCH},
		"a supervisor": {supervised, fmt.Sprintf("within: seccomp filter 1 of process %d asks a supervisor, which a copy "+
			"does not have (Attr.Seccomp can say which to take)", supervised), nil},
		"several uids": {several.Process.Pid, fmt.Sprintf("within: process %d has not one uid but several: [0 5 0 5] "+
			"(Attr.Credential can say which)", several.Process.Pid), nil},
		"a traced process": {filtered, fmt.Sprintf("within: failed to read the seccomp filters of process %d (Attr.Seccomp "+
			"can say which to take): failed to trace it: operation not permitted", filtered), syscall.EPERM},
	} {
		t.Run(name, func(t *testing.T) {
			nothingLeft(t)
			if name == "a traced process" {
				if err := traced.Start(); err != nil {
					testutil.Require(t, false, "strace(1)")
				}
				defer traced.Wait()
				defer traced.Process.Signal(os.Interrupt)
				awaitTracer(t, filtered)
			}
			cmd := Command(&Proc{}, "true")
			err := cmd.Confine(deadline(t, short), c.pid)
			if err == nil || c.want != "" && err.Error() != c.want || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("got %v; want %s, which is %v", err, c.want, c.is)
			}
			if cmd.Attr != nil || cmd.confined != nil {
				t.Error("it is half confined")
			}
		})
	}
}

func init() {
	roles["several-uids"] = func() error {
		err := syscall.Setresuid(0, 5, 0)
		fmt.Println()
		os.Stdin.Read(make([]byte, 1))
		return err
	}
}

// awaitTracer waits until a process is traced.
func awaitTracer(t *testing.T, pid int) {
	ctx := deadline(t, short)
	for ctx.Err() == nil {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if !bytes.Contains(status, []byte("TracerPid:\t0\n")) {
			return
		}
	}
	t.Fatal("nobody traces it")
}

// TestConfineOfAUserWithoutRights: who cannot read a filter is told so.
func TestConfineOfAUserWithoutRights(t *testing.T) {
	requireRoot(t)
	user := &syscall.Credential{Uid: 1000, Gid: 1000}
	target := startTarget(t, &Proc{New: UTS}, &Attr{Credential: user, NoNewPrivs: true,
		Seccomp: []SeccompFilter{refusing(syscall.SYS_UNAME, syscall.EXDEV)}})
	runRole(t, 1000, "confine-user", fmt.Sprint(target))
}

func init() {
	roles["confine-user"] = func() error {
		var pid int
		fmt.Sscan(os.Args[1], &pid)
		ctx, cancel := context.WithTimeout(context.Background(), short)
		defer cancel()
		err := Command(&Proc{}, "true").Confine(ctx, pid)
		want := fmt.Sprintf("within: it takes CAP_SYS_ADMIN to read the seccomp filters of process %d (Attr.Seccomp can say "+
			"which to take): operation not permitted", pid)
		if err == nil || err.Error() != want || !errors.Is(err, syscall.EPERM) {
			return fmt.Errorf("got %v, want %s", err, want)
		}
		return nil
	}
}

// TestCgroupPath finds cgroups by what /proc/self/mountinfo says.
func TestCgroupPath(t *testing.T) {
	const mounts = `30 20 0:26 / /sys/fs/cgroup/unified rw shared:4 - cgroup2 cgroup2 rw
31 20 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
32 20 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
33 20 0:29 /a/b /mnt/with\040space rw - cgroup cgroup rw,pids
34 20 0:30 / /proc rw - proc proc rw
`
	for _, c := range []struct{ controllers, cgroup, want string }{
		{"", "/x/y", "/sys/fs/cgroup/unified/x/y"},
		{"", "/", "/sys/fs/cgroup/unified"},
		{"", "/../x", ""},
		{"cpu,cpuacct", "/x", "/sys/fs/cgroup/cpu,cpuacct/x"},
		{"cpuacct,cpu", "/x", "/sys/fs/cgroup/cpu,cpuacct/x"},
		{"name=systemd", "/x", "/sys/fs/cgroup/systemd/x"},
		{"pids", "/a/b/c", "/mnt/with space/c"},
		{"pids", "/a/bc", ""},
		{"pids", "/c", ""},
		{"memory", "/c", ""},
	} {
		if got := cgroupPath(mounts, c.controllers, c.cgroup); got != c.want {
			t.Errorf("%q %q: %q, want %q", c.controllers, c.cgroup, got, c.want)
		}
	}
}

// TestConfineGivesNoMoreThanIsPermitted: uid 0 that has given capabilities up does not get them back by execve.
func TestConfineGivesNoMoreThanIsPermitted(t *testing.T) {
	for uid, want := range map[uint32]Capabilities{
		0:    {Effective: 1, Permitted: 1, Inheritable: 1, Bounding: 1},
		1000: {Effective: 1, Permitted: 1, Inheritable: 3, Bounding: 7},
	} {
		c := &confinement{status: map[string]string{"CapInh": "3", "CapPrm": "1", "CapEff": "1", "CapBnd": "7",
			"CapAmb": "0"}}
		c.attr.Credential = &syscall.Credential{Uid: uid}
		if err := c.capabilities(); err != nil || *c.attr.Capabilities != want {
			t.Errorf("uid %d: %+v, %v, want %+v", uid, c.attr.Capabilities, err, want)
		}
	}
}

// TestConfineSaysWhichLabelIsLost: the file is that of a process with a label, of a module that is not known here.
func TestConfineSaysWhichLabelIsLost(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	folder, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	c := &confinement{pid: 7, folder: folder}
	clean := func(text string) string { return strings.TrimSpace(text) }
	write("stat", "")
	if err := c.noOtherLabel(clean); err != nil {
		t.Errorf("without a label: %v", err)
	}
	write("attr/current", "Pop\n")
	want := `within: process 7 has the label "Pop" of a security module that cannot be told from here ` +
		`(Attr.AppArmorProfile or Attr.SELinuxLabel can say which to take)`
	if err := c.noOtherLabel(clean); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
