// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"nsenter-cpp.example/internal/kernel"
	"nsenter-cpp.example/internal/testutil"
)

// inside is a fixture's script that gives its mount and pid namespace a /proc of its own.
const inside = "mount --make-rprivate /\nmount -t proc proc /proc"

// overwrite is what a hostile process in a container does: it takes hold of the program of a process
// that enters (CVE-2019-5736), waits until nobody executes it, and writes to it. It knows it by its arguments.
var overwrite = Register("test.overwrite", func(ctx context.Context, argument string) (string, error) {
	for ctx.Err() == nil {
		entries, err := os.ReadDir("/proc")
		if err != nil {
			return "", err
		}
		for _, entry := range entries {
			pid, err := strconv.Atoi(entry.Name())
			if err != nil || pid == os.Getpid() || pid == 1 {
				continue
			}
			arguments, _ := os.ReadFile("/proc/" + entry.Name() + "/cmdline")
			file, err := os.Open("/proc/" + entry.Name() + "/exe")
			if err != nil {
				continue
			}
			if bytes.Contains(arguments, []byte(argument)) {
				return "found: " + writeOnceFree(ctx, file), nil
			}
			file.Close()
		}
	}
	return "", ctx.Err()
})

// writeOnceFree writes to a program through a descriptor that was opened while it was executed. Before that it tries to
// make the mount writable on which that is, or another one of the same.
func writeOnceFree(ctx context.Context, file *os.File) string {
	defer file.Close()
	path := fmt.Sprintf("/proc/self/fd/%d", file.Fd())
	paths := []string{path}
	var tried []string
	try := func(what string, err error) { tried = append(tried, fmt.Sprintf("%s: %v", what, err)) }
	try("mount_setattr", setMountAttr(file.Fd(), 0, mountAttrRdonly))
	try("remount", syscall.Mount("", path, "", syscall.MS_REMOUNT|syscall.MS_BIND, ""))
	other, err := os.CreateTemp("", "")
	if err == nil {
		defer os.Remove(other.Name())
		defer other.Close()
		err = syscall.Mount(path, other.Name(), "", syscall.MS_BIND, "")
	}
	if err == nil {
		defer syscall.Unmount(other.Name(), syscall.MNT_DETACH)
		syscall.Mount("", other.Name(), "", syscall.MS_REMOUNT|syscall.MS_BIND, "")
		paths = append(paths, other.Name())
	}
	try("bind", err)
	var empty byte
	tree, _, errno := syscall.Syscall(kernel.Call(openTree), file.Fd(), uintptr(unsafe.Pointer(&empty)),
		openTreeClone|openTreeCloexec|atEmptyPath)
	if errno == 0 {
		defer syscall.Close(int(tree))
		try("mount_setattr of a clone", setMountAttr(tree, 0, mountAttrRdonly))
		paths = append(paths, fmt.Sprintf("/proc/self/fd/%d", tree))
	} else {
		try("open_tree", errno)
	}
	for len(paths) > 0 && ctx.Err() == nil {
		again, err := os.OpenFile(paths[0], os.O_WRONLY, 0)
		if errors.Is(err, syscall.ETXTBSY) {
			time.Sleep(time.Millisecond)
			continue
		}
		if err == nil {
			_, err = again.WriteString("overwritten")
			again.Close()
		}
		if err == nil {
			return "overwritten"
		}
		try("write", err)
		paths = paths[1:]
	}
	return strings.Join(tried, "; ")
}

var linger = Register("test.linger", func(context.Context, struct{}) (struct{}, error) {
	time.Sleep(500 * time.Millisecond)
	return struct{}{}, nil
})

// guardOnly has programs guarded in one way, or with "none" in no way.
func guardOnly(name string) {
	noGuard = name == "none"
	all := guards
	guards = nil
	for _, way := range all {
		if way.name == name {
			guards = append(guards, way)
		}
	}
}

// The victim enters a container, as PATH-less as a program of its own, which it is a copy of. It runs a function
// there, or a program.
func init() {
	roles["victim"] = func() error {
		pid, err := strconv.Atoi(os.Args[1])
		if err != nil {
			return err
		}
		guardOnly(os.Args[2])
		p := &Proc{Target: Of(pid, PID|Mount)}
		if len(os.Args) == 3 {
			_, err = linger.Call(context.Background(), p, struct{}{})
			return err
		}
		c := Command(p, os.Args[3], "wait")
		c.FromCaller = true
		return c.Run(context.Background())
	}
}

func TestTheProgramCannotBeOverwrittenFromInside(t *testing.T) {
	requireRoot(t)
	target := fixture(t, PID|Mount, inside)
	nothingLeft(t)
	ways := []guard{{name: "none"}}
	for _, way := range append(ways, guards...) {
		for _, attacked := range []string{"function", "program"} {
			t.Run(attacked+", "+way.name, func(t *testing.T) {
				if way.name == "read-only mount" {
					requireMountSetattr(t)
				}
				attack(t, target, attacked, way)
			})
		}
	}
}

func attack(t *testing.T, target int, attacked string, way guard) {
	dir := t.TempDir()
	static := filepath.Join(dir, "static")
	buildStatic(t, static)
	executed := filepath.Join(dir, "victim")
	text, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(executed, text, 0o755); err != nil {
		t.Fatal(err)
	}
	victim := inRole("victim", strconv.Itoa(target), way.name)
	victim.Path, victim.Args[0] = executed, executed
	path := executed
	if attacked == "program" {
		path = static
		victim.Args = append(victim.Args, static)
	}
	original, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	attacker := make(chan string)
	ctx := deadline(t, 15*time.Second)
	go func() {
		said, err := overwrite.Call(ctx, &Proc{Target: Of(target, PID|Mount)}, path)
		attacker <- fmt.Sprintf("%s (%v)", said, err)
	}()
	if output, err := victim.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
	said := <-attacker
	now, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	isSame, isOverwritten := bytes.Equal(now, original), strings.Contains(said, "found: overwritten")
	t.Logf("the attacker: %s", said)
	switch {
	case !strings.Contains(said, "found: "):
		t.Error("the attacker has not found it")
	case way.name == "none":
		if isSame || !isOverwritten {
			t.Error("the attack does not work without the guard, so it proves nothing")
		}
	case !isSame:
		t.Error("the program is overwritten")
	case isOverwritten != !way.isShared: // a copy for this one process
		t.Error("what others execute too is overwritten, or what only one does is not")
	}
}

var groups = Register("test.groups", func(context.Context, struct{}) ([]int, error) { return os.Getgroups() })

// The member enters a user namespace, in which its groups are nobody.
func init() {
	roles["member"] = func() error {
		pid, err := strconv.Atoi(os.Args[1])
		if err != nil {
			return err
		}
		own, err := os.Getgroups()
		if err != nil {
			return err
		}
		inside, err := groups.Call(context.Background(), &Proc{Target: Of(pid, All)}, struct{}{})
		fmt.Print(own, inside)
		return err
	}
}

func TestGroupsOfTheCallerStayOutside(t *testing.T) {
	requireRoot(t)
	target := fixture(t, User, "")
	nothingLeft(t)
	cmd := inRole("member", strconv.Itoa(target))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Groups: []uint32{0, 4242}}}
	output, err := cmd.CombinedOutput()
	if err != nil || string(output) != "[0 4242] []" {
		t.Errorf("got %q (%v)", output, err)
	}
}

// TestGroupsOfTheCallerStayOutsideWhereTheyCannotBeSet is about the container of a user who has no subordinate gids.
func TestGroupsOfTheCallerStayOutsideWhereTheyCannotBeSet(t *testing.T) {
	requireRoot(t)
	cmd := inRole("member", strconv.Itoa(testutil.UserSandbox(t)))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Groups: []uint32{0, 4242}}}
	if output, err := cmd.CombinedOutput(); err != nil || string(output) != "[0 4242] []" {
		t.Errorf("got %q (%v)", output, err)
	}
}

var lookUp = Register("test.look-up", func(context.Context, struct{}) (string, error) { return lookUpNames(), nil })

// lookUpNames asks for what programs ask the C library for, or would, were it not told otherwise.
func lookUpNames() string {
	var texts []string
	u, err := user.Lookup("nobody")
	texts = append(texts, fmt.Sprint(u != nil, err))
	_, err = user.Lookup("nobody-of-that-name")
	texts = append(texts, fmt.Sprint(err))
	_, err = user.LookupGroup("no-such-group")
	texts = append(texts, fmt.Sprint(err))
	addresses, err := net.LookupHost("localhost")
	texts = append(texts, fmt.Sprint(len(addresses) > 0, err))
	_, err = net.LookupPort("tcp", "no-such-service")
	texts = append(texts, fmt.Sprint(err != nil))
	return strings.Join(texts, "; ")
}

func init() {
	roles["look-up"] = func() error {
		fmt.Println(lookUpNames())
		return nil
	}
}

// TestNoLibraryOfTheTargetIsLoaded plants a library in a mount namespace, which its nsswitch.conf names
// for everything (CVE-2019-14271).
func TestNoLibraryOfTheTargetIsLoaded(t *testing.T) {
	requireRoot(t)
	libraries, _ := filepath.Glob("/lib/*/libnss_compat.so.2")
	testutil.Require(t, len(libraries) == 1, "glibc with a libnss_compat.so.2, in whose place a library can be put")
	_, err := exec.LookPath("gcc")
	testutil.Require(t, err == nil, "gcc")

	dir := t.TempDir()
	sign := filepath.Join(dir, "loaded")
	source := fmt.Sprintf("#include <fcntl.h>\n__attribute__((constructor)) static void f(void) { open(%q, "+
		"O_CREAT, 0600); }\n", sign)
	if err := os.WriteFile(dir+"/evil.c", []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("gcc", "-shared", "-fPIC", "-o", dir+"/evil.so", dir+"/evil.c")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	var text strings.Builder
	for _, database := range []string{"passwd", "group", "hosts", "services", "initgroups", "networks", "protocols"} {
		fmt.Fprintf(&text, "%s: files compat\n", database)
	}
	if err := os.WriteFile(dir+"/nsswitch.conf", []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	target := fixture(t, Mount, fmt.Sprintf("mount --make-rprivate /\nmount --bind %s/evil.so %s\nmount --bind "+
		"%s/nsswitch.conf /etc/nsswitch.conf",
		dir, libraries[0], dir))
	nothingLeft(t)
	isLoaded := func() bool {
		_, err := os.Stat(sign)
		return err == nil
	}
	p := &Proc{Target: Of(target, Mount)}
	said, err := lookUp.Call(deadline(t, short), p, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	t.Log("looked up without a library of the target: " + said)
	if isLoaded() {
		t.Error("the planted library was loaded")
	}
	// The same program in the same place loads it, where Init has not run in a child: so the trap works.
	c := Command(&Proc{Target: p.Target, Env: []string{envRole + "=look-up"}}, "/proc/self/exe")
	c.FromCaller = true
	output, err := c.CombinedOutput(deadline(t, short))
	if err != nil || !isLoaded() {
		t.Errorf("the planted library is no trap: %s (%v)", output, err)
	}
}

// TestNoLibraryOfTheEnvironmentIsLoadedOutside: the environment of a program can be the container's, in the
// configuration of its image for instance. Libraries that it names are for the program, and not for what starts it.
func TestNoLibraryOfTheEnvironmentIsLoadedOutside(t *testing.T) {
	requireRoot(t)
	_, err := exec.LookPath("gcc")
	testutil.Require(t, err == nil, "gcc")
	dir := t.TempDir()
	said := filepath.Join(dir, "said")
	source := fmt.Sprintf(`#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void f(void) {
  char link[100];
  ssize_t size = readlink("/proc/self/ns/mnt", link, sizeof link - 1);
  link[size++] = '\n';
  write(open(%q, O_WRONLY | O_CREAT | O_APPEND, 0600), link, size);
}
`, said)
	if err := os.WriteFile(dir+"/evil.c", []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("gcc", "-shared", "-fPIC", "-o", dir+"/evil.so", dir+"/evil.c")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	target := fixture(t, Mount, "")
	nothingLeft(t)
	c := Command(&Proc{Target: Of(target, Mount), Env: []string{"LD_PRELOAD=" + dir + "/evil.so"}}, "true")
	c.Attr = &Attr{}
	if output, err := c.CombinedOutput(deadline(t, short)); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	inside, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", target))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(said); err != nil || string(text) != inside+"\n" {
		t.Errorf("the library was loaded in %q (%v), want %q", text, err, inside)
	}
}

// TestEnvironmentOfAProgram: a program has the settings as they are, odd ones too, and none of the caller's.
func TestEnvironmentOfAProgram(t *testing.T) {
	requireRoot(t)
	t.Setenv("GODEBUG", "madvdontneed=1")
	for _, test := range []struct{ env, want []string }{
		{nil, nil},
		{[]string{}, nil},
		{[]string{"A=1", "", "B", "=C=2", "A=3", "E=", "GODEBUG=x=1", "GOTRACEBACK=all"},
			[]string{"A=1", "E=", "B", "=C=2", "GOTRACEBACK=all", "GODEBUG=x=1"}},
	} {
		for _, kinds := range []Namespaces{0, UTS} {
			output, err := Command(&Proc{New: kinds, Env: test.env}, "/usr/bin/env").Output(deadline(t, short))
			if got := strings.Fields(string(output)); err != nil || !slices.Equal(got, test.want) {
				t.Errorf("%q: %q (%v), want %q", test.env, got, err, test.want)
			}
		}
	}
	err := Command(&Proc{Env: []string{"A=\x00"}}, "true").Start(deadline(t, short))
	if !errors.Is(err, syscall.EINVAL) || err.Error() != `within: a NUL in the environment, "A=\x00": invalid argument` {
		t.Errorf("a NUL: %v", err)
	}
}

// TestRecycledPid gives a process's number to another one between the two steps of opening. That is done in a pid
// namespace of its own: nobody else takes the number there, and nobody else's numbers are taken again.
func TestRecycledPid(t *testing.T) {
	requireRoot(t)
	nothingLeft(t)
	const isInside = "NSENTER_TEST_RECYCLES_PIDS"
	if os.Getenv(isInside) != "" {
		err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
		if err == nil {
			err = syscall.Mount("proc", "/proc", "proc", 0, "")
		}
		if err != nil {
			t.Fatal(err)
		}
		recyclePid(t)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(deadline(t, 3*short), self, "-test.run=^TestRecycledPid$", "-test.v")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	cmd.Env = append(os.Environ(), isInside+"=1")
	output, err := cmd.CombinedOutput()
	testutil.Require(t, !strings.Contains(string(output), "--- SKIP"), string(output))
	if err != nil || !strings.Contains(string(output), "--- PASS: TestRecycledPid") {
		t.Errorf("%v\n%s", err, output)
	}
}

func recyclePid(t *testing.T) {
	t.Helper()
	first := exec.Command("/bin/sleep", "60")
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	pid := first.Process.Pid
	folder, err := openFolder(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	pidfd := openPidfd(t, pid)
	defer pidfd.Close()
	opened, err := openNamespaces(folder, pid, Net)
	if err != nil {
		t.Fatal(err)
	}
	closeAll(opened)
	first.Process.Kill()
	first.Wait()

	second := startWithPid(t, pid)
	defer second.Wait()
	defer second.Process.Kill()
	if opened, err := openNamespaces(folder, pid, Net); !errors.Is(err, syscall.ESRCH) {
		closeAll(opened)
		t.Errorf("the namespace of another process: %v", err)
	}
	want := "within: the process of the pidfd has ended: no such process"
	if _, err := OfPidfd(pidfd, Net).open(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// startWithPid starts processes until one has the number, which a thread of ours can take first.
func startWithPid(t *testing.T, pid int) *exec.Cmd {
	t.Helper()
	for range 200 {
		err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(pid-1)), 0)
		if err != nil {
			testutil.Require(t, false, "a kernel that lets pids be chosen: "+err.Error())
		}
		cmd := exec.Command("/bin/sleep", "60")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if cmd.Process.Pid == pid {
			return cmd
		}
		cmd.Process.Kill()
		cmd.Wait()
	}
	t.Fatal("no process was given the number")
	return nil
}

// spawn starts something that would live long.
var spawn = Register("test.spawn", func(ctx context.Context, marker string) (struct{}, error) {
	if err := exec.Command("/bin/sleep", marker).Start(); err != nil {
		return struct{}{}, err
	}
	<-ctx.Done()
	return struct{}{}, ctx.Err()
})

func init() {
	roles["caller"] = func() error {
		p := &Proc{New: User | UTS, Stderr: os.Stderr}
		s, err := p.Start(context.Background())
		if err != nil {
			return err
		}
		go spawn.Call(context.Background(), s, os.Args[1])
		for {
			if _, err := spawn.Call(context.Background(), p, os.Args[1]); err != nil {
				return err
			}
		}
	}
}

// withArgument lists the processes that have an argument.
func withArgument(argument string) []string {
	var list []string
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err == nil && bytes.Contains(text, []byte(argument)) {
			list = append(list, strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return list
}

// TestDeathOfTheCaller kills callers at all times: before, during and after their launches.
func TestDeathOfTheCaller(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	marker := fmt.Sprintf("60000.%d", os.Getpid())
	name := "caller-" + marker
	var saw int
	step := time.Millisecond
	if testing.Short() { // for slow machines
		step *= 20
	}
	const attempts = 40
	for n := range attempts {
		caller := inRole("caller")
		caller.Args = []string{name, marker} // children have the first of them
		if err := caller.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(n) * step)
		calls := len(withArgument(marker)) > 3
		// One is given the time that it needs to call, on a machine that is busy.
		for end := time.Now().Add(short); n == attempts-1 && saw == 0 && !calls && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
			calls = len(withArgument(marker)) > 3
		}
		if calls {
			saw++
		}
		caller.Process.Kill()
		caller.Wait()
	}
	var left []string
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if left = withArgument(marker); len(left) == 0 {
			break
		}
	}
	if len(left) > 0 {
		t.Errorf("left after their callers' death: %q", left)
	}
	if saw == 0 {
		t.Error("no caller lived long enough to call")
	}
}

var orphans = Register("test.orphans", func(ctx context.Context, n int) (string, error) {
	// Each shell leaves an orphan behind, and its own status is for us.
	for range n {
		if err := exec.Command("/bin/sh", "-c", "(sleep 0.02; exit 1) & exit 7").Run(); err == nil ||
			err.Error() != "exit status 7" {
			return "", fmt.Errorf("a child of our own: %w", err)
		}
	}
	time.Sleep(200 * time.Millisecond)
	var zombies []string
	paths, _ := filepath.Glob("/proc/self/task/*/children")
	for _, path := range paths {
		text, _ := os.ReadFile(path)
		zombies = append(zombies, strings.Fields(string(text))...)
	}
	return fmt.Sprintf("pid %d, zombies %q", os.Getpid(), zombies), nil
})

var mountProc = Register("test.mount-proc", func(context.Context, struct{}) (struct{}, error) {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, syscall.Mount("proc", "/proc", "proc", 0, "")
})

func TestPidOneReapsOrphansAndNobodyElse(t *testing.T) {
	requireRoot(t)
	nothingLeft(t)
	s, err := (&Proc{New: PID | Mount, Env: []string{"PATH=/usr/bin:/bin"}}).Start(deadline(t, short))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := mountProc.Call(deadline(t, short), s, struct{}{}); err != nil {
		t.Fatal(err)
	}
	said, err := orphans.Call(deadline(t, short), s, 20)
	if want := "pid 1, zombies []"; said != want || err != nil {
		t.Errorf("got %s (%v), want %s", said, err, want)
	}
}

// commands runs commands in goroutines, of which Go takes one thread after the other for other calls.
var commands = Register("test.commands", func(_ context.Context, n int) (string, error) {
	const goroutines = 4
	errs := make(chan error, goroutines*n)
	for range goroutines {
		go func() {
			for range n {
				command := exec.Command("/bin/sleep", "0.02")
				output, err := command.StdoutPipe()
				if err == nil {
					err = command.Start()
				}
				if err == nil {
					io.Copy(io.Discard, output)
					err = command.Wait()
				}
				errs <- err
			}
		}()
	}
	var all error
	for range goroutines * n {
		all = errors.Join(all, <-errs)
	}
	return "", all
})

// started is what one call has started and the next waits for.
var (
	started *exec.Cmd
	start   = Register("test.start", func(context.Context, struct{}) (struct{}, error) {
		started = exec.Command("/bin/sleep", "0.003")
		return struct{}{}, started.Start()
	})
	wait = Register("test.wait", func(context.Context, struct{}) (struct{}, error) {
		time.Sleep(10 * time.Millisecond) // it has ended
		return struct{}{}, started.Wait()
	})
)

func TestPidOneLosesNoCommand(t *testing.T) {
	requireRoot(t)
	nothingLeft(t)
	s, err := (&Proc{New: PID, Env: []string{"PATH=/usr/bin:/bin"}}).Start(deadline(t, 4*short))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 20 {
		if _, err := start.Call(deadline(t, short), s, struct{}{}); err != nil {
			t.Fatal(err)
		}
		if _, err := wait.Call(deadline(t, short), s, struct{}{}); err != nil {
			t.Fatalf("what an earlier call has started: %v", err)
		}
	}
	beside := make(chan error)
	ctx, stop := context.WithCancel(deadline(t, 2*short))
	defer stop()
	go func() {
		for {
			if _, err := thread.Call(ctx, s, struct{}{}); err != nil {
				beside <- err
				return
			}
		}
	}()
	if _, err := commands.Call(deadline(t, 2*short), s, 40); err != nil {
		t.Errorf("commands of goroutines: %v", err)
	}
	stop()
	if err := <-beside; !errors.Is(err, context.Canceled) {
		t.Errorf("calls beside: %v", err)
	}
}

// useGuards has a test guard programs in these ways only.
func useGuards(t *testing.T, names ...string) {
	all := guards
	t.Cleanup(func() { guards = all })
	guards = nil
	for _, way := range all {
		if slices.Contains(names, way.name) {
			guards = append(guards, way)
		}
	}
}

// forgetGuarded gives back all programs that nobody starts.
func forgetGuarded() {
	guardedPrograms.Lock()
	defer guardedPrograms.Unlock()
	for id, g := range guardedPrograms.byID {
		if g.users == 0 {
			g.idle.Stop()
			g.file.Close()
			delete(guardedPrograms.byID, id)
		}
	}
}

// TestGuardedProgramsAreTheSame, cannot be written to, and are given back when nobody has used them for a while.
func TestGuardedProgramsAreTheSame(t *testing.T) {
	sum := func(path string) [32]byte {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return sha256.Sum256(text)
	}
	before := patienceForUsers
	t.Cleanup(func() { patienceForUsers = before })
	for _, way := range guards {
		t.Run(way.name, func(t *testing.T) {
			forgetGuarded()
			nothingLeft(t)
			useGuards(t, way.name)
			program, err := os.Open(ownProgram)
			if err != nil {
				t.Fatal(err)
			}
			defer program.Close()
			patienceForUsers = 50 * time.Millisecond
			file, release, err := guardProgram(program)
			if way.name == "read-only mount" {
				testutil.Require(t, !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.ENOSYS), "root and Linux 5.12")
			}
			if err != nil {
				t.Fatal(err)
			}
			if sum(fmt.Sprintf("/proc/self/fd/%d", file.Fd())) != sum("/proc/self/exe") {
				t.Error("it is another program")
			}
			if _, err := file.WriteAt([]byte{0}, 0); err == nil {
				t.Errorf("it can be written to")
			}
			again, releaseAgain, err := guardProgram(program)
			if (again == file) != way.isShared || err != nil {
				t.Errorf("one for all: %v, want %v (%v)", again == file, way.isShared, err)
			}
			release()
			release()
			time.Sleep(100 * time.Millisecond)
			if _, err := again.Stat(); err != nil {
				t.Errorf("it was taken away from who uses it: %v", err)
			}
			releaseAgain()
			for end := time.Now().Add(short); ; time.Sleep(time.Millisecond) {
				if _, err := again.Stat(); errors.Is(err, os.ErrClosed) {
					break
				}
				if time.Now().After(end) {
					t.Fatal("it is not given back")
				}
			}
		})
	}
}

// TestGuardedProgramsFollowTheFile: what was written since is what is executed.
func TestGuardedProgramsFollowTheFile(t *testing.T) {
	for _, way := range guards {
		t.Run(way.name, func(t *testing.T) {
			forgetGuarded()
			useGuards(t, way.name)
			path := filepath.Join(t.TempDir(), "program")
			for _, want := range []string{"first", "other"} {
				if err := os.WriteFile(path, []byte(want), 0o755); err != nil {
					t.Fatal(err)
				}
				program, err := os.Open(path)
				if err != nil {
					t.Fatal(err)
				}
				defer program.Close()
				file, release, err := guardProgram(program)
				if way.name == "read-only mount" {
					testutil.Require(t, !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.ENOSYS), "root and Linux 5.12")
				}
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(io.NewSectionReader(file, 0, 100))
				if string(text) != want || err != nil {
					t.Errorf("got %q (%v), want %s", text, err, want)
				}
				release()
				time.Sleep(20 * time.Millisecond) // a tick of the clock of files
			}
			forgetGuarded()
		})
	}
}

var ownExe = Register("test.own-exe", func(context.Context, struct{}) (string, error) {
	return os.Readlink("/proc/self/exe")
})

// TestWhoIsGuarded: whoever is where others could get at this program, or execute it.
func TestWhoIsGuarded(t *testing.T) {
	requireUserNamespaces(t)
	forgetGuarded()
	nothingLeft(t)
	useGuards(t, "sealed copy in memory")
	defer forgetGuarded()
	for _, c := range []struct {
		kinds  Namespaces
		sealed bool
	}{{User, false}, {User | Net, false}, {User | PID, true}, {User | Mount, true}} {
		got, err := ownExe.Call(deadline(t, short), &Proc{New: c.kinds}, struct{}{})
		if err != nil || strings.HasPrefix(got, "/memfd:within") != c.sealed {
			t.Errorf("%v: %s (%v)", c.kinds, got, err)
		}
	}
}

var descriptors = Register("test.descriptors", func(context.Context, struct{}) ([]string, error) {
	entries, err := os.ReadDir("/proc/self/fd")
	var list []string
	for _, entry := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil {
			list = append(list, target)
		}
	}
	return list, err
})

// TestWhatTheCallerHasOpenIsNotInside: a descriptor without close-on-exec, a directory of the host's for instance
// (CVE-2024-21626), is with neither a function nor a program. The last is above the number of the sealed copy.
func TestWhatTheCallerHasOpenIsNotInside(t *testing.T) {
	requireUserNamespaces(t)
	folder := t.TempDir()
	fd, err := syscall.Open(folder, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	for _, lowest := range []uintptr{9, 100, 300} {
		copied, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD, lowest)
		if errno != 0 {
			t.Fatal(errno)
		}
		defer syscall.Close(int(copied))
	}
	given, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer given.Close()
	for _, kinds := range []Namespaces{User, User | PID | Mount} {
		for _, files := range [][]*os.File{nil, {given}, {given, given, given, given, given, given, given, given}} {
			p := &Proc{New: kinds, ExtraFiles: files}
			list, err := descriptors.Call(deadline(t, short), p, struct{}{})
			if err != nil || strings.Contains(strings.Join(list, "\n"), folder) {
				t.Errorf("%v, %d files: a function has %q (%v)", kinds, len(files), list, err)
			}
			text, err := Command(p, "ls", "-l", "/proc/self/fd/").Output(deadline(t, short))
			if err != nil || strings.Contains(string(text), folder) {
				t.Errorf("%v, %d files: a program has\n%s (%v)", kinds, len(files), text, err)
			}
		}
	}
}

func TestGuardingIsTriedAgain(t *testing.T) {
	forgetGuarded()
	program, err := os.Open(ownProgram)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	// Not Setrlimit, after which Go gives children this limit and not the one it was started with.
	limit := func(soft *syscall.Rlimit, previous *syscall.Rlimit) {
		t.Helper()
		if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, 0, syscall.RLIMIT_NOFILE,
			uintptr(unsafe.Pointer(soft)), uintptr(unsafe.Pointer(previous)), 0, 0); errno != 0 {
			t.Fatal(errno)
		}
	}
	var before syscall.Rlimit
	limit(nil, &before)
	limit(&syscall.Rlimit{Cur: 0, Max: before.Max}, nil)
	_, _, err = guardProgram(program)
	limit(&before, nil)
	var failed *GuardError
	if !errors.Is(err, syscall.EMFILE) || !errors.As(err, &failed) || len(failed.Errs) != len(guards) {
		t.Errorf("without descriptors: %v", err)
	}
	_, release, err := guardProgram(program)
	if err != nil {
		t.Fatalf("with descriptors: %v", err)
	}
	release()
}

// TestAMountThatIsMountedCouldBeMadeWritable: so it matters that nothing keeps it mounted.
func TestAMountThatIsMountedCouldBeMadeWritable(t *testing.T) {
	requireRoot(t)
	program, err := os.Open(ownProgram)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	var empty byte
	tree, _, errno := syscall.Syscall(kernel.Call(openTree), program.Fd(), uintptr(unsafe.Pointer(&empty)),
		openTreeClone|openTreeCloexec|atEmptyPath)
	testutil.Require(t, errno == 0, "open_tree, of Linux 5.2")
	if err := setMountAttr(tree, mountAttrRdonly, 0); err != nil {
		testutil.Require(t, false, "mount_setattr, of Linux 5.12")
	}
	file, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", tree))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := checkReadOnly(file); err == nil || err.Error() != "the mount can be changed" {
		t.Errorf("mounted: %v", err)
	}
	syscall.Close(int(tree))
	if err := checkReadOnly(file); err != nil {
		t.Errorf("no longer mounted: %v", err)
	}
	if err := setMountAttr(file.Fd(), 0, mountAttrRdonly); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("no longer mounted: %v", err)
	}
}

func requireMountSetattr(t *testing.T) {
	t.Helper()
	testutil.Require(t, !errors.Is(setMountAttr(^uintptr(0), mountAttrRdonly, 0), syscall.ENOSYS), "Linux 5.12")
}

// This caller calls from a cgroup that has less memory than the program is large.
func init() {
	roles["large"] = func() error {
		if err := os.WriteFile(filepath.Join(os.Args[1], "cgroup.procs"), []byte("0"), 0); err != nil {
			return err
		}
		if os.Args[2] == "copy" {
			guards = guards[1:]
		}
		_, err := thread.Call(context.Background(), &Proc{New: Mount}, struct{}{})
		return err
	}
}

// TestLargeProgramInASmallCgroup: nothing of it is copied.
func TestLargeProgramInASmallCgroup(t *testing.T) {
	requireRoot(t)
	requireMountSetattr(t)
	limit := "memory.limit_in_bytes"
	f, err := tryCgroup(t, 1, "memory")
	if err != nil { // Linux 6.12 of Debian has it no more
		f, limit = newCgroup(t, 2, ""), "memory.max"
		_, err := os.Stat(filepath.Join(f.path, limit))
		testutil.Require(t, err == nil, "the memory controller of cgroups")
	}
	f.write(limit, fmt.Sprint(64<<20))
	large := filepath.Join(t.TempDir(), "large")
	text, err := os.ReadFile(ownProgram)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(large, append(text, make([]byte, 125<<20)...), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"mount", "copy"} {
		caller := inRole("large", f.path, what)
		caller.Path = large
		caller.ExtraFiles = []*os.File{f.root}
		caller.Args[1] = strings.Replace(f.path, fmt.Sprintf("/%d/", f.root.Fd()), "/3/", 1)
		output, err := caller.CombinedOutput()
		if (err == nil) != (what == "mount") {
			t.Errorf("%s: %v, %s", what, err, output)
		}
	}
}

// This caller lives where memory cannot be executed.
func init() {
	roles["no-executable-memory"] = func() error {
		if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
			return err
		}
		if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
			return err
		}
		if err := os.WriteFile("/proc/sys/vm/memfd_noexec", []byte("2"), 0); err != nil {
			return fmt.Errorf("sysctl: %w", err)
		}
		call := func() error {
			v, err := look.Call(context.Background(), &Proc{New: User | PID}, struct{}{})
			if err == nil && v.Pid != 1 {
				err = fmt.Errorf("pid %d", v.Pid)
			}
			return err
		}
		all := guards
		for _, way := range all {
			forgetGuarded()
			guards = []guard{way}
			fmt.Printf("%s: %v\n", way.name, call())
		}
		forgetGuarded()
		guards = all[1:]
		fmt.Printf("together: %v\n", call())
		return nil
	}
}

// TestWhereMemoryCannotBeExecuted (sysctl vm.memfd_noexec) there are other ways, and the error of this one says why.
func TestWhereMemoryCannotBeExecuted(t *testing.T) {
	requireRoot(t)
	_, err := os.Stat("/proc/sys/vm/memfd_noexec")
	testutil.Require(t, err == nil, "Linux 6.3")
	caller := inRole("no-executable-memory")
	if caller.Path, err = os.Readlink(ownProgram); err != nil { // by its path, so from the new mount namespace
		t.Fatal(err)
	}
	caller.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	output, err := caller.CombinedOutput()
	info, statErr := os.Stat(ownProgram)
	if statErr != nil {
		t.Fatal(statErr)
	}
	want := fmt.Sprintf(`read-only mount: <nil>
sealed copy in memory: within: failed to guard /proc/self/exe (%d KiB) against being overwritten from inside: `+
		`sealed copy in memory: memfd_create: permission denied (sysctl vm.memfd_noexec is 2, and it needs 0 or 1)
unlinked copy: <nil>
together: <nil>
`, (info.Size()+1023)/1024)
	if err != nil || string(output) != want {
		t.Errorf("got %s (%v), want %s", output, err, want)
	}
}

// TestCopyIsExecutedWhateverNumbersFilesHave: when a child's files are put on their numbers, some are moved out of the
// way first, to above the highest of them, and the copy of the program may be there.
func TestCopyIsExecutedWhateverNumbersFilesHave(t *testing.T) {
	requireRoot(t)
	target := fixture(t, Mount|UTS, "hostname up-there")
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for lowest := uintptr(3); lowest < 40; lowest++ {
		fd, _, errno := syscall.Syscall(syscall.SYS_FCNTL, null.Fd(), syscall.F_DUPFD_CLOEXEC, lowest)
		if errno != 0 {
			t.Fatal(errno)
		}
		file := os.NewFile(fd, os.DevNull)
		p := &Proc{Target: Of(target, Mount|UTS), ExtraFiles: []*os.File{file}}
		if name, err := hostname.Call(deadline(t, short), p, struct{}{}); err != nil || name != "up-there" {
			t.Errorf("with a file on %d: got %q, %v", fd, name, err)
		}
		file.Close()
	}
}

func init() {
	roles["few-descriptors"] = func() error {
		name, err := hostname.Call(context.Background(), &Proc{New: User | PID | UTS}, struct{}{})
		if err == nil && name == "" {
			err = errors.New("no name")
		}
		return err
	}
}

// TestLimitOfDescriptors: a low one is enough, and one that is not is named.
func TestLimitOfDescriptors(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	named := 0
	for _, limit := range []int{200, 100, 40, 25, 22, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10} {
		cmd := inRole("few-descriptors")
		cmd.Path = "/bin/sh"
		cmd.Args = []string{"sh", "-c", fmt.Sprintf("ulimit -n %d; exec /proc/%d/exe", limit, os.Getpid())}
		output, err := cmd.CombinedOutput()
		switch {
		case err == nil:
		case limit >= 40:
			t.Errorf("with a limit of %d: %v, %s", limit, err, output)
		case strings.Contains(string(output), "RLIMIT_NOFILE"), strings.Contains(string(output), "too many open files"):
			named++
		default:
			t.Errorf("with a limit of %d: %v, %s", limit, err, output)
		}
		t.Logf("%d: %s", limit, output)
	}
	if named == 0 {
		t.Error("no limit was too low")
	}
}
