// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

// Package soak launches very often, and many at once, to see what adds up.
//
// The test binary is both sides: started with a role it is the init process.
package soak

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
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

	"nsenter-cpp.example/internal/testutil"
	_ "nsenter-cpp.example/nsenter"
	"nsenter-cpp.example/nsenter/bootstrap"
	"nsenter-cpp.example/nsenter/parent"
)

var (
	rounds = flag.Int("rounds", 5, "how often 64 launches are made at once")
	inARow = flag.Int("in-a-row", 1000, "how many launches are made one after the other")
)

const (
	role     = "SOAK_ROLE"
	parallel = 64
	// Of one launch, on a machine that is busy with 63 others.
	patience = 20 * time.Second
)

func TestMain(m *testing.M) {
	if os.Getenv(role) == "" {
		// Whom a launch leaves without a parent is then a child of this process, and counted, not one of pid 1.
		const setChildSubreaper = 36 // PR_SET_CHILD_SUBREAPER
		if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, setChildSubreaper, 1, 0); errno != 0 {
			fmt.Fprintln(os.Stderr, "cannot become a subreaper:", errno)
			os.Exit(2)
		}
		os.Exit(m.Run())
	}
	fd, err := strconv.Atoi(os.Getenv("_LIBCONTAINER_INITPIPE"))
	if err != nil {
		os.Exit(2)
	}
	// Until the parent closes its end.
	if _, err := io.Copy(io.Discard, os.NewFile(uintptr(fd), "INITPIPE")); err != nil {
		os.Exit(2)
	}
}

// A kind of launch, and the errno with which it fails; 0 if it does not.
type kind struct {
	name    string
	message bootstrap.Message
	fails   syscall.Errno
}

// Kinds of launches: with and without a helper, with memory that is shared and that is copied, and
// failures before and after there is a helper.
func kinds(target int) []kind {
	const usual = bootstrap.Mount | bootstrap.UTS | bootstrap.IPC | bootstrap.PID
	maps := []bootstrap.IDRange{{Inside: 0, Outside: 100000, Count: 65536}}
	join := func(names ...string) (all []bootstrap.Join) {
		for _, name := range names {
			all = append(all, bootstrap.Join{Kind: bootstrap.Kind(name), Path: fmt.Sprintf("/proc/%d/ns/%s", target, name)})
		}
		return all
	}
	missing := []bootstrap.Join{{Kind: bootstrap.Kind("net"), Path: "/proc/self/ns/no-such-file"}}
	return []kind{
		{"nothing", bootstrap.Message{}, 0},
		{"create", bootstrap.Message{Create: usual}, 0},
		{"create with time", bootstrap.Message{Create: usual | bootstrap.Time}, 0},
		{"create with user", bootstrap.Message{Create: usual | bootstrap.User, UIDMap: maps, GIDMap: maps}, 0},
		{"join", bootstrap.Message{Join: join("ipc", "mnt", "net", "pid", "uts")}, 0},
		{"join what is missing", bootstrap.Message{Join: missing}, syscall.ENOENT},
		{"join what is missing, with a helper", bootstrap.Message{Create: bootstrap.User, UIDMap: maps, GIDMap: maps,
			Join: missing}, syscall.ENOENT},
	}
}

// Launch makes one launch and waits until it is over.
func launch(k kind) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := &parent.Cmd{Path: "/proc/self/exe", Args: []string{"soak.test"}, Env: []string{role + "=init"},
		Dir: "/", Message: &k.message}
	init, err := cmd.Start(ctx)
	if k.fails != 0 {
		if !errors.Is(err, k.fails) {
			return fmt.Errorf("%s: %v, want %v", k.name, err, k.fails)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", k.name, err)
	}
	closed := init.Conn.Close()
	state, err := init.Wait()
	if err = errors.Join(closed, err); err != nil {
		return fmt.Errorf("%s: %w", k.name, err)
	}
	if !state.Success() {
		return fmt.Errorf("%s: the init process: %v", k.name, state)
	}
	return nil
}

// Target is a process in namespaces of its own, to be joined.
func target(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("/bin/sleep", "100000")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWIPC | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET |
			syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS,
		Pdeathsig: syscall.SIGKILL,
	}
	runtime.LockOSThread() // Pdeathsig is about the thread that forks
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // says that it was killed
		runtime.UnlockOSThread()
	})
	return cmd.Process.Pid
}

// Held is what a process has that could be left over.
type held struct {
	processes, descriptors, goroutines int
	memory                             int64 // resident, in bytes
}

func holding(t *testing.T) held {
	t.Helper()
	runtime.GC()
	h := held{goroutines: runtime.NumGoroutine()}
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(lists) == 0 {
		t.Fatalf("no /proc/self/task/*/children: %v", err)
	}
	for _, list := range lists {
		if text, err := os.ReadFile(list); err == nil { // else the thread has ended
			h.processes += len(strings.Fields(string(text)))
		}
	}
	descriptors, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	h.descriptors = len(descriptors)
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	h.memory = pages * int64(os.Getpagesize())
	return h
}

// Settled is what is held when that no longer changes: goroutines that end need a moment.
func settled(t *testing.T, want held) held {
	t.Helper()
	h := holding(t)
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); h = holding(t) {
		if h.processes <= want.processes && h.descriptors <= want.descriptors && h.goroutines <= want.goroutines {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return h
}

func (h held) mustBe(t *testing.T, before held, after string) {
	t.Helper()
	if h.processes != before.processes || h.descriptors != before.descriptors || h.goroutines != before.goroutines {
		t.Fatalf("%s: %d processes, %d descriptors, %d goroutines; before: %d, %d, %d", after,
			h.processes, h.descriptors, h.goroutines, before.processes, before.descriptors, before.goroutines)
	}
}

// TestOrphansAreSeen: a process that is left of a launch counts too if it is not the parent's own child.
func TestOrphansAreSeen(t *testing.T) {
	before := holding(t)
	output, err := exec.Command("/bin/sh", "-c", "sleep 100000 >/dev/null 2>&1 & echo $!").Output()
	if err != nil {
		t.Fatal(err)
	}
	orphan, err := strconv.Atoi(strings.TrimSpace(string(output)))
	if err != nil {
		t.Fatal(err)
	}
	if with := holding(t).processes; with != before.processes+1 {
		t.Errorf("%d processes with an orphan, %d before", with, before.processes)
	}
	if err := syscall.Kill(orphan, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	if _, err := syscall.Wait4(orphan, nil, 0, nil); err != nil {
		t.Error(err)
	}
	settled(t, before).mustBe(t, before, "without the orphan")
}

func TestManyAtOnceLeaveNothingBehind(t *testing.T) {
	testutil.RequireRoot(t)
	all := kinds(target(t))
	if err := launch(all[0]); err != nil { // what the packages keep for good is there afterwards
		t.Fatal(err)
	}
	before := holding(t)
	for round := range *rounds {
		failures := make(chan error, parallel)
		var running sync.WaitGroup
		for i := range parallel {
			running.Add(1)
			go func() {
				defer running.Done()
				failures <- launch(all[i%len(all)])
			}()
		}
		running.Wait()
		close(failures)
		for err := range failures {
			if err != nil {
				t.Error(err)
			}
		}
		settled(t, before).mustBe(t, before, fmt.Sprintf("after %d times %d", round+1, parallel))
		if t.Failed() {
			return
		}
	}
	t.Logf("%d times %d launches at once: no error, nothing left", *rounds, parallel)
}

func TestManyInARowLeaveTheParentAsItIs(t *testing.T) {
	testutil.RequireRoot(t)
	all := kinds(target(t))
	const samples = 20
	var memory []int64
	var before held
	for n := range *inARow {
		if err := launch(all[n%len(all)]); err != nil {
			t.Fatalf("launch %d: %v", n+1, err)
		}
		if (n+1)%max(1, *inARow/samples) != 0 {
			continue
		}
		if memory == nil {
			before = holding(t)
		}
		h := settled(t, before)
		h.mustBe(t, before, fmt.Sprintf("after %d launches", n+1))
		memory = append(memory, h.memory)
	}
	// Flat: the largest of the second half is hardly above the largest of the first. The Go runtime
	// keeps some more or less as it likes.
	const slack = 1 << 20
	first, second := slices.Max(memory[:len(memory)/2]), slices.Max(memory[len(memory)/2:])
	t.Logf("%d launches in a row; resident memory of the parent at most %d KiB in the first half, %d KiB in "+
		"the second; %d descriptors",
		*inARow, first/1024, second/1024, before.descriptors)
	if second > first+slack {
		t.Errorf("memory grows: %v", memory)
	}
}
