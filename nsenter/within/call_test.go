// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"nsenter-cpp.example/internal/testutil"
	"nsenter-cpp.example/nsenter/parent"
)

type everything struct {
	Bool   bool
	Int    int64
	Float  float64
	Text   string
	Bytes  []byte
	List   []string
	Map    map[string]int
	Nested struct{ A, B uint16 }
	Next   *everything
	When   time.Time
}

var (
	echo = Register("test.echo", func(_ context.Context, e everything) (everything, error) { return e, nil })
	nils = Register("test.nils", func(_ context.Context, p *everything) (*everything, error) { return p, nil })
	fail = Register("test.fail", func(_ context.Context, how string) (struct{}, error) { return struct{}{}, failAs(how) })
	size = Register("test.size", func(_ context.Context, n int) ([]byte, error) { return make([]byte, n), nil })
	take = Register("test.take", func(_ context.Context, b []byte) (int, error) { return len(b), nil })
	hold = Register("test.hold", func(ctx context.Context, _ struct{}) (struct{}, error) {
		<-ctx.Done()
		return struct{}{}, ctx.Err()
	})
	nested = Register("test.nested", func(ctx context.Context, _ struct{}) (view, error) {
		return look.Call(ctx, &Proc{}, struct{}{})
	})
	speak = Register("test.speak", func(context.Context, struct{}) (string, error) {
		input, err := io.ReadAll(os.Stdin)
		fmt.Print("out\n")
		fmt.Fprint(os.Stderr, "err\n")
		return string(input), err
	})
	haunt = Register("test.haunt", func(context.Context, struct{}) (int, error) {
		// Whoever is forked and executes nothing has INITPIPE too.
		fd, err := syscall.Dup(int(child.conn.Fd()))
		if err != nil {
			return 0, err
		}
		defer syscall.Close(fd)
		ghost := exec.Command("/bin/sleep", "20")
		ghost.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := ghost.Start(); err != nil {
			return 0, err
		}
		return ghost.Process.Pid, nil
	})
	thread = Register("test.thread", func(context.Context, struct{}) (int, error) { return syscall.Gettid(), nil })
)

// noError is an error of which not even the text can be had if there is none.
type noError struct{ text string }

func (e *noError) Error() string { return e.text }

func failAs(how string) error {
	switch how {
	case "nil":
		var none *noError
		return none
	case "long":
		return fmt.Errorf("%s: %w", strings.Repeat("long", 50_000), syscall.ENOENT)
	case "errno":
		return &os.PathError{Op: "open", Path: "/x", Err: syscall.ENOENT}
	case "eof":
		return fmt.Errorf("reading: %w", io.ErrUnexpectedEOF)
	case "panic":
		panic("at the disco")
	case "panic of the runtime":
		none := []int{}
		_ = none[len(how)]
	case "goexit":
		runtime.Goexit()
	case "exit":
		os.Exit(3)
	case "kill":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return nil
}

// callers are all kinds: a process for each call, one for many, one of a pool, and this one.
func callers(t *testing.T) map[string]Caller {
	t.Helper()
	p := &Proc{New: User}
	s, err := p.Start(deadline(t, 50*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	pool := &Pool{Proc: p}
	t.Cleanup(func() { pool.Close() })
	return map[string]Caller{"proc": p, "session": s, "pool": at(t, pool, Target{}), "here": Here}
}

// requireUserNamespaces: everybody has them, unless the machine's owner does not want it.
func requireUserNamespaces(t testing.TB) {
	t.Helper()
	s, err := (&Proc{New: User}).Start(deadline(t, short))
	if err == nil {
		s.Close()
	}
	testutil.Require(t, !errors.Is(err, syscall.EPERM), "user namespaces")
	if err != nil {
		t.Fatal(err)
	}
}

func TestArgumentsAndResults(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	e := everything{
		Bool: true, Int: -5, Float: 1.5, Text: "not UTF-8: \xff\x00", Bytes: []byte{0, 1}, List: []string{"", "a"},
		Map: map[string]int{"one": 1}, Next: &everything{Text: "next"}, When: time.Unix(1, 2).UTC(),
	}
	e.Nested.B = 7
	for name, caller := range callers(t) {
		got, err := echo.Call(deadline(t, short), caller, e)
		if want := fmt.Sprintf("%#v", deref(e)); err != nil || fmt.Sprintf("%#v", deref(got)) != want {
			t.Errorf("%s: got %#v (%v), want %s", name, deref(got), err, want)
		}
		if p, err := nils.Call(deadline(t, short), caller, nil); p != nil || err != nil {
			t.Errorf("%s: nil came back as %v (%v)", name, p, err)
		}
	}
}

func TestErrorsComeBack(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	for _, name := range []string{"proc", "session"} {
		p := &Proc{New: User}
		call := func(how string) error {
			var caller Caller = p
			if name == "session" {
				s, err := p.Start(deadline(t, short))
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				caller = s
			}
			_, err := fail.Call(deadline(t, short), caller, how)
			return err
		}
		var remote *RemoteError
		if err := call("errno"); !errors.As(err, &remote) || err.Error() != "open /x: no such file or directory" ||
			!errors.Is(err, syscall.ENOENT) || !errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: errno: %v", name, err)
		}
		if err := call("eof"); err == nil || err.Error() != "reading: unexpected EOF" ||
			!errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			t.Errorf("%s: sentinel: %v", name, err)
		}
		var panicked *PanicError
		if err := call("panic"); !errors.As(err, &panicked) || panicked.Value != "at the disco" ||
			!strings.Contains(panicked.Stack, "failAs") {
			t.Errorf("%s: panic: %v", name, err)
		}
		if err := call("panic of the runtime"); !errors.As(err, &panicked) ||
			panicked.Value != "runtime error: index out of range [20] with length 0" {
			t.Errorf("%s: panic of the runtime: %v", name, err)
		}
		if err := call("goexit"); err == nil || err.Error() != `within: "test.fail" has ended its goroutine` {
			t.Errorf("%s: Goexit: %v", name, err)
		}
		if err := call("nil"); !errors.As(err, &panicked) || !strings.Contains(panicked.Value, "nil pointer") {
			t.Errorf("%s: an error that is a nil pointer: %v", name, err)
		}
		var exit *ExitError
		if err := call("exit"); !errors.As(err, &exit) || exit.State.ExitCode() != 3 {
			t.Errorf("%s: exit: %v", name, err)
		}
		if err := call("kill"); !errors.As(err, &exit) || !strings.Contains(err.Error(), "signal: killed") {
			t.Errorf("%s: kill: %v", name, err)
		}
		if err := call("nothing"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

var half = Register("test.half", func(_ context.Context, n int) ([]byte, error) {
	return make([]byte, n), io.ErrUnexpectedEOF
})

// TestAResultAlongWithAnError, as io.Reader has it, is returned too, if it can be sent; and so is one of a process of
// which the output is lost.
func TestAResultAlongWithAnError(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	for name, caller := range callers(t) {
		for n, want := range map[int]int{0: 0, 5: 5, 1 << 20: 1 << 20, 17 << 20: 0} {
			got, err := half.Call(deadline(t, short), caller, n)
			if len(got) != want || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s, %d bytes: got %d bytes, %v", name, n, len(got), err)
			}
		}
	}
	p := &Proc{New: User, Stdin: strings.NewReader("in"), Stdout: brokenWriter{}}
	if input, err := speak.Call(deadline(t, short), p, struct{}{}); input != "in" || err != os.ErrDeadlineExceeded {
		t.Errorf("output that cannot be written: %q, %v", input, err)
	}
}

var runNothing = Register("test.run-nothing", func(context.Context, struct{}) (struct{}, error) {
	return struct{}{}, fmt.Errorf("running it: %w", exec.Command("no-such-program").Run())
})

// TestErrorsOfPackageOSAreFound by errors.As, of programs and of functions.
func TestErrorsOfPackageOSAreFound(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	p := &Proc{New: User}
	_, ofFunction := runNothing.Call(deadline(t, short), p, struct{}{})
	for what, err := range map[string]error{
		"program":  Command(p, "no-such-program").Run(deadline(t, short)),
		"function": ofFunction,
	} {
		var notFound *exec.Error
		if !errors.As(err, &notFound) || notFound.Name != "no-such-program" || notFound.Err != exec.ErrNotFound ||
			!errors.Is(err, exec.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, ofFunction = fail.Call(deadline(t, short), p, "errno")
	for path, err := range map[string]error{
		"/no/such/program": Command(p, "/no/such/program").Run(deadline(t, short)),
		"/x":               ofFunction,
	} {
		var pathErr *fs.PathError
		if !errors.As(err, &pathErr) || pathErr.Path != path {
			t.Errorf("%s: %#v", path, pathErr)
			continue
		}
		if errno, ok := pathErr.Err.(syscall.Errno); !ok || !errors.Is(err, errno) {
			t.Errorf("%s: %#v", path, pathErr)
		}
	}
}

func TestLimits(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	p := &Proc{New: User, MaxMessage: 1 << 16}
	s, err := p.Start(deadline(t, short))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, caller := range map[string]Caller{"proc": p, "session": s} {
		if _, err := size.Call(deadline(t, short), caller, 1<<16); !errors.Is(err, ErrTooLarge) ||
			!strings.Contains(err.Error(), `the result of "test.size" has`) {
			t.Errorf("%s: result: %v", name, err)
		}
		if _, err := take.Call(deadline(t, short), caller, make([]byte, 1<<16)); !errors.Is(err, ErrTooLarge) ||
			!strings.Contains(err.Error(), `the argument of "test.take" has`) {
			t.Errorf("%s: argument: %v", name, err)
		}
		if n, err := take.Call(deadline(t, short), caller, make([]byte, 60000)); n != 60000 || err != nil {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
	large := &Proc{New: User}
	if b, err := size.Call(deadline(t, short), large, 15<<20); len(b) != 15<<20 || err != nil {
		t.Errorf("15 MiB: %d, %v", len(b), err)
	}
}

// TestErrorsHaveALimitOfTheirOwn: an error has no size that its function has chosen, so it ends no session.
func TestErrorsHaveALimitOfTheirOwn(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	s, err := (&Proc{New: User, MaxMessage: 100}).Start(deadline(t, short))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var panicked *PanicError
	if _, err := fail.Call(deadline(t, short), s, "panic"); !errors.As(err, &panicked) ||
		!strings.Contains(panicked.Stack, "failAs") {
		t.Errorf("a panic: %v", err)
	}
	var remote *RemoteError
	_, err = fail.Call(deadline(t, short), s, "long")
	if !errors.As(err, &remote) || !errors.Is(err, syscall.ENOENT) || len(remote.Text) != errorSize/4 ||
		!strings.HasPrefix(remote.Text, "longlong") {
		t.Errorf("an error of 200,000 bytes: %.100v", err)
	}
	if _, err := size.Call(deadline(t, short), s, 1000); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a result that is too large: %v", err)
	}
	if _, err := fail.Call(deadline(t, short), s, "nothing"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestAResultThatIsTooLargeIsNotBelieved: the parent does not rely on what the child sends.
func TestAResultThatIsTooLargeIsNotBelieved(t *testing.T) {
	ours, theirs, err := requestSocket()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	go func() {
		defer theirs.Close()
		frame{kind: frameResult, id: 1, body: make([]byte, 101)}.write(theirs)
	}()
	frames := newFrameReader(func(func([]int)) io.Reader { return ours })
	s := &Session{running: &running{process: &parent.Init{Conn: ours}, frames: frames}, limit: 100}
	if err := s.readAnswers(); !errors.Is(err, ErrTooLarge) ||
		err.Error() != "within: a result of 101 bytes: within: too large" {
		t.Errorf("got %v", err)
	}
}

// TestWhoeverElseHoldsINITPIPE is not waited for.
func TestWhoeverElseHoldsINITPIPE(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	const most = 10 * time.Second
	leave := func(pid int, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })
	}
	p := &Proc{New: User}
	start := time.Now()
	leave(haunt.Call(deadline(t, short), p, struct{}{}))
	if took := time.Since(start); took > most {
		t.Errorf("the call took %v", took)
	}
	for _, end := range []string{"Close", "exit", "context"} {
		ctx, cancel := context.WithCancel(deadline(t, short))
		s, err := p.Start(ctx)
		if err != nil {
			t.Fatal(err)
		}
		leave(haunt.Call(deadline(t, short), s, struct{}{}))
		start := time.Now()
		switch end {
		case "Close":
			s.Close()
		case "exit":
			var exit *ExitError
			if _, err := fail.Call(deadline(t, short), s, "exit"); !errors.As(err, &exit) || exit.State.ExitCode() != 3 {
				t.Errorf("exit: %v", err)
			}
		case "context":
			cancel()
		}
		select {
		case <-s.done:
		case <-time.After(most):
		}
		if took := time.Since(start); took > most {
			t.Errorf("%s: took %v", end, took)
		}
		s.Close()
		cancel()
	}
}

func TestCancellation(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	p := &Proc{New: User}
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := hold.Call(ctx, p, struct{}{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a call in a process of its own: %v", err)
	}
	s, err := p.Start(deadline(t, short))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel = context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := hold.Call(ctx, s, struct{}{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a call in a session: %v", err)
	}
	if _, err := thread.Call(deadline(t, short), s, struct{}{}); err != nil {
		t.Errorf("the session has not outlived one call's cancellation: %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}

	ctx, cancel = context.WithCancel(context.Background())
	s2, err := p.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := hold.Call(deadline(t, short), s2, struct{}{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a call in a session that was cancelled: %v", err)
	}
	if _, err := thread.Call(deadline(t, short), s2, struct{}{}); err != context.Canceled {
		t.Errorf("a call after the session was cancelled: %v", err)
	}
	s2.Close()
}

func TestClosedSession(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	s, err := (&Proc{New: User}).Start(deadline(t, short))
	if err != nil {
		t.Fatal(err)
	}
	under := make(chan error)
	go func() {
		_, err := hold.Call(deadline(t, short), s, struct{}{})
		under <- err
	}()
	time.Sleep(50 * time.Millisecond)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := <-under; err != ErrClosed {
		t.Errorf("the call under way: %v", err)
	}
	if _, err := thread.Call(deadline(t, short), s, struct{}{}); err != ErrClosed {
		t.Errorf("a call afterwards: %v", err)
	}
}

func TestCallAfterTheProcessEnded(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	s, err := (&Proc{New: User}).Start(deadline(t, short))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, how := range []string{"exit", "nothing"} {
		var exit *ExitError
		if _, err := fail.Call(deadline(t, short), s, how); !errors.As(err, &exit) || exit.State.ExitCode() != 3 {
			t.Errorf("%s: %v", how, err)
		}
	}
	s.Close()
	if _, err := thread.Call(deadline(t, short), s, struct{}{}); err != ErrClosed {
		t.Errorf("after Close: %v", err)
	}
}

// stop stops a session's process, all of its threads: the signal alone is given to one, which tells the others when it
// gets to run.
func stop(t *testing.T, s *Session) {
	t.Helper()
	if err := syscall.Kill(s.Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(s.Pid(), &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("not stopped: %#x, %v", status, err)
	}
}

// isWriting tells whether the process does not read all that is sent to it.
func isWriting(s *Session) bool {
	s.running.requests.mutex.Lock()
	defer s.running.requests.mutex.Unlock()
	return s.running.requests.hasHand
}

// TestFullSocket: a process that does not read, with more and more before a call in the socket, until that has no room.
func TestFullSocket(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	full := false
	for n := 1; !full; n++ {
		s, err := (&Proc{New: User}).Start(deadline(t, short))
		if err != nil {
			t.Fatal(err)
		}
		s.patience = 0
		stop(t, s)
		small := make(chan error, 1)
		go func() {
			for range n {
				s.running.requests.post(frame{kind: frameCall, name: take.Name(), body: make([]byte, 20_000)})
			}
			full = isWriting(s) // or else nobody knows how much room there is
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			defer cancel()
			_, err := thread.Call(ctx, s, struct{}{})
			small <- err
		}()
		select {
		case err = <-small:
		case <-time.After(short / 4):
			s.running.process.Kill()
			<-small
			t.Fatalf("with %d calls before it, a call does not return when its context ends", n)
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with %d calls before it: %v", n, err)
		}
		s.Close()
	}
}

// TestProcessThatDoesNotRead: nothing waits for it longer than it was told to.
func TestProcessThatDoesNotRead(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	s, err := (&Proc{New: User}).Start(deadline(t, 2*short))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.patience = 200 * time.Millisecond
	stop(t, s)
	large := make(chan error)
	go func() {
		_, err := take.Call(deadline(t, 2*short), s, make([]byte, 15<<20))
		large <- err
	}()
	for end := time.Now().Add(short); !isWriting(s); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the large argument is not being written")
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	small := make(chan error, 1)
	go func() {
		_, err := thread.Call(ctx, s, struct{}{})
		small <- err
	}()
	closed := make(chan error, 1)
	select {
	case err := <-small:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a small call: %v", err)
		}
		go func() { closed <- s.Close() }()
	case <-time.After(short):
		t.Error("a small call does not return when its context ends")
	}
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(short):
		t.Error("Close does not return")
		s.running.process.Kill()
	}
	if err := <-large; err != ErrClosed {
		t.Errorf("the large call: %v", err)
	}
}

func TestNestedCallIsRefused(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	if _, err := nested.Call(deadline(t, short), &Proc{New: User}, struct{}{}); !errors.Is(err, ErrNested) {
		t.Errorf("got %v", err)
	}
}

// TestThreads: each call of a session has a thread of its own.
func TestThreads(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	s, err := (&Proc{New: User}).Start(deadline(t, short))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	seen := make(map[int]bool)
	for range 50 {
		tid, err := thread.Call(deadline(t, short), s, struct{}{})
		if err != nil {
			t.Fatal(err)
		}
		if tid == s.Pid() || seen[tid] {
			t.Fatalf("thread %d has served another call, or is the main thread", tid)
		}
		seen[tid] = true
	}
	// Those that have served have ended, or are about to. The rest are the Go runtime's, and one for the next call.
	tasks := func() int {
		list, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", s.Pid()))
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	if n := tasks(); n > 20 {
		t.Errorf("%d threads after 50 calls", n)
	}
	for end := time.Now().Add(5 * time.Second); tasks() > 12; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d threads are left", tasks())
		}
	}
}

// spoil changes its thread, and says so to the Go runtime.
var spoil = Register("test.spoil", func(context.Context, struct{}) (string, error) {
	runtime.LockOSThread()
	if err := syscall.Unshare(syscall.CLONE_NEWUTS); err != nil {
		return "", err
	}
	return os.Readlink("/proc/thread-self/ns/uts")
})

// TestReusedThreads: threads serve again, but for those that a function has locked.
func TestReusedThreads(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	s, err := (&Proc{New: User | UTS, ReuseThreads: true}).Start(deadline(t, short))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	seen := make(map[int]int)
	spoilt := make(map[string]bool)
	for range 30 {
		link, err := spoil.Call(deadline(t, short), s, struct{}{})
		if err != nil {
			t.Fatal(err)
		}
		spoilt[link] = true
		tid, err := thread.Call(deadline(t, short), s, struct{}{})
		if err != nil {
			t.Fatal(err)
		}
		seen[tid]++
		v, err := look.Call(deadline(t, short), s, struct{}{})
		if err != nil || spoilt[v.Namespaces["uts"]] {
			t.Fatalf("a call came to a thread that another one has changed (%v)", err)
		}
	}
	if len(seen) == 30 {
		t.Error("no thread has served twice")
	}
}

func TestStandardStreams(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	var stdout, stderr, both bytes.Buffer
	p := &Proc{New: User, Stdin: strings.NewReader("in"), Stdout: &stdout, Stderr: &stderr}
	if input, err := speak.Call(deadline(t, short), p, struct{}{}); input != "in" || err != nil {
		t.Errorf("input %q (%v)", input, err)
	}
	if stdout.String() != "out\n" || stderr.String() != "err\n" {
		t.Errorf("output %q, error output %q", stdout.String(), stderr.String())
	}
	p = &Proc{New: User, Stdout: &both, Stderr: &both}
	if input, err := speak.Call(deadline(t, short), p, struct{}{}); input != "" || err != nil {
		t.Errorf("input %q (%v)", input, err)
	}
	if both.String() != "out\nerr\n" {
		t.Errorf("together %q", both.String())
	}
	p = &Proc{New: User, Stdout: brokenWriter{}}
	if _, err := speak.Call(deadline(t, short), p, struct{}{}); err != os.ErrDeadlineExceeded {
		t.Errorf("output that cannot be written: %v", err)
	}
	s, err := p.Start(deadline(t, short))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := speak.Call(deadline(t, short), s, struct{}{}); err != nil {
		t.Errorf("a session's call has no part in its output: %v", err)
	}
	if err := s.Close(); err != os.ErrDeadlineExceeded {
		t.Errorf("closing: %v", err)
	}
}

func TestSurroundings(t *testing.T) {
	requireUserNamespaces(t)
	t.Setenv("SECRET", "of the caller")
	t.Setenv("GODEBUG", "x=1")
	t.Setenv("GOTRACEBACK", "all")
	t.Setenv("GOCOVERDIR", "")
	file, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	nothingLeft(t)
	p := &Proc{New: User, ExtraFiles: []*os.File{file}}
	v, err := look.Call(deadline(t, short), p, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	environment := []string{
		"PATH=" + defaultPath, "GOTRACEBACK=all", "GOCOVERDIR=", "GORACE=atexit_sleep_ms=0", "GODEBUG=x=1",
	}
	if !slices.Equal(v.Env, environment) {
		t.Errorf("environment %q, want %q", v.Env, environment)
	}
	if v.UID != 0 || v.GID != 0 || v.Cwd != "/" || len(v.Args) != 1 {
		t.Errorf("uid %d, gid %d, cwd %s, arguments %q", v.UID, v.GID, v.Cwd, v.Args)
	}
	if want := fmt.Sprintf("0 %d 1", os.Geteuid()); v.UIDMap != want {
		t.Errorf("uid_map %q, want %q", v.UIDMap, want)
	}
	delete(v.Files, 4) // requests
	delete(v.Files, 5) // INITPIPE
	for fd, target := range v.Files {
		if fd > 5 && strings.HasPrefix(target, "pipe:") {
			delete(v.Files, fd) // the Go runtime's, before 1.23
		}
	}
	want := map[int]string{0: "/dev/null", 1: "/dev/null", 2: "/dev/null", 3: file.Name()}
	for fd, target := range v.Files {
		if want[fd] != target && !strings.HasPrefix(target, "/proc/") {
			t.Errorf("descriptor %d is %s, want %q", fd, target, want[fd])
		}
	}

	p = &Proc{
		New: User, Dir: "/proc/self",
		Env: []string{"A=1", "_LIBCONTAINER_INITPIPE=9", "_LIBCONTAINER_INITPID=1", "_NSENTER_WITHIN=1,2,3", "GODEBUG=y=2"},
	}
	if v, err = look.Call(deadline(t, short), p, struct{}{}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"A=1", "GODEBUG=y=2"}; !slices.Equal(v.Env, want) {
		t.Errorf("environment %q, want %q", v.Env, want)
	}
	if v.Cwd != fmt.Sprintf("/proc/%d", v.Pid) {
		t.Errorf("working directory %s", v.Cwd)
	}
	p.Dir = "/no/such/folder"
	if _, err := look.Call(deadline(t, short), p, struct{}{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

var runTrue = Register("test.run-true", func(context.Context, struct{}) (struct{}, error) {
	return struct{}{}, exec.Command("true").Run()
})

// TestFunctionsFindPrograms: with a PATH that is usual, and not the caller's, unless Env says something else.
func TestFunctionsFindPrograms(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	t.Setenv("PATH", "/nonexistent")
	if _, err := runTrue.Call(deadline(t, short), &Proc{New: User}, struct{}{}); err != nil {
		t.Errorf("without an environment: %v", err)
	}
	p := &Proc{New: User, Env: []string{"A=1"}}
	if _, err := runTrue.Call(deadline(t, short), p, struct{}{}); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("with an environment that has no PATH: %v", err)
	}
}

// takeArgument runs until it is cancelled; taken says how many do.
var (
	takes        atomic.Int64
	takeArgument = Register("test.take-argument", func(ctx context.Context, _ []byte) (struct{}, error) {
		takes.Add(1)
		defer takes.Add(-1)
		<-ctx.Done()
		return struct{}{}, ctx.Err()
	})
	taken = Register("test.taken", func(context.Context, struct{}) (int64, error) { return takes.Load(), nil })
)

// TestCancellationDoesNotOvertakeItsCall: a large argument is sent while the caller waits already.
func TestCancellationDoesNotOvertakeItsCall(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	s, err := (&Proc{New: User}).Start(deadline(t, 4*short))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	argument := make([]byte, 100_000)
	for i := range 500 {
		ctx, cancel := context.WithCancel(deadline(t, short))
		time.AfterFunc(time.Duration(i%100)*time.Microsecond, cancel)
		if _, err := takeArgument.Call(ctx, s, argument); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(short); ; time.Sleep(time.Millisecond) {
		n, err := taken.Call(deadline(t, short), s, struct{}{})
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d functions do not know that they are cancelled", n)
		}
	}
}

// TestResultsAreNotLostByACallerThatIsLate: its threads can have no turn for longer than others are waited for, which
// stands here for a machine that is busy.
func TestResultsAreNotLostByACallerThatIsLate(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	before := patienceForOthers
	patienceForOthers = -time.Minute
	defer func() { patienceForOthers = before }()
	for i := 0; i < 20; i++ {
		// More than the caller reads at once, so that it is not done when the process ends.
		const many = 1 << 20
		result, err := size.Call(deadline(t, short), &Proc{New: User}, many)
		if err != nil || len(result) != many {
			t.Errorf("got %d bytes, %v", len(result), err)
		}
		var output bytes.Buffer
		c := Command(&Proc{New: User, Stdout: &output}, "sh", "-c", "head -c 60000 /dev/zero; echo x >&2")
		if err := c.Run(deadline(t, short)); err != nil || output.Len() != 60000 {
			t.Errorf("got %d bytes of output, %v", output.Len(), err)
		}
		err = Command(&Proc{New: User}, "/no/such/program").Run(deadline(t, short))
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a program that does not exist: %v", err)
		}
	}
}
