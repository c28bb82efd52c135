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
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"nsenter-cpp.example/internal/testutil"
)

// awaitNobody waits until no process has an argument.
func awaitNobody(t *testing.T, argument string) {
	t.Helper()
	var left []string
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if left = withArgument(argument); len(left) == 0 {
			return
		}
	}
	t.Errorf("left after their caller's death: %q", left)
	for _, pid := range pidsWithArgument(argument) {
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

func pidsWithArgument(argument string) (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		var pid int
		text, err := os.ReadFile("/proc/" + entry.Name() + "/cmdline")
		if _, notPid := fmt.Sscan(entry.Name(), &pid); err == nil && notPid == nil && bytes.Contains(text, []byte(argument)) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// These callers start one process, say its pid and wait to be killed.
func init() {
	stay := func(pid int) error {
		fmt.Println(pid)
		time.Sleep(time.Minute)
		return errors.New("nobody has killed the caller")
	}
	roles["caller-of-a-session"] = func() error {
		s, err := (&Proc{New: User}).Start(context.Background())
		if err != nil {
			return err
		}
		if _, err := thread.Call(context.Background(), s, struct{}{}); err != nil {
			return err
		}
		syscall.Kill(s.Pid(), syscall.SIGSTOP)
		return stay(s.Pid())
	}
	roles["caller-of-a-program"] = func() error {
		p := &Proc{New: User}
		for _, word := range os.Args[2:] {
			switch word {
			case "pid":
				p.New |= PID
			case "started":
				p.Started = func(int) error { return nil }
			}
		}
		c := Command(p, "/bin/sleep", os.Args[1])
		c.DieWithCaller = os.Args[2] == "dies"
		if err := c.Start(context.Background()); err != nil {
			return err
		}
		return stay(c.Process.Pid)
	}
}

// startCaller starts a caller in a role, and returns the pid that it says.
func startCaller(t *testing.T, role string, arguments ...string) (caller *exec.Cmd, pid int) {
	t.Helper()
	caller = inRole(role, arguments...)
	output, err := caller.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	caller.Stderr = os.Stderr
	if err := caller.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fscan(output, &pid); err != nil {
		t.Fatal(err)
	}
	return caller, pid
}

// TestAStoppedProcessEndsWithItsCaller: it does not read that he has ended, so it has to be woken up.
func TestAStoppedProcessEndsWithItsCaller(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	name := fmt.Sprintf("stopped-%d", os.Getpid())
	caller := inRole("caller-of-a-session")
	caller.Args = []string{name} // children have the same
	output, err := caller.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := caller.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(output, &pid); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(short); ; time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if strings.Contains(string(text), ") T ") {
			break
		}
		if err != nil || time.Now().After(end) {
			t.Fatalf("not stopped: %s (%v)", text, err)
		}
	}
	caller.Process.Kill()
	caller.Wait()
	awaitNobody(t, name)
}

// TestProgramsDieWithTheirCaller if they are to, be they stopped, and otherwise do not.
func TestProgramsDieWithTheirCaller(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	for i, c := range []struct {
		arguments []string
		stopped   bool
	}{
		{[]string{"dies"}, false}, {[]string{"dies"}, true}, {[]string{"dies", "pid"}, true},
		{[]string{"dies", "started"}, false}, {[]string{"lives"}, false},
	} {
		marker := fmt.Sprintf("6000%d.%d", i, os.Getpid())
		caller, pid := startCaller(t, "caller-of-a-program", append([]string{marker}, c.arguments...)...)
		if c.stopped {
			syscall.Kill(pid, syscall.SIGSTOP)
		}
		caller.Process.Kill()
		caller.Wait()
		if c.arguments[0] == "dies" {
			awaitNobody(t, marker)
			continue
		}
		time.Sleep(200 * time.Millisecond)
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Errorf("a program that was not to die with its caller: %v", err)
		}
	}
}

// TestDeathOfTheCallerOfAProgram kills callers at all times, before, during and after the start.
func TestDeathOfTheCallerOfAProgram(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	marker := fmt.Sprintf("60010.%d", os.Getpid())
	step := 250 * time.Microsecond
	if testing.Short() {
		step *= 20
	}
	saw := 0
	for n := range 80 {
		caller := inRole("caller-of-a-program", marker, "dies")
		if err := caller.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(n) * step)
		if len(withArgument("/bin/sleep\x00"+marker)) > 0 {
			saw++
		}
		caller.Process.Kill()
		caller.Wait()
	}
	t.Logf("%d of 80 lived to see their program", saw)
	awaitNobody(t, marker)
}

// TestAThreadsDeathIsNotTheCallers: the thread that starts a program may end before that does. The namespaces that
// are not joined are those of that thread.
func TestAThreadsDeathIsNotTheCallers(t *testing.T) {
	requireRoot(t)
	nothingLeft(t)
	started := make(chan *Cmd)
	var tid int
	var output bytes.Buffer
	go func() {
		defer close(started)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		tid = syscall.Gettid()
		if err := syscall.Unshare(syscall.CLONE_NEWUTS); err != nil {
			t.Error(err)
			return
		}
		syscall.Sethostname([]byte("of-this-thread"))
		c := Command(&Proc{New: IPC, Stdin: slowReader{}, Stdout: &output}, "sh", "-c", "hostname; read line; exit 7")
		c.DieWithCaller = true
		if err := c.Start(deadline(t, short)); err != nil {
			t.Error(err)
			return
		}
		started <- c
	}()
	c, ok := <-started
	if !ok {
		return
	}
	<-started
	testutil.Require(t, tid != os.Getpid(), "a thread that can end")
	var exit *exec.ExitError
	if err := c.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 7 || output.String() != "of-this-thread\n" {
		t.Errorf("got %v, %q", err, output.String())
	}
}

// slowReader has its end after a while.
type slowReader struct{}

func (slowReader) Read([]byte) (int, error) {
	time.Sleep(300 * time.Millisecond)
	return 0, errors.New("no input")
}

// TestStartsOfProgramsThatDieWithTheCaller fail as others do, and leave nothing; also no thread.
func TestStartsOfProgramsThatDieWithTheCaller(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	command := func(p *Proc, name string) *Cmd {
		c := Command(p, name)
		c.DieWithCaller = true
		return c
	}
	if err := command(&Proc{New: User}, "no-such-program").Run(deadline(t, short)); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("a program that is not there: %v", err)
	}
	refusal := errors.New("no room")
	p := &Proc{New: User, Started: func(int) error { return refusal }}
	if err := command(p, "true").Run(deadline(t, short)); !errors.Is(err, refusal) {
		t.Errorf("Started that refuses: %v", err)
	}
	p.Started = func(int) error { panic("at the disco") }
	if got := panicOf(func() { command(p, "true").Run(deadline(t, short)) }); got != "at the disco" {
		t.Errorf("Started that panics: %s", got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.Started = func(int) error { cancel(); return nil }
	if err := command(p, "true").Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that ends: %v", err)
	}
	threads := func() int {
		list, _ := os.ReadDir("/proc/self/task")
		return len(list)
	}
	before := threads()
	for range 50 {
		if err := command(&Proc{New: User}, "true").Run(deadline(t, short)); err != nil {
			t.Error(err)
		}
	}
	for end := time.Now().Add(short); threads() > before+10; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("%d threads, and %d before", threads(), before)
			break
		}
	}
}
