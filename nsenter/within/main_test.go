// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"nsenter-cpp.example/internal/testutil"
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
	most := 100 * time.Second
	if testing.Short() {
		most *= 5 // an emulated machine
	}
	timer := time.AfterFunc(most, func() { cmd.Process.Kill() })
	defer timer.Stop()
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", role, err, output)
	}
	return string(output)
}

var (
	requireRoot = testutil.RequireRoot
	deadline    = testutil.Deadline
	namespaceOf = testutil.NamespaceOf
	nothingLeft = testutil.NothingLeft
)

func fixture(t testing.TB, kinds Namespaces, script string) int {
	return testutil.Fixture(t, uintptr(kinds), script)
}

// buildStatic builds testdata/static.go, a program that needs no library.
func buildStatic(t *testing.T, path string) {
	t.Helper()
	build := exec.Command("go", "build", "-o", path, "testdata/static.go")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
}

// short is how long a call may take that is not about time.
const short = 20 * time.Second

// endedProcess is the number of a process that is no more.
func endedProcess(t testing.TB) int {
	t.Helper()
	cmd := exec.Command("/bin/true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}
