// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package parent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"nsenter-cpp.example/internal/kernel"
	"nsenter-cpp.example/internal/launch"
	"nsenter-cpp.example/internal/testutil"
	"nsenter-cpp.example/nsenter/bootstrap"
)

// converse sends a document to an init process, and demands that it comes back by standard output and
// that the process ends with its status.
func converse(t *testing.T, i *Init, output *os.File) {
	t.Helper()
	const document = `{"to":"the Go side"}` + "\n"
	if _, err := io.WriteString(i.Conn, document); err != nil {
		t.Error(err)
	}
	if err := i.closeWrite(); err != nil {
		t.Error(err)
	}
	output.SetReadDeadline(time.Now().Add(10 * time.Second))
	said, err := io.ReadAll(output)
	if want := "ready\n" + document; err != nil || string(said) != want {
		t.Errorf("the init process said %q (%v), want %q", said, err, want)
	}
	state, err := i.Wait()
	if err != nil || state.ExitCode() != 7 {
		t.Errorf("the init process ended with %v (%v), want exit status 7", state, err)
	}
}

// closeWrite tells the init process that nothing more will come.
func (i *Init) closeWrite() error {
	raw, err := i.Conn.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	if err := raw.Control(func(fd uintptr) { result = syscall.Shutdown(int(fd), syscall.SHUT_WR) }); err != nil {
		return err
	}
	return result
}

// outputOf gives a command a pipe for its standard output; theirs is to be closed after the start.
func outputOf(t *testing.T, c *Cmd) (ours, theirs *os.File) {
	t.Helper()
	ours, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	c.Stdout = theirs
	return ours, theirs
}

func TestBothOrders(t *testing.T) {
	requireRoot(t)
	target := fixture(t, bootstrap.UTS|bootstrap.Net|bootstrap.IPC)
	joins := []bootstrap.Join{
		{Kind: bootstrap.UTS, Path: fmt.Sprintf("/proc/%d/ns/uts", target)},
		{Kind: bootstrap.Net, Path: fmt.Sprintf("/proc/%d/ns/net", target)},
	}
	ids := []bootstrap.IDRange{{Inside: 0, Outside: 100000, Count: 65536}}
	for name, m := range map[string]bootstrap.Message{
		"nothing": {},
		"create":  {Create: bootstrap.PID | bootstrap.Mount},
		"join":    {Join: joins},
		"both":    {Join: joins, Create: bootstrap.IPC},
		"helper":  {Create: bootstrap.User | bootstrap.Net, UIDMap: ids, GIDMap: ids},
	} {
		for order, orderName := range []string{ReadFirst: "read first", WaitFirst: "wait first"} {
			t.Run(name+", "+orderName, func(t *testing.T) {
				nothingLeft(t)
				c := self(&m)
				c.Order = Order(order)
				output, theirs := outputOf(t, c)
				i, err := c.Start(deadline(t, 20*time.Second))
				if err != nil {
					t.Fatal(err)
				}
				theirs.Close()
				own := os.Getpid()
				for _, kind := range m.Create.Each() {
					if namespaceOf(t, i.Pid, kind) == namespaceOf(t, own, kind) {
						t.Errorf("the %v namespace is not new", kind)
					}
				}
				for _, join := range m.Join {
					if namespaceOf(t, i.Pid, join.Kind) != namespaceOf(t, target, join.Kind) {
						t.Errorf("the %v namespace is not joined", join.Kind)
					}
				}
				pidfd, err := i.Pidfd()
				if err != nil {
					t.Error(err)
				}
				pidfd.Close()
				converse(t, i, output)
				if err := i.Kill(); !errors.Is(err, os.ErrProcessDone) {
					t.Errorf("killing what has been waited for: %v", err)
				}
			})
		}
	}
}

func TestClassic(t *testing.T) {
	requireRoot(t)
	target := fixture(t, bootstrap.UTS|bootstrap.Net|bootstrap.PID)
	nothingLeft(t)
	c := self(nil)
	c.Classic = &Classic{Pid: target}
	c.Stderr = nil
	output, theirs := outputOf(t, c)
	i, err := c.Start(deadline(t, 20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	for _, kind := range (bootstrap.UTS | bootstrap.Net | bootstrap.PID).Each() {
		if namespaceOf(t, i.Pid, kind) != namespaceOf(t, target, kind) {
			t.Errorf("the %v namespace is not joined", kind)
		}
	}
	converse(t, i, output)
}

func TestClassicConsole(t *testing.T) {
	requireRoot(t)
	target := fixture(t, bootstrap.UTS)
	nothingLeft(t)
	terminal, name := openTerminal(t)
	c := self(nil)
	c.Classic = &Classic{Pid: target, Console: name}
	c.Stderr = nil
	i, err := c.Start(deadline(t, 20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	// One read of a terminal may give a part of what was written in one call.
	said := make([]byte, len("ready\r\n"))
	if n, err := io.ReadFull(terminal, said); err != nil || string(said) != "ready\r\n" {
		t.Errorf("on the terminal is %q (%v)", said[:n], err)
	}
	i.Kill()
	if state, err := i.Wait(); err != nil || state.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("%v, %v", state, err)
	}
}

func openTerminal(t *testing.T) (terminal *os.File, name string) {
	t.Helper()
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	var number, unlock uint32
	for request, value := range map[uintptr]*uint32{syscall.TIOCGPTN: &number, syscall.TIOCSPTLCK: &unlock} {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, terminal.Fd(), request, uintptr(unsafe.Pointer(value)))
		if errno != 0 {
			t.Fatal(errno)
		}
	}
	return terminal, fmt.Sprintf("/dev/pts/%d", number)
}

func TestRefusedBeforeAnythingStarts(t *testing.T) {
	nothingLeft(t)
	message := &bootstrap.Message{}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	for want, c := range map[string]Cmd{
		"parent: no Path": {Message: message},
		"parent: one of Message and Classic must be given": {Path: "/x"},
		"parent: no process has the pid 0":                 {Path: "/x", Classic: &Classic{}},
		"parent: BeforeMessage and Logger are for Message only": {Path: "/x",
			Classic: &Classic{Pid: 1}, Logger: slog.Default()},
		"parent: CLONE_FLAGS has bits that are no namespace: 1": {Path: "/x", Message: &bootstrap.Message{Create: 1}},
		"fork/exec /no/such/program: no such file or directory": {Path: "/no/such/program", Message: message},
		"parent: Setpgid, Pgid, Foreground and PidFD of SysProcAttr are not the caller's": {
			Path: "/x", Message: message, SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
		},
	} {
		if _, err := c.Start(context.Background()); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := self(message).Start(over); err != context.Canceled {
		t.Errorf("with a context that is over: %v", err)
	}
	cause := errors.New("the cause")
	caused, cancelFor := context.WithCancelCause(context.Background())
	cancelFor(cause)
	if _, err := self(message).Start(caused); err != cause {
		t.Errorf("with a context that is over for a cause: %v", err)
	}
}

func TestFatalLineIsATypedError(t *testing.T) {
	requireRoot(t)
	nothingLeft(t)
	own := "/proc/self/ns/net"
	// Kernels before 6.13 do not tell a 32-bit process if they are 64-bit ones themselves.
	file, err := os.Open(own)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), kernel.NsGetNstype, 0)
	testutil.Require(t, errno == 0, "a kernel that tells this process types of namespaces")
	for _, c := range []struct {
		join bootstrap.Join
		want FatalError
		is   error
	}{
		{
			bootstrap.Join{Kind: bootstrap.Net, Path: "/no/such file"},
			FatalError{
				Text: "failed to open net namespace /no/such file: No such file or directory",
				Step: "failed to open net namespace", Namespace: bootstrap.Net, Path: "/no/such file", Errno: syscall.ENOENT,
			},
			os.ErrNotExist,
		},
		{
			bootstrap.Join{Kind: bootstrap.UTS, Path: own},
			FatalError{
				Text: "failed to join uts namespace /proc/self/ns/net: it is a net namespace",
				Step: "failed to join uts namespace", Namespace: bootstrap.UTS, Path: own,
			},
			nil,
		},
	} {
		for _, order := range []Order{ReadFirst, WaitFirst} {
			command := self(&bootstrap.Message{Join: []bootstrap.Join{c.join}})
			command.Order = order
			_, err := command.Start(deadline(t, 20*time.Second))
			var fatal *FatalError
			if !errors.As(err, &fatal) {
				t.Fatalf("no fatal line: %v", err)
			}
			c.want.Pid, c.want.Stage = fatal.Pid, -1
			if *fatal != c.want || fatal.Pid == 0 {
				t.Errorf("got  %+v\nwant %+v", *fatal, c.want)
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%v is not %v", err, c.is)
			}
		}
	}
}

func TestClassicFatalLine(t *testing.T) {
	requireRoot(t)
	nothingLeft(t)
	c := self(nil)
	c.Classic = &Classic{Pid: 4194305} // more than any pid
	c.Stderr = nil
	_, err := c.Start(deadline(t, 20*time.Second))
	var fatal *FatalError
	if !errors.As(err, &fatal) || fatal.Errno != syscall.ENOENT || fatal.Path != "/proc/4194305/ns" {
		t.Errorf("%+v (%v)", fatal, err)
	}
}

// TestClassicFatalLineIsSaidTwice: it is the error, and it still arrives where standard error is to go, with
// what the program itself says there.
func TestClassicFatalLineIsSaidTwice(t *testing.T) {
	requireRoot(t)
	nothingLeft(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	c := self(nil)
	c.Classic = &Classic{Pid: 4194305}
	c.Stderr = write
	_, err = c.Start(deadline(t, 20*time.Second))
	var fatal *FatalError
	if !errors.As(err, &fatal) || fatal.Errno != syscall.ENOENT {
		t.Errorf("not a fatal line: %v", err)
	}
	c.Classic.Pid = os.Getpid()
	c.Env = []string{envRole + "=init", envSay + "=to standard error"}
	i, err := c.Start(deadline(t, 20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	i.closeWrite()
	i.Wait()
	write.Close()
	said, err := io.ReadAll(read)
	if want := "nsenter: " + fatal.Text + "\nto standard error"; err != nil || string(said) != want {
		t.Errorf("on standard error is %q (%v), want %q", said, err, want)
	}
}

// TestConsoleThatCannotBeTaken: the init process fails in a session of its own, and nobody has reported it.
func TestConsoleThatCannotBeTaken(t *testing.T) {
	requireRoot(t)
	_, name := openTerminal(t)
	slave, err := os.OpenFile(name, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	nothingLeft(t)
	owner := exec.Command("/bin/sleep", "60")
	owner.Stdin = slave
	owner.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	defer owner.Wait()
	defer owner.Process.Kill()
	// On one processor the launched process has ended now and then while the init process is still about to.
	onOneProcessor(t)
	launches := 500
	if testing.Short() {
		launches = 5
	}
	for i := 0; i < launches; i++ {
		c := self(nil)
		c.Classic = &Classic{Pid: os.Getpid(), Console: name}
		c.Stderr = nil
		_, err = c.Start(deadline(t, 20*time.Second))
		var fatal *FatalError
		if !errors.As(err, &fatal) || fatal.Errno != syscall.EPERM ||
			fatal.Step != "failed to make the console the controlling terminal" {
			t.Fatalf("launch %d: got %v", i, err)
		}
	}
}

// onOneProcessor has this process and what it starts run on one processor, until the end of the test.
func onOneProcessor(t *testing.T) {
	t.Helper()
	affinity := func(call uintptr, thread int, mask *[128]byte) {
		_, _, errno := syscall.RawSyscall(call, uintptr(thread), unsafe.Sizeof(*mask), uintptr(unsafe.Pointer(mask)))
		if errno != 0 && errno != syscall.ESRCH {
			t.Fatal(errno)
		}
	}
	allThreads := func(mask *[128]byte) {
		// What a thread starts has its processors.
		for i := 0; i < 2; i++ {
			tasks, err := os.ReadDir("/proc/self/task")
			if err != nil {
				t.Fatal(err)
			}
			for _, task := range tasks {
				thread, _ := strconv.Atoi(task.Name())
				affinity(syscall.SYS_SCHED_SETAFFINITY, thread, mask)
			}
		}
	}
	var before, one [128]byte
	affinity(syscall.SYS_SCHED_GETAFFINITY, 0, &before)
	for i, bits := range before {
		if bits != 0 {
			one[i] = bits & -bits
			break
		}
	}
	allThreads(&one)
	t.Cleanup(func() { allThreads(&before) })
}

// TestUnreportedInitProcess: an init process has left the process group, and nobody has heard of it when its launched
// process is stuck and killed. It is ended and reaped, also if it lives. No other process is.
func TestUnreportedInitProcess(t *testing.T) {
	requireRoot(t)
	nothingLeft(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"live", "die"} {
		c := &Cmd{
			Path: "/bin/sh",
			// For this program the constructor has nothing to do.
			Args:    []string{"sh", "-c", `unset _LIBCONTAINER_INITPID _LIBCONTAINER_INITPIPE; exec "$0"`, self},
			Env:     []string{envRole + "=stray", envSay + "=" + how},
			Classic: &Classic{Pid: os.Getpid(), Console: "/dev/tty"},
		}
		// The same program, younger, in a session of its own, and a zombie when it is all over.
		other := exec.Command(self)
		other.Env = []string{envRole + "=init"}
		other.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		started := make(chan error, 1)
		time.AfterFunc(50*time.Millisecond, func() { started <- other.Start() })
		if _, err := c.Start(deadline(t, 300*time.Millisecond)); err != context.DeadlineExceeded {
			t.Errorf("got %v", err)
		}
		if err := <-started; err != nil {
			t.Fatal(err)
		}
		if other.Wait(); other.ProcessState.ExitCode() != 2 {
			t.Errorf("another child's status is lost: %v", other.ProcessState)
		}
	}
}

func TestProgramsThatSpeakNoProtocol(t *testing.T) {
	const notLinked = ": it has not read the message, so the program does not link nsenter"
	nothingLeft(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"/bin/true"}, "nsenter: the launched process ended without a reply" + notLinked},
		{[]string{"/bin/sh", "-c", "exit 3"},
			"nsenter: the launched process ended without a reply: exit status 3" + notLinked},
		{[]string{"/bin/sh", "-c", "sleep 0.05; exit 3"},
			"nsenter: the launched process ended without a reply: exit status 3" + notLinked},
		{[]string{"/bin/sh", "-c", "kill -9 $$"}, "nsenter: the launched process ended without a reply: signal: killed"},
		{[]string{"/bin/sh", "-c", "echo hello >&3"}, `parent: no reply: "hello\n"`},
		{[]string{"/bin/sh", "-c", `echo '{"stage1_pid":0,"stage2_pid":1}' >&3`},
			`parent: no reply: "{\"stage1_pid\":0,\"stage2_pid\":1}\n"`},
		{[]string{"/bin/sh", "-c", `echo '{"stage1_pid":2,"stage2_pid":2}' >&3`},
			`parent: no reply: "{\"stage1_pid\":2,\"stage2_pid\":2}\n"`},
		{[]string{"/bin/sh", "-c", "head -c 200 /dev/zero >&3"}, "nsenter: the launched process ended without a reply"},
	} {
		for _, order := range []Order{ReadFirst, WaitFirst} {
			// The program can have ended when the message is sent, and not.
			for _, delay := range []time.Duration{0, 50 * time.Millisecond} {
				command := &Cmd{Path: c.args[0], Args: c.args, Message: &bootstrap.Message{}, Order: order}
				command.BeforeMessage = func(int) error { time.Sleep(delay); return nil }
				_, err := command.Start(deadline(t, 20*time.Second))
				if err == nil || err.Error() != c.want || errors.Is(err, ErrNotLinked) != strings.HasSuffix(c.want, notLinked) {
					t.Errorf("%q, %v later: got %v, want %s", c.args, delay, err, c.want)
				}
			}
		}
	}
}

func TestAStuckProgramIsKilled(t *testing.T) {
	nothingLeft(t)
	for _, order := range []Order{ReadFirst, WaitFirst} {
		// Together with the process that it has started: nobody has heard of that one.
		c := &Cmd{Path: "/bin/sh", Args: []string{"sh", "-c", "sleep 60 & sleep 60; :"}, Message: &bootstrap.Message{},
			Order: order}
		start := time.Now()
		_, err := c.Start(deadline(t, 100*time.Millisecond))
		if err != context.DeadlineExceeded {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
	}
}

// TestCancelAnywhere cancels launches after times that cover all of a launch. Whenever it is, nobody is
// left. (In the message is all that makes a launch long: a helper, and namespaces.)
func TestCancelAnywhere(t *testing.T) {
	requireRoot(t)
	nothingLeft(t)
	ids := []bootstrap.IDRange{{Inside: 0, Outside: 100000, Count: 65536}}
	m := &bootstrap.Message{Create: bootstrap.User | bootstrap.PID | bootstrap.IPC, UIDMap: ids, GIDMap: ids}
	// Up to twice the time that a launch takes on this machine. That changes: what the kernel cleans up of those before
	// takes its time too. So half of them are to be cancelled, and the span follows.
	start := time.Now()
	i, err := self(m).Start(deadline(t, 20*time.Second))
	span := 2 * time.Since(start)
	if err != nil {
		t.Fatal(err)
	}
	i.Kill()
	i.Wait()
	launches := 200
	if testing.Short() {
		launches = 40
	}
	var before, after int
	for n := range launches {
		ctx, cancel := context.WithCancel(context.Background())
		timer := time.AfterFunc(time.Duration(rand.Int63n(int64(span))), cancel)
		c := self(m)
		c.Order = Order(n % 2)
		i, err := c.Start(ctx)
		switch {
		case err == nil:
			after++
			span -= span / 8
			if _, err := i.Wait(); err != nil {
				t.Error(err)
			}
		case err == context.Canceled:
			before++
			span += span / 7
		default:
			t.Error(err)
		}
		timer.Stop()
		cancel()
	}
	t.Logf("%d launches were cancelled, %d init processes killed", before, after)
	if before == 0 || after == 0 {
		t.Error("the times do not cover a launch")
	}
}

func TestLogLinesAreRecords(t *testing.T) {
	requireRoot(t)
	nothingLeft(t)
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo} {
		var text bytes.Buffer
		c := self(&bootstrap.Message{Create: bootstrap.UTS})
		c.Logger = slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: level}))
		i, err := c.Start(deadline(t, 20*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		i.Conn.Close()
		if _, err := i.Wait(); err != nil {
			t.Error(err)
		}
		for _, line := range []string{
			`level=DEBUG msg="=> nsexec container setup" pid=`,
			fmt.Sprintf(`level=DEBUG msg="created init process %d" pid=`, i.Pid),
			fmt.Sprintf(`level=DEBUG msg="<= nsexec container setup" pid=%d stage=2`, i.Pid),
		} {
			if strings.Contains(text.String(), line) != (level == slog.LevelDebug) {
				t.Errorf("at %v: wrong about %s in\n%s", level, line, text.String())
			}
		}
	}
}

func TestLogLevelAsksForNoMoreThanTheLoggerKeeps(t *testing.T) {
	for level, want := range map[slog.Level]int{
		slog.LevelDebug - 4: 6, slog.LevelDebug: 5, slog.LevelInfo: 4, slog.LevelWarn: 3,
		slog.LevelError: 2, slog.LevelError + 9: 1,
	} {
		logger := slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: level}))
		if got := logLevel(logger); got != want {
			t.Errorf("%v: got %d, want %d", level, got, want)
		}
	}
	if got := logLevel(nil); got != 1 {
		t.Errorf("without a logger: got %d, want 1", got)
	}
}

func TestWhatIsDoneBeforeTheMessageIsInherited(t *testing.T) {
	requireRoot(t)
	nothingLeft(t)
	c := self(&bootstrap.Message{Create: bootstrap.UTS})
	c.BeforeMessage = func(pid int) error {
		return os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte("77"), 0)
	}
	i, err := c.Start(deadline(t, 20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", i.Pid)); err != nil || string(text) != "77\n" {
		t.Errorf("got %q (%v)", text, err)
	}
	i.Conn.Close()
	i.Wait()

	refusal := errors.New("no room")
	c.BeforeMessage = func(int) error { return refusal }
	// The launched process says that the message was missing; that is no news.
	if _, err := c.Start(deadline(t, 20*time.Second)); !errors.Is(err, refusal) {
		t.Errorf("got %v, want %v", err, refusal)
	}
}

// TestBeforeMessageThatDoesNotReturn: if a caller recovers from its panic, nothing of the launch is left.
func TestBeforeMessageThatDoesNotReturn(t *testing.T) {
	requireRoot(t)
	nothingLeft(t)
	for what, leave := range map[string]func(){"panic": func() { panic("at the disco") }, "Goexit": runtime.Goexit} {
		pid := 0
		c := self(&bootstrap.Message{Create: bootstrap.UTS})
		c.BeforeMessage = func(launched int) error {
			pid = launched
			leave()
			return nil
		}
		left := make(chan any)
		go func() {
			defer func() { left <- recover() }()
			c.Start(deadline(t, 20*time.Second))
		}()
		if got := <-left; (got != nil) != (what == "panic") {
			t.Errorf("%s: recovered %v", what, got)
		}
		if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
			t.Errorf("%s: the launched process: %v", what, err)
		}
	}
}

func TestVariablesOfAnotherLaunchAreNotHandedOn(t *testing.T) {
	c := self(&bootstrap.Message{})
	c.Env = append(c.Env, "_LIBCONTAINER_INITPIPE=77", "_LIBCONTAINER_STATEDIR=/x", "LIBCONTAINER=kept")
	want := []string{
		envRole + "=init", "LIBCONTAINER=kept",
		"_LIBCONTAINER_INITPIPE=3", "_LIBCONTAINER_LOGPIPE=4", "_LIBCONTAINER_LOGLEVEL=1",
	}
	if got := c.environment(3, 4); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestExtraFilesKeepTheirNumbers: fd 3 is the first extra file, as with os/exec.
func TestExtraFilesKeepTheirNumbers(t *testing.T) {
	requireRoot(t)
	c := self(&bootstrap.Message{})
	file, err := os.Open(filepath.Join(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	c.ExtraFiles = []*os.File{file}
	i, err := c.Start(deadline(t, 20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer i.Wait()
	defer i.Conn.Close()
	if got, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/3", i.Pid)); got != file.Name() {
		t.Errorf("fd 3 is %s (%v), want %s", got, err, file.Name())
	}
}

// TestNothingElseIsInherited: a descriptor that the caller has without close-on-exec is not passed on, with any number,
// and stays as it is here.
func TestNothingElseIsInherited(t *testing.T) {
	requireRoot(t)
	folder, given := t.TempDir(), t.TempDir()
	fd, err := syscall.Open(folder, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	var open []uintptr
	for _, lowest := range []uintptr{9, 10, 200, 1000} {
		copied, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD, lowest)
		if errno != 0 {
			t.Fatal(errno)
		}
		defer syscall.Close(int(copied))
		open = append(open, copied)
	}
	file, err := os.Open(given)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	program, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	var launches sync.WaitGroup
	defer launches.Wait()
	for _, extra := range []int{0, 1, 6, 7, 20} {
		for _, path := range []string{"/proc/self/exe", fmt.Sprintf("/proc/self/fd/%d", program.Fd())} {
			if extra > int(program.Fd())-3 && path != "/proc/self/exe" {
				continue // it is an extra file's number then
			}
			for range 4 {
				launches.Add(1)
				go func() {
					defer launches.Done()
					c := self(&bootstrap.Message{Create: bootstrap.UTS})
					c.Path = path
					for range extra {
						c.ExtraFiles = append(c.ExtraFiles, file)
					}
					checkInherited(t, c, given, folder)
				}()
			}
		}
	}
	launches.Wait()
	for _, fd := range open {
		if flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_GETFD, 0); errno != 0 || flags != 0 {
			t.Errorf("descriptor %d of the caller's has the flags %#x (%v) now", fd, flags, errno)
		}
	}
}

// checkInherited launches, and demands that the extra files are given, and what is not to be given nowhere.
func checkInherited(t *testing.T, c *Cmd, given, notGiven string) {
	i, err := c.Start(deadline(t, 20*time.Second))
	if err != nil {
		t.Error(err)
		return
	}
	defer i.Wait()
	defer i.Conn.Close()
	descriptors := fmt.Sprintf("/proc/%d/fd/", i.Pid)
	entries, err := os.ReadDir(descriptors)
	if err != nil {
		t.Error(err)
	}
	count := 0
	for _, entry := range entries {
		switch target, _ := os.Readlink(descriptors + entry.Name()); target {
		case notGiven:
			t.Errorf("%s with %d extra files: the init process has descriptor %s", c.Path, len(c.ExtraFiles), entry.Name())
		case given:
			count++
		}
	}
	if count != len(c.ExtraFiles) {
		t.Errorf("%s: the init process has %d extra files, want %d", c.Path, count, len(c.ExtraFiles))
	}
}

func TestCallersThatMindSIGCHLD(t *testing.T) {
	requireRoot(t)
	run := func(t *testing.T) {
		for _, order := range []Order{ReadFirst, WaitFirst} {
			c := self(&bootstrap.Message{Create: bootstrap.UTS})
			c.Order = order
			i, err := c.Start(deadline(t, 20*time.Second))
			if err != nil {
				t.Fatal(err)
			}
			i.Conn.Close()
			if state, err := i.Wait(); err == nil {
				t.Logf("the status was there: %v", state)
			} else if !errors.Is(err, syscall.ECHILD) {
				t.Error(err)
			}
			c.Message = &bootstrap.Message{Join: []bootstrap.Join{{Kind: bootstrap.Net, Path: "/no"}}}
			if _, err := c.Start(deadline(t, 20*time.Second)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("got %v", err)
			}
		}
	}
	testutil.WhereSIGCHLDIsMinded(t, run)
}

// TestOthersChildrenAreLeftAlone: a child that the caller has started itself is still its own after a
// launch that went wrong.
func TestOthersChildrenAreLeftAlone(t *testing.T) {
	other := exec.Command("/bin/sh", "-c", "exit 5")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := launch.PeekStatus(other.Process.Pid); err != nil {
		t.Fatal(err)
	}
	c := &Cmd{Path: "/bin/false", Args: []string{"false"}, Message: &bootstrap.Message{}}
	if _, err := c.Start(deadline(t, 20*time.Second)); err == nil {
		t.Error("false has replied")
	}
	if other.Wait(); other.ProcessState.ExitCode() != 5 {
		t.Errorf("got %v, want exit status 5", other.ProcessState)
	}
}

func TestTheContextKillsTheInitProcess(t *testing.T) {
	requireRoot(t)
	nothingLeft(t)
	ctx, cancel := context.WithCancel(context.Background())
	c := self(&bootstrap.Message{})
	i, err := c.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	state, err := i.Wait()
	if err != nil || state.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("after the context's end: %v, %v", state, err)
	}
}
