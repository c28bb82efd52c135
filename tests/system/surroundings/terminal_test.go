// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package surroundings

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"unsafe"

	"nsenter-cpp.example/internal/testutil"
	"nsenter-cpp.example/nsenter/bootstrap"
)

// terminal is both ends of a new one.
func terminal(t testing.TB) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	var unlock, number int32
	for _, call := range []struct {
		request uintptr
		value   *int32
	}{{syscall.TIOCSPTLCK, &unlock}, {syscall.TIOCGPTN, &number}} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, master.Fd(), call.request,
			uintptr(unsafe.Pointer(call.value))); errno != 0 {
			t.Fatal(errno)
		}
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// When a session's leader that has a terminal ends, the kernel sends SIGHUP to all in its foreground. The launched
// process can be such a leader, and the init process is in its session until it starts one of its own.
func TestSessionLeaderWithATerminal(t *testing.T) {
	testutil.RequireRoot(t)
	for _, kind := range []struct {
		name string
		request
	}{
		{"netlink", request{}},
		{"netlink with a new mount namespace", request{message: bootstrap.Message{Create: bootstrap.Mount}}},
		{"netlink with a new pid namespace", request{message: bootstrap.Message{Create: bootstrap.PID}}},
		{"netlink with a helper", request{message: bootstrap.Message{Create: bootstrap.User,
			UIDMap: []bootstrap.IDRange{{Outside: 100000, Count: 65536}},
			GIDMap: []bootstrap.IDRange{{Outside: 100000, Count: 65536}}}}},
		{"netlink with a copy", request{env: []string{"NSEXEC_COPY_MEMORY=1"}}},
		{"classic", request{classic: true}},
		{"classic with a copy", request{classic: true, env: []string{"NSEXEC_COPY_MEMORY=1"}}},
	} {
		t.Run(kind.name, func(t *testing.T) {
			lost := 0
			for range *rounds {
				_, slave := terminal(t)
				kind.prepare = func(cmd *exec.Cmd) {
					cmd.Stdin = slave
					cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
				}
				l := kind.launchAll(t)
				if l.lost {
					lost++
					continue
				}
				l.mustRun(t)
			}
			if lost > 0 {
				t.Errorf("%d of %d launches lost after the reply", lost, *rounds)
			}
		})
	}
}
