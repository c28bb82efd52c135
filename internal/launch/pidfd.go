// SPDX-License-Identifier: Apache-2.0

//go:build linux

package launch

import (
	"os"
	"syscall"
	"unsafe"

	"nsenter-cpp.example/internal/kernel"
)

// AwaitEnd waits for the end of a child and leaves it a zombie, as PeekStatus does. No thread waits: the Go runtime
// polls a pidfd, along with all else that it polls. Where there are no pidfds (before Linux 5.3) a thread waits.
func AwaitEnd(pid int) {
	if pidfd := openPidfd(pid); pidfd != nil {
		defer pidfd.Close()
		// Looked at with the pidfd open: as long as it is a child of ours that nobody has waited for, the number is its own.
		if _, err := waitid(pid, wExited|wNoWait|syscall.WNOHANG); err != nil || AwaitEvent(pidfd, pollIn) {
			return
		}
	}
	PeekStatus(pid)
}

// openPidfd opens a pidfd that does not block, which is what makes the runtime poll it. Without one it returns nil.
func openPidfd(pid int) *os.File {
	const pidfdOpen = 434
	fd, _, errno := syscall.Syscall(kernel.Call(pidfdOpen), uintptr(pid), 0, 0)
	if errno != 0 {
		return nil
	}
	if err := syscall.SetNonblock(int(fd), true); err != nil {
		syscall.Close(int(fd))
		return nil
	}
	return os.NewFile(fd, "pidfd")
}

// Events of poll(2).
const (
	pollIn  = 0x1
	PollOut = 0x4
)

// AwaitEvent waits until poll(2) reports something of a file that does not block, be it only an end or an error. It is
// false if the runtime does not poll the file, or has ceased to.
func AwaitEvent(file *os.File, event int16) bool {
	raw, err := file.SyscallConn()
	if err != nil {
		return false
	}
	wait := raw.Read
	if event == PollOut {
		wait = raw.Write
	}
	return wait(func(fd uintptr) bool { return hasEvent(fd, event) }) == nil
}

func hasEvent(fd uintptr, event int16) bool {
	poll := struct {
		fd              int32
		events, revents int16
	}{fd: int32(fd), events: event}
	var now syscall.Timespec
	n, _, errno := syscall.RawSyscall6(syscall.SYS_PPOLL,
		uintptr(unsafe.Pointer(&poll)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	return errno == 0 && n > 0
}
