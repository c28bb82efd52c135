// SPDX-License-Identifier: Apache-2.0

//go:build linux

package launch

import (
	"syscall"
	"time"
	"unsafe"
)

// Not in package syscall.
const (
	pPid     = 1
	wExited  = syscall.WEXITED
	wNoWait  = syscall.WNOWAIT
	cldExit  = 1
	siginfoN = 128
)

// siginfo is the part of siginfo_t that waitid(2) fills in. On MIPS the code and the errno, which is
// always 0, have changed places.
type siginfo struct {
	signo, errno, code int32
	_                  [unsafe.Sizeof(uintptr(0))/4 - 1]int32 // alignment of the union
	pid                int32
	uid                uint32
	status             int32
	_                  [siginfoN]byte
}

func waitid(pid, options int) (siginfo, error) {
	var info siginfo
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, pPid, uintptr(pid),
			uintptr(unsafe.Pointer(&info)), uintptr(options), 0, 0)
		if errno == 0 {
			return info, nil
		}
		if errno != syscall.EINTR {
			return info, errno
		}
	}
}

// PeekStatus waits for the end of a child and leaves it a zombie, whose number nobody else gets.
func PeekStatus(pid int) (syscall.WaitStatus, error) {
	info, err := waitid(pid, wExited|wNoWait)
	if err != nil {
		return 0, err
	}
	if info.code|info.errno == cldExit {
		return syscall.WaitStatus(info.status << 8), nil
	}
	return syscall.WaitStatus(info.status), nil
}

// reap waits for one child. It does not matter if other code has done so.
func reap(pid int) {
	for {
		if _, err := syscall.Wait4(pid, nil, 0, nil); err != syscall.EINTR {
			return
		}
	}
}

// reapGroup waits for all children in a process group. They end by themselves, since their launched process has ended.
// It waits no longer than this time for those that have not ended. (It reaps those that have, however late we are.)
func reapGroup(group int, patience time.Duration) {
	for end := time.Now().Add(patience); ; {
		pid, err := syscall.Wait4(-group, nil, syscall.WNOHANG, nil)
		switch {
		case err == syscall.EINTR || pid > 0:
		case err != nil: // ECHILD: none is left
			return
		case !time.Now().Before(end):
			return
		default:
			time.Sleep(time.Millisecond)
		}
	}
}
