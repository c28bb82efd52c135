// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package testutil

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Deadline is a context that lasts as long, and not longer than the test. Something that takes seconds may take more on
// the slow machines that -test.short is for.
func Deadline(t testing.TB, d time.Duration) context.Context {
	if testing.Short() && d >= time.Second {
		d *= 5
	}
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// Fixture is a process in new namespaces, of the kinds that have these CLONE_NEW* bits, which runs a shell script first
// and then sleeps.
func Fixture(t testing.TB, kinds uintptr, script string) int {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd := exec.Command("/bin/sh", "-c", "set -e\n"+script+"\necho ready\nexec 1>&-\nexec sleep 600")
	cmd.Stdout = write
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// The low byte of clone's flags is the exit signal, so time is for unshare.
		Cloneflags:   kinds &^ syscall.CLONE_NEWTIME,
		Unshareflags: kinds & syscall.CLONE_NEWTIME,
	}
	if kinds&syscall.CLONE_NEWUSER != 0 {
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: 100000, Size: 65536}}
		cmd.SysProcAttr.GidMappings = cmd.SysProcAttr.UidMappings
		cmd.SysProcAttr.GidMappingsEnableSetgroups = true
		cmd.SysProcAttr.Credential = &syscall.Credential{}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	read.SetReadDeadline(time.Now().Add(20 * time.Second))
	ready := make([]byte, 6)
	if n, err := read.Read(ready); err != nil || string(ready[:n]) != "ready\n" {
		t.Fatalf("the fixture said %q (%v)", ready[:n], err)
	}
	return cmd.Process.Pid
}

// StartPiped starts a program with pipes for its standard input and output.
func StartPiped(t testing.TB, cmd *exec.Cmd) (in io.WriteCloser, out io.Reader) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err = cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return in, out
}

// UserSandbox is a process in a new user namespace of user 1000, and in others by options of unshare(1), for as long as
// the test runs. Its groups cannot be set, since the user has no subordinate gids.
func UserSandbox(t testing.TB, options ...string) (pid int) {
	t.Helper()
	cmd := exec.CommandContext(Deadline(t, patience), "unshare",
		append(append([]string{"-r"}, options...), "sh", "-c", "echo ready; exec cat")...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
	cmd.Dir = "/"
	in, out := StartPiped(t, cmd)
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

// StartAt starts a program at a terminal, as the leader of a session of which that is the controlling one.
func StartAt(t testing.TB, terminal *os.File, cmd *exec.Cmd) {
	t.Helper()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

// NamespaceOf is what a namespace of a process is.
func NamespaceOf(t testing.TB, pid int, kind fmt.Stringer) string {
	t.Helper()
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%v", pid, kind))
	if err != nil {
		t.Error(err)
	}
	return link
}

func children(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no /proc/self/task/*/children (%v)", err)
	}
	var list []string
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		for _, pid := range strings.Fields(string(text)) {
			name, _ := os.ReadFile("/proc/" + pid + "/comm")
			list = append(list, pid+" "+strings.TrimSpace(string(name)))
		}
	}
	return list
}

func openFiles(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, entry := range entries {
		target, err := os.Readlink("/proc/self/fd/" + entry.Name())
		// within keeps programs for a while, as a copy in memory or by a mount of their own, of which they are the root.
		if err == nil && !strings.HasPrefix(target, "anon_inode:[event") && !strings.HasPrefix(target, "/memfd:") &&
			!strings.HasSuffix(target, "/fd") && target != "/" {
			list = append(list, entry.Name()+" "+target)
		}
	}
	return list
}

// How long what has been told to end may take on a machine that is busy with other tests.
const patience = 20 * time.Second

// NothingLeft demands, at the end of a test, that there are no more processes, descriptors and
// goroutines than now.
func NothingLeft(t testing.TB) {
	t.Helper()
	processes, files, goroutines := len(children(t)), len(openFiles(t)), runtime.NumGoroutine()
	t.Cleanup(func() {
		for end := time.Now().Add(patience); runtime.NumGoroutine() > goroutines; {
			if time.Now().After(end) {
				stacks := make([]byte, 1<<16)
				t.Errorf("goroutines left:\n%s", stacks[:runtime.Stack(stacks, true)])
				break
			}
			time.Sleep(time.Millisecond)
		}
		// Where SIGCHLD is ignored a process is gone a moment after its end is known.
		got := children(t)
		for end := time.Now().Add(patience); len(got) > processes && time.Now().Before(end); got = children(t) {
			time.Sleep(time.Millisecond)
		}
		if len(got) > processes {
			t.Errorf("processes left: %q", got)
		}
		// A goroutine of the package's may close some in its own time.
		open := openFiles(t)
		for end := time.Now().Add(patience); len(open) > files && time.Now().Before(end); open = openFiles(t) {
			time.Sleep(time.Millisecond)
		}
		if len(open) > files {
			t.Errorf("descriptors left: %q", open)
		}
	})
}

// WhereSIGCHLDIsMinded runs a test with callers that reap what is not theirs: by ignoring SIGCHLD, and by waiting for
// any child.
func WhereSIGCHLDIsMinded(t *testing.T, run func(t *testing.T)) {
	t.Run("ignored", func(t *testing.T) {
		handleSIGCHLD() // the first time, package os/signal starts a goroutine
		NothingLeft(t)
		signal.Ignore(syscall.SIGCHLD)
		defer handleSIGCHLD()
		run(t)
	})
	t.Run("reaps everything", func(t *testing.T) {
		NothingLeft(t)
		var over atomic.Bool
		done := make(chan struct{})
		go func() {
			defer close(done)
			for !over.Load() {
				if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
					time.Sleep(50 * time.Microsecond)
				}
			}
		}()
		run(t)
		over.Store(true)
		<-done
	})
}

// handleSIGCHLD is the way back from signal.Ignore, which signal.Reset is not.
func handleSIGCHLD() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGCHLD)
	signal.Stop(c)
}
