// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"os"
	"syscall"
)

func closeDescriptors(files []int) {
	if len(files) == 0 {
		return
	}
	go func() {
		for _, fd := range files {
			syscall.Close(fd)
		}
	}()
}

// duplicateDescriptor is another descriptor of an open file, with close-on-exec.
func duplicateDescriptor(file *os.File) (int, error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return -1, err
	}
	var copied uintptr
	var errno syscall.Errno
	if err := raw.Control(func(fd uintptr) {
		copied, _, errno = syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return -1, err
	}
	if errno != 0 {
		return -1, os.NewSyscallError("fcntl", errno)
	}
	return int(copied), nil
}
