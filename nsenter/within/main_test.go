// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package within

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// roles are what this program does when a test starts it again as somebody else.
var roles = map[string]func() error{}

const envRole = "WITHIN_TEST_ROLE"

// The main goroutine keeps the main thread: a test that changes its thread's namespaces must not be on it,
// since /proc/self shows that one's, and it is the only thread that Go cannot end.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	role := roles[os.Getenv(envRole)]
	if os.Getenv(envRole) == "forgot-init" {
		os.Exit(finish(role()))
	}
	Init()
	if role != nil {
		os.Exit(finish(role()))
	}
	keepFDs()
	// A second at the end of each process of a program with -race, for other threads' reports.
	os.Setenv("GORACE", "atexit_sleep_ms=0")
	os.Exit(m.Run())
}

// keepFDs keeps from children whatever descriptors the test was started with.
func keepFDs() {
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

func finish(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// inRole is this program in a role.
func inRole(role string, arguments ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", arguments...)
	cmd.Env = append(os.Environ(), envRole+"="+role)
	return cmd
}

// runRole runs this program in a role, as a user, and demands that it goes well.
func runRole(t *testing.T, uid uint32, role string, arguments ...string) string {
	t.Helper()
	cmd := inRole(role, arguments...)
	cmd.Dir = "/"
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	timer := time.AfterFunc(100*time.Second, func() { cmd.Process.Kill() })
	defer timer.Stop()
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", role, err, output)
	}
	return string(output)
}

func require(t testing.TB, there bool, what string) {
	t.Helper()
	if there {
		return
	}
	if os.Getenv("REQUIRE_ALL") == "1" {
		t.Fatalf("REQUIRE_ALL=1, and this needs %s", what)
	}
	t.Skipf("LEFT OUT: this needs %s", what)
}

func requireRoot(t testing.TB) {
	t.Helper()
	require(t, os.Geteuid() == 0, "root, to join and create namespaces")
}

func deadline(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// short is how long a call may take that is not about time.
const short = 20 * time.Second

// fixture is a process in new namespaces, which runs a shell script first and then sleeps.
func fixture(t testing.TB, kinds Namespaces, script string) int {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd := exec.Command("/bin/sh", "-c", "set -e\n"+script+"\necho ready\nexec 1>&-\nexec sleep 120")
	cmd.Stdout = write
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// The low byte of clone's flags is the exit signal, so time is for unshare.
		Cloneflags:   uintptr(kinds &^ Time),
		Unshareflags: uintptr(kinds & Time),
	}
	if kinds.Has(User) {
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
	read.SetReadDeadline(time.Now().Add(short))
	ready := make([]byte, 6)
	if n, err := read.Read(ready); err != nil || string(ready[:n]) != "ready\n" {
		t.Fatalf("the fixture said %q (%v)", ready[:n], err)
	}
	return cmd.Process.Pid
}

func namespaceOf(t testing.TB, pid int, kind Namespaces) string {
	t.Helper()
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%v", pid, kind))
	if err != nil {
		t.Error(err)
	}
	return link
}

func childrenOf(t testing.TB) []string {
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
		if err == nil && !strings.HasPrefix(target, "anon_inode:[event") && !strings.HasPrefix(target, "/memfd:") &&
			!strings.HasSuffix(target, "/fd") {
			list = append(list, entry.Name()+" "+target)
		}
	}
	return list
}

// nothingLeft demands, at the end of a test, that there are no more processes, descriptors and
// goroutines than now.
func nothingLeft(t testing.TB) {
	t.Helper()
	processes, files, goroutines := len(childrenOf(t)), len(openFiles(t)), runtime.NumGoroutine()
	t.Cleanup(func() {
		for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > goroutines; {
			if time.Now().After(end) {
				stacks := make([]byte, 1<<16)
				t.Errorf("goroutines left:\n%s", stacks[:runtime.Stack(stacks, true)])
				break
			}
			time.Sleep(time.Millisecond)
		}
		// Where SIGCHLD is ignored a process is gone a moment after its end is known.
		got := childrenOf(t)
		for end := time.Now().Add(time.Second); len(got) > processes && time.Now().Before(end); got = childrenOf(t) {
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

// endedProcess is the number of a process that is no more.
func endedProcess(t testing.TB) int {
	t.Helper()
	cmd := exec.Command("/bin/true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}
