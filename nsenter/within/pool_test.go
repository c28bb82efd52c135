// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"nsenter-cpp.example/internal/testutil"
)

var pidOutside = Register("test.pid-outside", func(context.Context, struct{}) (string, error) {
	link, err := os.Readlink("/proc/thread-self/ns/uts")
	return fmt.Sprintf("%d %s", os.Getpid(), link), err
})

// where calls into a place and returns which process that is, and in which uts namespace.
func where(t *testing.T, l *Place) string {
	t.Helper()
	answer, err := pidOutside.Call(deadline(t, short), l, struct{}{})
	if err != nil {
		t.Error(err)
	}
	return answer
}

// at is a place that the test closes.
func at(t *testing.T, p *Pool, target Target) *Place {
	t.Helper()
	l, err := p.At(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// newPool is a pool that the test closes, and the number of processes that it has started.
func newPool(t *testing.T, p *Pool) (pool *Pool, started *atomic.Int64) {
	t.Helper()
	started = new(atomic.Int64)
	var proc Proc
	if p.Proc != nil {
		proc = *p.Proc
	}
	proc.Started = func(int) error { started.Add(1); return nil }
	p.Proc = &proc
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if p.number != 0 || p.ending != 0 || len(p.pooled) != 0 {
			t.Errorf("after Close there are %d sessions, %d of them ending, and %d to be found", p.number, p.ending,
				len(p.pooled))
		}
	})
	return p, started
}

// TestAPoolHasOneSessionForATarget, whoever asks for it at the same time, and starts it anew when it has ended.
func TestAPoolHasOneSessionForATarget(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	pool, started := newPool(t, &Pool{Proc: &Proc{New: User | UTS}})
	var group sync.WaitGroup
	places := make([]*Place, 4)
	for i := range places {
		places[i] = at(t, pool, Target{})
	}
	first := where(t, places[0])
	for i := range 16 {
		group.Add(1)
		go func() {
			defer group.Done()
			for range 20 {
				if got := where(t, places[i%len(places)]); got != first {
					t.Errorf("the sessions are %s and %s", first, got)
				}
			}
		}()
	}
	group.Wait()
	if n := started.Load(); n != 1 {
		t.Errorf("%d processes were started", n)
	}
	for _, how := range []string{"exit", "kill"} {
		var exit *ExitError
		if _, err := fail.Call(deadline(t, short), places[0], how); !errors.As(err, &exit) {
			t.Errorf("%s: %v", how, err)
		}
		second := where(t, places[1])
		if second == first {
			t.Errorf("%s: the session is the same", how)
		}
		first = second
	}
	if n := started.Load(); n != 3 {
		t.Errorf("%d processes were started", n)
	}
}

// TestOneStartForManyWhoWait: those who ask while the session is starting have it too, and if that start fails, the
// next one starts.
func TestOneStartForManyWhoWait(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	const callers = 8
	var started atomic.Int64
	goOn := make(chan struct{})
	refused := errors.New("not now")
	pool := &Pool{Proc: &Proc{New: User, Started: func(int) error {
		n := started.Add(1)
		<-goOn
		if n == 1 {
			return refused
		}
		return nil
	}}}
	defer pool.Close()
	place := at(t, pool, Target{})
	results := make(chan error, callers)
	for range callers {
		go func() {
			_, err := thread.Call(deadline(t, short), place, struct{}{})
			results <- err
		}()
	}
	// One who waits for the start of another does not wait longer than his context.
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	for started.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	if _, err := thread.Call(ctx, place, struct{}{}); err != context.DeadlineExceeded {
		t.Errorf("got %v", err)
	}
	close(goOn)
	failed := 0
	for range callers {
		switch err := <-results; {
		case err == nil:
		case errors.Is(err, refused):
			failed++
		default:
			t.Error(err)
		}
	}
	if failed != 1 || started.Load() != 2 {
		t.Errorf("%d calls failed, %d processes were started", failed, started.Load())
	}
}

// TestSessionsOfAPoolEndWhenTheyAreIdle, but not while they have calls.
func TestSessionsOfAPoolEndWhenTheyAreIdle(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	pool, _ := newPool(t, &Pool{Proc: &Proc{New: User}, Idle: 20 * time.Millisecond})
	place := at(t, pool, Target{})
	under := make(chan error, 1)
	ctx, cancel := context.WithCancel(deadline(t, short))
	defer cancel()
	go func() {
		_, err := hold.Call(ctx, place, struct{}{})
		under <- err
	}()
	time.Sleep(100 * time.Millisecond)
	select {
	case err := <-under:
		t.Errorf("the session has ended while it had a call: %v", err)
	default:
	}
	cancel()
	<-under
	if where(t, place); !isEmptyInTime(t, pool) {
		t.Error("the session has not ended")
	}
	where(t, place) // it starts again
}

// isEmptyInTime waits until a pool has no sessions.
func isEmptyInTime(t *testing.T, p *Pool) bool {
	for ctx := deadline(t, short); ctx.Err() == nil; time.Sleep(time.Millisecond) {
		p.mutex.Lock()
		number := p.number
		p.mutex.Unlock()
		if number == 0 {
			return true
		}
	}
	return false
}

// TestAPoolHasNoMoreSessionsThanMax: another one takes the place of the one that was not used for the longest time, and
// who finds all used waits.
func TestAPoolHasNoMoreSessionsThanMax(t *testing.T) {
	requireRoot(t)
	targets := make([]int, 3)
	for i := range targets {
		targets[i] = fixture(t, UTS, "")
	}
	nothingLeft(t)
	pool, started := newPool(t, &Pool{Max: 2})
	places := make([]*Place, len(targets))
	for i, pid := range targets {
		places[i] = at(t, pool, Of(pid, UTS))
	}
	first, second := where(t, places[0]), where(t, places[1])
	where(t, places[0])
	where(t, places[2])
	if got := where(t, places[0]); got != first {
		t.Error("the session that was used last has been closed")
	}
	if got := where(t, places[1]); got == second {
		t.Error("the session that was not used has not been closed")
	}
	if n := started.Load(); n != 4 {
		t.Errorf("%d processes were started", n)
	}

	ctx, cancel := context.WithCancel(deadline(t, short))
	defer cancel()
	under := make(chan error, 2)
	for _, i := range []int{0, 1} {
		where(t, places[i]) // so that it is there
		go func() {
			_, err := hold.Call(ctx, places[i], struct{}{})
			under <- err
		}()
	}
	awaitUsers(t, pool, 2)
	brief, stop := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer stop()
	if _, err := thread.Call(brief, places[2], struct{}{}); err != context.DeadlineExceeded {
		t.Errorf("all have calls: %v", err)
	}
	time.AfterFunc(50*time.Millisecond, cancel)
	where(t, places[2])
	<-under
	<-under
	pool.mutex.Lock()
	defer pool.mutex.Unlock()
	if pool.number > 2 {
		t.Errorf("there are %d sessions", pool.number)
	}
}

// awaitUsers waits until so many sessions of a pool have calls.
func awaitUsers(t *testing.T, p *Pool, want int) {
	t.Helper()
	for ctx := deadline(t, short); ctx.Err() == nil; time.Sleep(time.Millisecond) {
		users := 0
		p.mutex.Lock()
		for _, s := range p.pooled {
			if s.users > 0 {
				users++
			}
		}
		p.mutex.Unlock()
		if users == want {
			return
		}
	}
	t.Fatalf("no %d sessions have calls", want)
}

func TestClosedPool(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	goOn := make(chan struct{})
	var started atomic.Int64
	pool := &Pool{Max: 2, Proc: &Proc{New: User, Started: func(int) error {
		if started.Add(1) == 2 {
			close(goOn)
			time.Sleep(100 * time.Millisecond)
		}
		return nil
	}}}
	place := at(t, pool, Target{})
	where(t, place)
	under, starting := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := hold.Call(deadline(t, short), place, struct{}{})
		under <- err
	}()
	awaitUsers(t, pool, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: this thread is elsewhere, so it has another session
		if err := syscall.Unshare(syscall.CLONE_NEWUTS); err != nil {
			close(goOn)
			starting <- ErrPoolClosed // only root can
			return
		}
		_, err := thread.Call(deadline(t, short), place, struct{}{})
		starting <- err
	}()
	<-goOn
	for range 2 {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := <-under; err != ErrClosed {
		t.Errorf("the call under way: %v", err)
	}
	if err := <-starting; err != ErrPoolClosed {
		t.Errorf("the call that had its session started: %v", err)
	}
	if _, err := thread.Call(deadline(t, short), place, struct{}{}); err != ErrPoolClosed {
		t.Errorf("a call afterwards: %v", err)
	}
	var unused Pool
	if err := unused.Close(); err != nil {
		t.Errorf("a pool that was not used: %v", err)
	}
}

// TestAPoolLooksWhereItsCallerIs: namespaces that are not joined are those of the calling thread.
func TestAPoolLooksWhereItsCallerIs(t *testing.T) {
	requireRoot(t)
	nothingLeft(t)
	pool, started := newPool(t, &Pool{})
	place := at(t, pool, Target{})
	outside := where(t, place)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := syscall.Unshare(syscall.CLONE_NEWUTS); err != nil {
			t.Error(err)
			return
		}
		own, _ := os.Readlink("/proc/thread-self/ns/uts")
		var pid int
		var link string
		fmt.Sscan(where(t, place), &pid, &link)
		if link != own {
			t.Errorf("the session of a thread in %s is in %s", own, link)
		}
		// Namespaces that have no process yet are all alike.
		if err := syscall.Unshare(syscall.CLONE_NEWPID); err != nil {
			t.Error(err)
			return
		}
		if _, err := thread.Call(deadline(t, short), place, struct{}{}); !errors.Is(err, syscall.ENOENT) {
			t.Errorf("in a new pid namespace: %v", err)
		}
	}()
	<-done
	if got := where(t, place); got != outside || started.Load() != 2 {
		t.Errorf("the session is %s and was %s; %d processes were started", got, outside, started.Load())
	}
}

// TestAPoolFollowsPaths and files: what has come to be another namespace has another session.
func TestAPoolFollowsPaths(t *testing.T) {
	requireRoot(t)
	targets := []int{fixture(t, UTS, ""), fixture(t, UTS, "")}
	nothingLeft(t)
	pool, _ := newPool(t, &Pool{})
	path := filepath.Join(t.TempDir(), "uts")
	place := at(t, pool, Path(UTS, path))
	for _, pid := range targets {
		os.Remove(path)
		link := fmt.Sprintf("/proc/%d/ns/uts", pid)
		if err := os.Symlink(link, path); err != nil {
			t.Fatal(err)
		}
		want := namespaceOf(t, pid, UTS)
		var inside int
		var got string
		fmt.Sscan(where(t, place), &inside, &got)
		if got != want {
			t.Errorf("the session is in %s, want %s", got, want)
		}
		// By another way it is the same one, also when the file is closed that has shown the way.
		file, err := os.Open(link)
		if err != nil {
			t.Fatal(err)
		}
		byFile, byPid := at(t, pool, FD(UTS, file)), at(t, pool, Of(pid, UTS))
		for _, other := range []*Place{byFile, byPid} {
			if got := where(t, other); got != fmt.Sprintf("%d %s", inside, want) {
				t.Errorf("by another way the session is %s", got)
			}
		}
		file.Close()
		if _, err := thread.Call(deadline(t, short), byFile, struct{}{}); err == nil {
			t.Error("a file that is closed is used")
		}
	}
}

// TestAPoolHoldsNamespacesOfFiles that are the user's: their numbers would be free when he has closed them.
func TestAPoolHoldsNamespacesOfFiles(t *testing.T) {
	requireRoot(t)
	target := fixture(t, UTS, "")
	nothingLeft(t)
	pool, _ := newPool(t, &Pool{})
	file, err := os.Open(fmt.Sprintf("/proc/%d/ns/uts", target))
	if err != nil {
		t.Fatal(err)
	}
	where(t, at(t, pool, FD(UTS, file)))
	file.Close()
	own := namespaceOf(t, target, UTS)
	held := 0
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, entry := range entries {
		if link, _ := os.Readlink("/proc/self/fd/" + entry.Name()); link == own {
			held++
		}
	}
	if held != 1 {
		t.Errorf("the namespace is open %d times", held)
	}
}

func TestClosedPlace(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	pool, _ := newPool(t, &Pool{Proc: &Proc{New: User}})
	place := at(t, pool, Target{})
	for range 2 {
		if err := place.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := thread.Call(deadline(t, short), place, struct{}{}); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := pool.At(Of(endedProcess(t), UTS)); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("a process that has ended: %v", err)
	}
}

// TestAPlaceIsNotThatOfARecycledPid, neither with a session nor without one.
func TestAPlaceIsNotThatOfARecycledPid(t *testing.T) {
	requireRoot(t)
	nothingLeft(t)
	const isInside = "NSENTER_TEST_RECYCLES_PIDS"
	if os.Getenv(isInside) == "" {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(deadline(t, 3*short), "unshare", "--pid", "--fork", "--kill-child", "--mount-proc", self,
			"-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), isInside+"=1")
		output, err := cmd.CombinedOutput()
		testutil.Require(t, !strings.Contains(string(output), "--- SKIP"), string(output))
		if err != nil || !strings.Contains(string(output), "--- PASS: "+t.Name()) {
			t.Errorf("%v\n%s", err, output)
		}
		return
	}
	pool, started := newPool(t, &Pool{})
	first := exec.Command("/bin/sleep", "60")
	first.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUTS}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	pid := first.Process.Pid
	pidfd := openPidfd(t, pid)
	defer pidfd.Close()
	target := Of(pid, UTS)
	used, unused := at(t, pool, target), at(t, pool, target)
	byPidfd := at(t, pool, OfPidfd(pidfd, UTS))
	former := where(t, used)
	first.Process.Kill()
	first.Wait()
	second := startWithPid(t, pid)
	defer second.Wait()
	defer second.Process.Kill()
	for name, place := range map[string]*Place{"used": used, "not used": unused, "by pidfd": byPidfd} {
		if answer, err := pidOutside.Call(deadline(t, short), place, struct{}{}); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("%s: %s, %v", name, answer, err)
		}
	}
	if got := where(t, at(t, pool, target)); got == former {
		t.Error("the number is another process's, and the session is the former one")
	}
	if n := started.Load(); n != 2 {
		t.Errorf("%d processes were started", n)
	}
}
