// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package spawn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"nsenter-cpp.example/internal/kernel"
	"nsenter-cpp.example/internal/testutil"
	"nsenter-cpp.example/nsenter/bootstrap"
)

const five = bootstrap.UTS | bootstrap.Net | bootstrap.IPC | bootstrap.PID | bootstrap.Mount

// short is how long something may take that is not about time.
const short = 20 * time.Second

func TestMain(m *testing.M) {
	if role := roles[os.Getenv(envRole)]; role != nil {
		if err := role(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// A second at the end of each process of a program with -race, for other threads' reports.
	os.Setenv("GORACE", raceOptions)
	os.Exit(m.Run())
}

const raceOptions = "atexit_sleep_ms=0"

// roles are what this program does when a test starts it again as somebody else.
var roles = map[string]func() error{}

const envRole = "SPAWN_TEST_ROLE"

// showAgain undoes what package os/exec does when it starts somebody with other ids: in the child, which shares this
// program's memory as ours do, the kernel takes the flag from that memory, and nobody gives it back.
func showAgain() { syscall.RawSyscall(syscall.SYS_PRCTL, prSetDumpable, dumpable, 0) }

// container is a process in new namespaces that has what containers usually have: not CAP_SYS_PTRACE.
func container(t testing.TB, kinds bootstrap.Namespaces, script string) *Process {
	t.Helper()
	testutil.RequireRoot(t)
	_, err := exec.LookPath("setpriv")
	testutil.Require(t, err == nil, "setpriv(1)")
	return process(t, testutil.Fixture(t, uintptr(kinds), script+
		"\nexec setpriv --bounding-set=-sys_ptrace sh -c 'echo ready; exec 1>&-; exec sleep 600'"))
}

func process(t testing.TB, pid int) *Process {
	t.Helper()
	const pidfdOpen = 434
	fd, _, errno := syscall.Syscall(kernel.Call(pidfdOpen), uintptr(pid), 0, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	t.Cleanup(func() { syscall.Close(int(fd)) })
	return &Process{pid, int(fd)}
}

// withoutChecks is for a test of what would be refused, where nobody is who could make use of it.
func withoutChecks(t testing.TB) {
	noChecks = true
	t.Cleanup(func() { noChecks = false })
}

// run runs a program whose output is returned.
func run(t testing.TB, s Spec) (string, syscall.WaitStatus, error) {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	s.Files = append([]int{int(null.Fd()), int(write.Fd()), int(write.Fd())}, s.Files...)
	p, err := Start(testutil.Deadline(t, short), &s)
	write.Close()
	if err != nil {
		if text, _ := io.ReadAll(read); len(text) > 0 {
			t.Errorf("what does not run has written %q", text)
		}
		return "", 0, err
	}
	defer syscall.Close(p.Pidfd)
	output, err := io.ReadAll(read)
	if err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if pid, err := syscall.Wait4(p.Pid, &status, 0, nil); pid != p.Pid || err != nil {
		t.Fatalf("waiting for process %d: %d, %v", p.Pid, pid, err)
	}
	return string(output), status, nil
}

// shell is a script, with a PATH.
func shell(script string) Spec {
	return Spec{Path: "sh", Args: []string{"sh", "-c", script}, Env: []string{"PATH=" + DefaultPath}}
}

// expect demands an output.
func expect(t testing.TB, s Spec, want string) {
	t.Helper()
	if got, _, err := run(t, s); got != want || err != nil {
		t.Errorf("got %q (%v), want %q", got, err, want)
	}
}

func TestNamespacesAreJoined(t *testing.T) {
	target := container(t, five, "mount -t proc proc /proc\nhostname up-there")
	testutil.NothingLeft(t)
	s := shell("hostname; echo $$ $0 $1; for n in uts net ipc pid mnt; do readlink /proc/$$/ns/$n; done; exit 7")
	s.Args = append(s.Args, "zero", "one two")
	s.Target, s.Join = target, five
	output, status, err := run(t, s)
	if err != nil || status.ExitStatus() != 7 {
		t.Fatalf("%v, %v", status, err)
	}
	var want strings.Builder
	for _, kind := range []bootstrap.Namespaces{
		bootstrap.UTS, bootstrap.Net, bootstrap.IPC, bootstrap.PID, bootstrap.Mount,
	} {
		fmt.Fprintln(&want, testutil.NamespaceOf(t, target.Pid, kind))
	}
	lines := strings.SplitN(output, "\n", 3)
	if len(lines) != 3 || lines[0] != "up-there" || !strings.HasSuffix(lines[1], " zero one two") ||
		lines[2] != want.String() {
		t.Errorf("got %q", output)
	}
}

func TestNamespacesByDescriptorsAndNewOnes(t *testing.T) {
	target := container(t, bootstrap.UTS|bootstrap.Net, "hostname up-there")
	testutil.NothingLeft(t)
	s := shell("hostname; echo $$; readlink /proc/self/ns/net")
	s.Create = bootstrap.PID | bootstrap.IPC
	for _, kind := range []bootstrap.Namespaces{bootstrap.Net, bootstrap.UTS} {
		file, err := os.Open(fmt.Sprintf("/proc/%d/ns/%v", target.Pid, kind))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		s.Joins = append(s.Joins, Namespace{kind, int(file.Fd()), file.Name()})
	}
	expect(t, s, "up-there\n1\n"+testutil.NamespaceOf(t, target.Pid, bootstrap.Net)+"\n")
}

// TestWhatIsNotSaidIsTheCallers: as with os/exec, what is ignored too.
func TestWhatIsNotSaidIsTheCallers(t *testing.T) {
	testutil.RequireRoot(t)
	signal.Ignore(syscall.SIGUSR1)
	defer signal.Reset(syscall.SIGUSR1)
	testutil.NothingLeft(t)
	s := shell("umask; pwd; id; ulimit -a; env; grep -E '^(Cap|Sig[BIC]|NoNewPrivs|Seccomp:)' /proc/self/status")
	s.FileLimitAtStart = true
	cmd := exec.Command("/bin/sh", s.Args[1:]...)
	cmd.Env = s.Env
	want, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	expect(t, s, string(want))
}

func TestStateOfTheProcess(t *testing.T) {
	testutil.RequireRoot(t)
	testutil.NothingLeft(t)
	root := t.TempDir()
	if err := os.Mkdir(root+"/inside", 0o755); err != nil {
		t.Fatal(err)
	}
	static(t, root+"/show")
	directory, err := os.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer directory.Close()
	inside, err := os.Open(root + "/inside")
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	fd, insideFD, umask := int(directory.Fd()), int(inside.Fd()), uint32(0o27)
	limit := Limit{syscall.RLIMIT_CORE, syscall.Rlimit{Cur: 17 * 512, Max: 18 * 512}}
	groups := []uint32{5, 6}
	withoutChecks(t) // another root, and less privileges
	for _, c := range []struct {
		name string
		s    Spec
		want string
	}{
		{"directory", with(shell("pwd"), Spec{Dir: "/usr"}), "/usr\n"},
		{"directory by descriptor", with(shell("pwd -P"), Spec{DirFD: &insideFD}), root + "/inside\n"},
		{"umask", with(shell("umask"), Spec{Umask: &umask}), "0027\n"},
		{"limit", with(shell("ulimit -Sc; ulimit -Hc"), Spec{Limits: []Limit{limit}}), "17\n18\n"},
		{"session", with(shell("ps -o pid=,sid=,pgid= $$ | awk '{ print $1==$2, $1==$3 }'"), Spec{NewSession: true}),
			"1 1\n"},
		{"ids", with(shell("id; grep CapEff /proc/self/status"), Spec{IDs: &IDs{1234, 4321}, Groups: &groups}),
			"uid=1234 gid=4321 groups=4321,5(tty),6(disk)\nCapEff:\t0000000000000000\n"},
		{"no_new_privs", with(shell("grep NoNewPrivs /proc/self/status"), Spec{NoNewPrivileges: true}), "NoNewPrivs:\t1\n"},
		{"capabilities of root", with(shell("grep Cap /proc/self/status"),
			Spec{Capabilities: &Capabilities{Bounding: 0xff, Permitted: 0xf, Effective: 0x7, Inheritable: 0xe}}),
			"CapInh:\t000000000000000e\nCapPrm:\t00000000000000ff\nCapEff:\t00000000000000ff\nCapBnd:\t00000000000000ff\n" +
				"CapAmb:\t0000000000000000\n"},
		{"capabilities of a user", with(shell("grep Cap /proc/self/status"), Spec{IDs: &IDs{1234, 4321},
			Capabilities: &Capabilities{Bounding: 0xff, Permitted: 0xf, Effective: 0x7, Inheritable: 0x3, Ambient: 0x2}}),
			"CapInh:\t0000000000000003\nCapPrm:\t0000000000000002\nCapEff:\t0000000000000002\nCapBnd:\t00000000000000ff\n" +
				"CapAmb:\t0000000000000002\n"},
		{"filter", with(shell("grep Seccomp: /proc/self/status"), Spec{Seccomp: allowAll}), "Seccomp:\t2\n"},
		{"filter without privileges", with(shell("grep -E '(Seccomp|NoNewPrivs):' /proc/self/status"),
			Spec{Seccomp: allowAll, NoNewPrivileges: true, IDs: &IDs{1234, 4321}}), "NoNewPrivs:\t1\nSeccomp:\t2\n"},
		{"root", Spec{Root: &fd, Dir: "/inside", Path: "/show"}, "/inside [inside show]\n"},
		{"environment", with(shell("env"), Spec{Env: []string{"A=1", "PATH=/bin"}}), "A=1\nPATH=/bin\nPWD=/\n"},
	} {
		if c.s.Dir == "" && c.s.DirFD == nil {
			c.s.Dir = "/"
		}
		t.Run(c.name, func(t *testing.T) { expect(t, c.s, c.want) })
	}
}

// allowAll is a filter that lets every call pass: BPF_RET | BPF_K with SECCOMP_RET_ALLOW.
var allowAll = []syscall.SockFilter{{Code: 0x06, K: 0x7fff0000}}

// with is a program with the fields that another Spec has.
func with(s, other Spec) Spec {
	other.Path, other.Args = s.Path, s.Args
	if other.Env == nil {
		other.Env = s.Env
	}
	return other
}

// static builds a program that needs nothing, and says where it is and what is in its root.
func static(t *testing.T, path string) {
	t.Helper()
	source := filepath.Join(t.TempDir(), "show.go")
	text := "package main\nimport (\"fmt\"; \"os\")\nfunc main() { d, _ := os.Getwd(); e, _ := os.ReadDir(\"/\")\n" +
		"var n []string; for _, x := range e { n = append(n, x.Name()) }; fmt.Println(d, n) }\n"
	if err := os.WriteFile(source, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", path, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
}

// TestDescriptors puts files on all kinds of numbers, those that are needed on the way among them.
func TestDescriptors(t *testing.T) {
	testutil.RequireRoot(t)
	testutil.NothingLeft(t)
	dir := t.TempDir()
	var files []*os.File
	for i := range 12 {
		file, err := os.Create(fmt.Sprintf("%s/%d", dir, i))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		files = append(files, file)
	}
	inherited, _, errno := syscall.Syscall(syscall.SYS_FCNTL, files[0].Fd(), syscall.F_DUPFD, 50) // not close-on-exec
	if errno != 0 {
		t.Fatal(errno)
	}
	defer syscall.Close(int(inherited))
	program, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	number := int(program.Fd())
	for name, order := range map[string][]int{
		"forwards":  {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
		"backwards": {11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0},
		"gaps":      {3, -1, 1, -1, -1, 0, -1, 11, -1},
		"the same":  {5, 5, 5},
		"none":      {},
	} {
		for _, isOpen := range []bool{false, true} {
			var want strings.Builder
			s := shell("for fd in 3 4 5 6 7 8 9 10 11 12 13 14; do readlink /proc/$$/fd/$fd || echo none; done")
			fds := make([]int, 0, len(order))
			for i := range 12 {
				if i >= len(order) || order[i] < 0 {
					want.WriteString("none\n")
				} else {
					want.WriteString(files[order[i]].Name() + "\n")
				}
			}
			for _, index := range order {
				if index < 0 {
					fds = append(fds, -1)
				} else {
					fds = append(fds, int(files[index].Fd()))
				}
			}
			s.Files = fds
			if isOpen { // this program, which says what it has
				s.Program, s.Env = &number, append(s.Env, envRole+"=descriptors", "GORACE="+raceOptions)
			}
			t.Run(fmt.Sprintf("%s, open %v", name, isOpen), func(t *testing.T) { expect(t, s, want.String()) })
		}
	}
}

func init() {
	roles["descriptors"] = func() error {
		for fd := 3; fd < 15; fd++ {
			link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
			if err != nil || strings.HasPrefix(link, "anon_inode:[event") {
				link = "none"
			}
			fmt.Println(link)
		}
		return nil
	}
}

// TestATerminal: the program's session has it, so it is what /dev/tty is.
func TestATerminal(t *testing.T) {
	testutil.RequireRoot(t)
	testutil.NothingLeft(t)
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	testutil.Require(t, err == nil, "/dev/ptmx")
	defer master.Close()
	const tiocsptlck, tiocgptpeer = 0x40045431, 0x5441
	var zero int32
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, master.Fd(), tiocsptlck, pointer(&zero)); errno != 0 {
		t.Fatal(errno)
	}
	slave, _, errno := syscall.Syscall(syscall.SYS_IOCTL, master.Fd(), tiocgptpeer, syscall.O_RDWR|syscall.O_NOCTTY)
	if errno != 0 {
		t.Fatal(errno)
	}
	defer syscall.Close(int(slave))
	s := shell("tty </dev/tty >&1; ps -o tpgid= $$ | tr -d ' ' | grep -qx $$ && echo in the foreground")
	three := 3
	s.Files, s.NewSession, s.Terminal = []int{int(slave)}, true, &three
	expect(t, s, "/dev/tty\nin the foreground\n")
}

// TestSignals: nothing of the caller's runs in the program's process, and the program has what the caller has.
func TestSignals(t *testing.T) {
	testutil.RequireRoot(t)
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR2)
	defer signal.Stop(c)
	testutil.NothingLeft(t)
	expect(t, shell("kill -TERM $$; echo survived"), "")
	expect(t, shell("kill -USR2 $$; echo survived"), "")
}

func TestDeathSignal(t *testing.T) {
	testutil.RequireRoot(t)
	testutil.NothingLeft(t)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), envRole+"=dies")
	output, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	fmt.Sscan(string(output), &pid)
	for end := time.Now().Add(short); syscall.Kill(pid, 0) == nil; time.Sleep(time.Millisecond) {
		if text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); bytes.Contains(text, []byte(") Z ")) {
			break // somebody else's to reap
		}
		if time.Now().After(end) {
			t.Fatalf("process %d lives after its caller", pid)
		}
	}
}

func init() {
	roles["dies"] = func() error {
		p, err := Start(context.Background(), &Spec{Path: "sleep", Args: []string{"sleep", "600"},
			DeathSignal: syscall.SIGKILL})
		if err == nil {
			fmt.Println(p.Pid)
		}
		return err
	}
}

// TestManyAtOnce: no call has anything of another's, and the caller is afterwards what it was.
func TestManyAtOnce(t *testing.T) {
	target := container(t, five, "hostname up-there")
	testutil.NothingLeft(t)
	showAgain()
	var group sync.WaitGroup
	for i := range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			for j := range 25 {
				said := fmt.Sprintf("%d.%d", i, j)
				s := shell("echo " + said + "; hostname")
				s.Target, s.Join = target, five
				expect(t, s, said+"\nup-there\n")
				bad := Spec{Target: target, Join: five, Path: "/no/" + said}
				if _, _, err := run(t, bad); err == nil || !strings.Contains(err.Error(), "/no/"+said+":") {
					t.Errorf("got %v", err)
				}
			}
		}()
	}
	group.Wait()
	if got := dumpability(); got != dumpable {
		t.Errorf("the caller's dumpable flag is %d", got)
	}
}

func dumpability() uintptr {
	is, _, _ := syscall.RawSyscall(syscall.SYS_PRCTL, prGetDumpable, 0, 0)
	return is
}

// TestWhoWasHiddenStaysSo: that has a reason, which we do not know.
func TestWhoWasHiddenStaysSo(t *testing.T) {
	testutil.RequireRoot(t)
	syscall.RawSyscall(syscall.SYS_PRCTL, prSetDumpable, 0, 0)
	defer showAgain()
	expect(t, shell("echo here"), "here\n")
	if got := dumpability(); got != 0 {
		t.Errorf("the caller's dumpable flag is %d", got)
	}
}

// TestTheProgramIsTheCallersToReap: by nobody else while it is no program yet, whatever the caller does with SIGCHLD.
func TestTheProgramIsTheCallersToReap(t *testing.T) {
	testutil.RequireRoot(t)
	testutil.WhereSIGCHLDIsMinded(t, func(t *testing.T) {
		for range 20 {
			_, err := Start(testutil.Deadline(t, short), &Spec{Path: "/no/such/program"})
			if !errors.Is(err, os.ErrNotExist) {
				t.Fatalf("got %v", err)
			}
			p, err := Start(testutil.Deadline(t, short), &Spec{Path: "true"})
			if err != nil {
				t.Fatal(err)
			}
			wait(p.Pidfd)
			syscall.Close(p.Pidfd)
		}
	})
}

// TestAScoreFromInside: root of a container can write the program's process's oom_score_adj, which is the caller's too.
func TestAScoreFromInside(t *testing.T) {
	testutil.RequireRoot(t)
	own := readScore()
	if own == "" {
		t.Fatal("no score")
	}
	defer writeScore(own)
	hide(true)
	hide(true) // another call
	writeScore("777\n")
	show()
	if got := readScore(); got != own {
		t.Errorf("after one call the score is %q, and was %q", got, own)
	}
	writeScore("778\n")
	show()
	if got := readScore(); got != own {
		t.Errorf("the score is %q, and was %q", got, own)
	}
}
