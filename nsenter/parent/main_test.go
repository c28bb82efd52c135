// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package parent

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"nsenter-cpp.example/internal/testutil"
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
	flags, stack := syscall.CLONE_PARENT|uintptr(syscall.SIGCHLD), uintptr(0)
	if runtime.GOARCH == "s390x" { // clone(2): the other way round
		flags, stack = stack, flags
	}
	pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, flags, stack, 0, 0, 0, 0)
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

var (
	requireRoot = testutil.RequireRoot
	deadline    = testutil.Deadline
	namespaceOf = testutil.NamespaceOf
	nothingLeft = testutil.NothingLeft
)

func fixture(t testing.TB, kinds bootstrap.Namespaces) int {
	return testutil.Fixture(t, uintptr(kinds), "")
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
