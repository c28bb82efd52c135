// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package parent

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"nsenter-cpp.example/nsenter/bootstrap"

	_ "nsenter-cpp.example/nsenter" // this test program is the program that is launched
)

const (
	envRole = "PARENT_TEST_ROLE"
	envSay  = "PARENT_TEST_SAY"
)

func TestMain(m *testing.M) {
	switch os.Getenv(envRole) {
	case "":
		os.Exit(m.Run())
	case "init":
		initMain()
	case "stray":
		strayMain()
	}
}

// initMain is an init process: it copies a document from INITPIPE to standard output until EOF.
func initMain() {
	fd, err := strconv.Atoi(os.Getenv("_LIBCONTAINER_INITPIPE"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "INITPIPE:", err)
		os.Exit(2)
	}
	os.Stderr.WriteString(os.Getenv(envSay))
	os.Stdout.WriteString("ready\n")
	pipe := os.NewFile(uintptr(fd), "INITPIPE")
	if _, err := io.Copy(os.Stdout, pipe); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	os.Exit(7)
}

// strayMain is a launched process that has cloned a sibling, which has a session of its own and lives or dies,
// and is stuck.
func strayMain() {
	live := os.Getenv(envSay) == "live"
	pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, syscall.CLONE_PARENT|uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		os.Exit(2)
	}
	if pid == 0 {
		syscall.RawSyscall(syscall.SYS_SETSID, 0, 0, 0)
		for live {
			syscall.RawSyscall6(syscall.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
		}
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
	}
	time.Sleep(time.Minute)
}

func requireRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	const what = "root, to join and create namespaces"
	if os.Getenv("REQUIRE_ALL") == "1" {
		t.Fatalf("REQUIRE_ALL=1, and this needs %s", what)
	}
	t.Skipf("LEFT OUT: this needs %s", what)
}

// self is a launch of this program.
func self(m *bootstrap.Message) *Cmd {
	return &Cmd{
		Path:    "/proc/self/exe",
		Args:    []string{"parent.test"},
		Env:     []string{envRole + "=init"},
		Dir:     "/",
		Stderr:  os.Stderr,
		Message: m,
	}
}

func deadline(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// fixture is a process in new namespaces of its own.
func fixture(t testing.TB, kinds bootstrap.Namespaces) int {
	t.Helper()
	cmd := exec.Command("/bin/sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: uintptr(kinds), Pdeathsig: syscall.SIGKILL}
	// Pdeathsig is about the thread that forks.
	runtime.LockOSThread()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		runtime.UnlockOSThread()
	})
	return cmd.Process.Pid
}

func namespaceOf(t testing.TB, pid int, kind bootstrap.Namespaces) string {
	t.Helper()
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%v", pid, kind))
	if err != nil {
		t.Error(err)
	}
	return link
}

// children lists this process's children, zombies too, by pid and name.
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
		if err == nil && !strings.HasPrefix(target, "anon_inode:[event") && !strings.HasSuffix(target, "/fd") {
			list = append(list, entry.Name()+" "+target)
		}
	}
	return list
}

// nothingLeft demands, at the end of a test, that there are no more processes, descriptors and
// goroutines than now.
func nothingLeft(t testing.TB) {
	t.Helper()
	processes, files, goroutines := len(children(t)), len(openFiles(t)), runtime.NumGoroutine()
	t.Cleanup(func() {
		// What a context does at its end it does in a goroutine of its own.
		for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > goroutines; {
			if time.Now().After(end) {
				stacks := make([]byte, 1<<16)
				t.Errorf("goroutines left:\n%s", stacks[:runtime.Stack(stacks, true)])
				break
			}
			time.Sleep(time.Millisecond)
		}
		// Where SIGCHLD is ignored a process is gone a moment after its end is known.
		got := children(t)
		for end := time.Now().Add(time.Second); len(got) > processes && time.Now().Before(end); got = children(t) {
			time.Sleep(time.Millisecond)
		}
		if len(got) > processes {
			t.Errorf("processes left: %q", got)
		}
		if got := openFiles(t); len(got) > files {
			t.Errorf("descriptors left: %q", got)
		}
	})
}
