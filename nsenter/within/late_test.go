// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"nsenter-cpp.example/internal/testutil"
)

var (
	runs    atomic.Int64
	runLate = Register("test.run-late", func(context.Context, []byte) (struct{}, error) {
		runs.Add(1)
		return struct{}{}, nil
	})
	// howOften waits until nothing is run any more: a call is begun while the one after it is read.
	howOften = Register("test.how-often", func(context.Context, struct{}) (int64, error) {
		time.Sleep(200 * time.Millisecond)
		return runs.Load(), nil
	})
)

// goOn lets a process that was stopped run again.
func goOn(t *testing.T, s *Session) {
	t.Helper()
	if err := syscall.Kill(s.Pid(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

// TestCallsAreNotBegunWhenTheirTimeIsOver: their callers have been told so, and have gone on to
// something else. Where the process has a clock of its own, it has learnt from an earlier call what that is
// ahead by.
func TestCallsAreNotBegunWhenTheirTimeIsOver(t *testing.T) {
	requireUserNamespaces(t)
	for _, c := range []struct {
		what string
		p    Proc
	}{
		{"the same clock", Proc{New: User}},
		{"a clock that is ahead", Proc{New: User | Time, TimeOffsets: []TimeOffset{{Clock: "monotonic", Seconds: 5000}}}},
		{"a clock that is behind", Proc{New: User | Time, TimeOffsets: []TimeOffset{{Clock: "monotonic", Seconds: -1}}}},
	} {
		t.Run(c.what, func(t *testing.T) {
			if c.p.New.Has(Time) {
				testutil.RequireAllNamespaces(t)
			}
			nothingLeft(t)
			s, err := c.p.Start(deadline(t, 3*short))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if _, err := runLate.Call(deadline(t, short), s, nil); err != nil {
				t.Fatal(err)
			}
			stop(t, s)
			var group sync.WaitGroup
			for range 200 {
				group.Add(1)
				go func() {
					defer group.Done()
					ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
					defer cancel()
					if _, err := runLate.Call(ctx, s, nil); !errors.Is(err, context.DeadlineExceeded) {
						t.Error(err)
					}
				}()
			}
			group.Wait()
			time.Sleep(500 * time.Millisecond)
			goOn(t, s)
			if n, err := howOften.Call(deadline(t, short), s, struct{}{}); n != 1 || err != nil {
				t.Errorf("%d calls have run late (%v)", n-1, err)
			}
		})
	}
}

// fill stops a session's process, and makes a call that is more than the socket has room for. The channel has the
// result of the call when the process has been told to go on.
func fill(t *testing.T, s *Session) <-chan error {
	t.Helper()
	stop(t, s)
	large := make(chan error, 1)
	go func() {
		_, err := take.Call(deadline(t, 2*short), s, make([]byte, 1<<20))
		large <- err
	}()
	for end := time.Now().Add(short); !isWriting(s); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the large argument is not being written")
		}
	}
	return large
}

// TestCallsThatWereNotSentAreWithdrawn: without a deadline, so that the process cannot know of it.
func TestCallsThatWereNotSentAreWithdrawn(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	s, err := (&Proc{New: User}).Start(deadline(t, 3*short))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	large := fill(t, s)
	for range 20 {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Millisecond, cancel)
		if _, err := runLate.Call(ctx, s, make([]byte, 1000)); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	goOn(t, s)
	if err := <-large; err != nil {
		t.Error(err)
	}
	if n, err := howOften.Call(deadline(t, short), s, struct{}{}); n != 0 || err != nil {
		t.Errorf("%d calls have run late (%v)", n, err)
	}
}

// TestALargeArgumentIsNotCopied to be sent, and arrives whole.
func TestALargeArgumentIsNotCopied(t *testing.T) {
	ours, theirs, err := requestSocket()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	o := &outbox{socket: ours, maxPending: 1}
	body := make([]byte, 32<<20)
	for i := range body {
		body[i] = byte(i >> 10)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := o.post(frame{kind: frameCall, id: 1, name: "large", body: body}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes were allocated to send %d", n, len(body))
	}
	o.post(frame{kind: frameCancel, id: 1})
	f, err := readFrame(theirs, len(body))
	if err != nil || f.kind != frameCall || f.id != 1 || f.name != "large" || !bytes.Equal(f.body, body) {
		t.Errorf("got another frame (%v)", err)
	}
	if f, err := readFrame(theirs, 0); err != nil || f.kind != frameCancel || f.id != 1 {
		t.Errorf("got another frame after it: %v", err)
	}
	o.close()
}

func TestNoMoreThanMaxPendingCallsWait(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	s, err := (&Proc{New: User, MaxPending: 3}).Start(deadline(t, 3*short))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	large := fill(t, s)
	answers := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := runLate.Call(deadline(t, short), s, nil)
			answers <- err
		}()
	}
	waiting := func() int {
		s.running.requests.mutex.Lock()
		defer s.running.requests.mutex.Unlock()
		return s.running.requests.countCalls()
	}
	for end := time.Now().Add(short); waiting() < 3; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d calls wait, want 3", waiting())
		}
	}
	if _, err := runLate.Call(deadline(t, short), s, nil); err != ErrBusy {
		t.Errorf("one more: %v", err)
	}
	goOn(t, s)
	for _, call := range []<-chan error{large, answers, answers} {
		if err := <-call; err != nil {
			t.Errorf("a call that has waited: %v", err)
		}
	}
	if n, err := howOften.Call(deadline(t, short), s, struct{}{}); n != 2 || err != nil {
		t.Errorf("%d calls have run, want 2 (%v)", n, err)
	}
}

// TestClockOfTheCaller: the child's estimate is never early, and gets better.
func TestClockOfTheCaller(t *testing.T) {
	const callers, ours = 1_000, 9_000_000
	c := callerClock{isShifted: true}
	c.learn(callers, ours+500)
	if left := c.left(callers+700, ours+500); left != 700 {
		t.Errorf("%d left, want all, as nothing else is known", left)
	}
	c.learn(callers+1000, ours+1020)
	c.learn(callers+2000, ours+2900)
	if left := c.left(callers+3000, ours+2900); left != 3000-2900+20 {
		t.Errorf("%d left", left)
	}
	c = callerClock{}
	c.learn(callers, ours)
	if left := c.left(ours+7, ours); left != 7 {
		t.Errorf("%d left by the same clock", left)
	}
	for _, left := range []time.Duration{math.MinInt64, -5000, 0, math.MaxInt64} {
		point := pointAfter(callers, left)
		if point == 0 || point < callers && left > 0 || point > callers && left < 0 {
			t.Errorf("%d after %d is %d", left, callers, point)
		}
	}
}

// hauntRequests leaves somebody behind who holds the socket for requests, and never reads.
var hauntRequests = Register("test.haunt-requests", func(context.Context, struct{}) (int, error) {
	fd, err := syscall.Dup(int(child.conn.Fd()) - 1) // without close-on-exec
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

// TestWhoeverElseHoldsTheRequests keeps nobody writing to a process that has ended.
func TestWhoeverElseHoldsTheRequests(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	s, err := (&Proc{New: User}).Start(deadline(t, 3*short))
	if err != nil {
		t.Fatal(err)
	}
	s.patience = 0
	ghost, err := hauntRequests.Call(deadline(t, short), s, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		for end := time.Now().Add(5 * time.Second); isWriting(s) && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if isWriting(s) {
			t.Error("somebody still writes")
		}
		syscall.Kill(ghost, syscall.SIGKILL)
	}()
	large := fill(t, s)
	s.Close()
	if err := <-large; err != ErrClosed {
		t.Errorf("the call under way: %v", err)
	}
}

// TestTheCauseIsReturnedWhoeverIsFirst: the process has the same deadline, and may say so before the context does.
func TestTheCauseIsReturnedWhoeverIsFirst(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	s, err := (&Proc{New: User}).Start(deadline(t, 3*short))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cause := errors.New("patience")
	for n := range 500 {
		ctx, cancel := context.WithTimeoutCause(context.Background(), time.Duration(n)*10*time.Microsecond, cause)
		_, err := hold.Call(ctx, s, struct{}{})
		cancel()
		if err != cause {
			t.Fatalf("call %d: %v", n, err)
		}
	}
}
