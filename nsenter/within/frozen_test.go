// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"nsenter-cpp.example/internal/testutil"
)

// cgroup is one for a test.
type cgroup struct {
	t       *testing.T
	root    *os.File // of its hierarchy
	path    string
	version int
}

// newFreezer makes a cgroup in which processes can be frozen.
func newFreezer(t *testing.T, version int) cgroup {
	t.Helper()
	if version == 2 {
		return newCgroup(t, 2, "")
	}
	return newCgroup(t, 1, "freezer")
}

// newCgroup makes a cgroup of that version, in a hierarchy that is mounted where nobody else sees it.
func newCgroup(t *testing.T, version int, options string) cgroup {
	t.Helper()
	c, err := tryCgroup(t, version, options)
	testutil.Require(t, err == nil, fmt.Sprintf("%s of cgroup version %d (%v)", options, version, err))
	return c
}

func tryCgroup(t *testing.T, version int, options string) (cgroup, error) {
	t.Helper()
	requireRoot(t)
	kind := "cgroup"
	if version == 2 {
		kind = "cgroup2"
	}
	at := t.TempDir()
	type mounted struct {
		root *os.File
		err  error
	}
	result := make(chan mounted)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		err := syscall.Unshare(syscall.CLONE_NEWNS)
		if err == nil {
			err = syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
		}
		if err == nil {
			err = syscall.Mount(kind, at, kind, 0, options)
		}
		var root *os.File
		if err == nil {
			root, err = os.Open(at) // keeps the mount
		}
		result <- mounted{root, err}
	}()
	m := <-result
	if m.err != nil {
		return cgroup{}, m.err
	}
	t.Cleanup(func() { m.root.Close() })
	path := fmt.Sprintf("/proc/self/fd/%d/within-test-%d", m.root.Fd(), os.Getpid())
	if err := os.Mkdir(path, 0o755); err != nil {
		return cgroup{}, err
	}
	t.Cleanup(func() {
		for end := time.Now().Add(short); os.Remove(path) != nil && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
	})
	return cgroup{t, m.root, path, version}, nil
}

// freeze freezes a process, and returns when it is.
func (f cgroup) freeze(pid int) {
	f.t.Helper()
	f.write("cgroup.procs", strconv.Itoa(pid))
	if f.version == 2 {
		f.write("cgroup.freeze", "1")
		f.await("cgroup.events", "frozen 1")
	} else {
		f.write("freezer.state", "FROZEN")
		f.await("freezer.state", "FROZEN")
	}
}

func (f cgroup) thaw() {
	if f.version == 2 {
		f.write("cgroup.freeze", "0")
	} else {
		f.write("freezer.state", "THAWED")
	}
}

func (f cgroup) write(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.path, name), []byte(text), 0); err != nil {
		f.t.Error(err)
	}
}

func (f cgroup) await(name, want string) {
	f.t.Helper()
	for end := time.Now().Add(short); ; time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(filepath.Join(f.path, name))
		if err == nil && strings.Contains(string(text), want) {
			return
		}
		if time.Now().After(end) {
			f.t.Fatalf("%s is %q (%v), want %s", name, text, err, want)
		}
	}
}

// inTime runs something, and demands that it comes to its end in that time; otherwise undo is to end it.
func inTime(t *testing.T, most time.Duration, undo, run func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		run()
	}()
	select {
	case <-done:
	case <-time.After(most):
		t.Errorf("not done after %v", most)
		undo()
		<-done
	}
}

// TestFrozenProcessesAreLeftToTheKernel: nothing can end who is frozen by a cgroup of version 1 before it is thawed.
func TestFrozenProcessesAreLeftToTheKernel(t *testing.T) {
	before := patienceForKernel
	patienceForKernel = 200 * time.Millisecond
	t.Cleanup(func() { patienceForKernel = before })
	const most = 10 * time.Second
	isLeft := func(t *testing.T, err, why error, pid int) {
		t.Helper()
		var left *NotEndedError
		if !errors.As(err, &left) || left.Pid != pid || left.State != 'D' || why != nil && !errors.Is(err, why) {
			t.Errorf("got %v, want that process %d is left", err, pid)
		}
	}
	t.Run("Close", func(t *testing.T) {
		nothingLeft(t)
		f := newFreezer(t, 1)
		s, err := (&Proc{New: User, Stdout: &strings.Builder{}}).Start(deadline(t, 3*short))
		if err != nil {
			t.Fatal(err)
		}
		s.patience = 100 * time.Millisecond
		f.freeze(s.Pid())
		under := make(chan error, 1)
		go func() {
			_, err := hold.Call(context.Background(), s, struct{}{})
			under <- err
		}()
		inTime(t, most, f.thaw, func() {
			err := s.Close()
			isLeft(t, err, nil, s.Pid())
			want := fmt.Sprintf("within: process %d has been killed and does not end (state D): it is left to the kernel",
				s.Pid())
			if err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
			if err := <-under; err != ErrClosed {
				t.Errorf("the call under way: %v", err)
			}
			isLeft(t, s.Close(), nil, s.Pid())
		})
		f.thaw()
	})
	t.Run("the session's context", func(t *testing.T) {
		nothingLeft(t)
		f := newFreezer(t, 1)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		s, err := (&Proc{New: User}).Start(ctx)
		if err != nil {
			t.Fatal(err)
		}
		f.freeze(s.Pid())
		inTime(t, most, f.thaw, func() {
			time.AfterFunc(50*time.Millisecond, cancel)
			if _, err := hold.Call(context.Background(), s, struct{}{}); err != context.Canceled {
				t.Errorf("the call under way: %v", err)
			}
			isLeft(t, s.Close(), nil, s.Pid())
		})
		f.thaw()
	})
	program := func(kinds Namespaces, shares bool) func(context.Context, io.Writer) error {
		return func(ctx context.Context, output io.Writer) error {
			c := Command(&Proc{New: kinds, Stdout: output}, "sh", "-c", "echo $$; sleep 60")
			c.ShareMemory = shares
			return c.Run(ctx)
		}
	}
	for what, run := range map[string]func(context.Context, io.Writer) error{
		"a call": func(ctx context.Context, output io.Writer) error {
			_, err := sayAndHold.Call(ctx, &Proc{New: User, Stdout: output}, struct{}{})
			return err
		},
		"a program":                           program(User, false),
		"a program that shares memory before": program(UTS, true),
	} {
		t.Run(what, func(t *testing.T) {
			nothingLeft(t)
			f := newFreezer(t, 1)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			pids := make(chan string, 1)
			go func() {
				if pid, err := strconv.Atoi(<-pids); err == nil {
					f.freeze(pid)
				}
				cancel()
			}()
			inTime(t, most, f.thaw, func() {
				err := run(ctx, toChannel(pids))
				var left *NotEndedError
				if !errors.As(err, &left) || !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
			})
			f.thaw()
		})
	}
}

// toChannel sends what is written first to a channel.
type toChannel chan string

func (c toChannel) Write(text []byte) (int, error) {
	select {
	case c <- strings.TrimSpace(string(text)):
	default:
	}
	return len(text), nil
}

var sayAndHold = Register("test.say-and-hold", func(ctx context.Context, _ struct{}) (struct{}, error) {
	fmt.Println(os.Getpid())
	<-ctx.Done()
	return struct{}{}, ctx.Err()
})

// TestFrozenByVersion2: who is frozen there does not read, and can be killed.
func TestFrozenByVersion2(t *testing.T) {
	nothingLeft(t)
	f := newFreezer(t, 2)
	s, err := (&Proc{New: User}).Start(deadline(t, 3*short))
	if err != nil {
		t.Fatal(err)
	}
	s.patience = 100 * time.Millisecond
	f.freeze(s.Pid())
	inTime(t, 10*time.Second, f.thaw, func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestStoppedSessionsAreClosedAtOnce: they would not read that they are to end.
func TestStoppedSessionsAreClosedAtOnce(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	s, err := (&Proc{New: User}).Start(deadline(t, 3*short))
	if err != nil {
		t.Fatal(err)
	}
	s.patience = short
	stop(t, s)
	start := time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > short/2 {
		t.Errorf("took %v", took)
	}
}
