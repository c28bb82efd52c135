// SPDX-License-Identifier: Apache-2.0

//go:build linux

package launch

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// A program that is executed inherits the descriptors that it is given. It also inherits all others that this process
// has without close-on-exec: those that it was started with itself, and those that C code has opened. These are not
// ours to change. But a number of syscall.ProcAttr.Files that holds nothing is closed in the child. So Files goes on,
// holding nothing, up to the last such descriptor. (If another thread opens one between this and the fork, on a higher
// number, the program inherits it.)

// nothing is an entry of syscall.ProcAttr.Files whose number the child does not have.
const nothing = ^uintptr(0)

// withNothingElse is files, and nothing on the numbers above them that a child would have as well.
func withNothingElse(files []uintptr) []uintptr {
	last := lastInheritable(len(files))
	if last < len(files) {
		return files
	}
	all := make([]uintptr, last+1)
	for i := copy(all, files); i < len(all); i++ {
		all[i] = nothing
	}
	return all
}

// lastInheritable is the highest number, first or above, of a descriptor without close-on-exec, or else -1. It asks for
// each number. To read the list in /proc/self/fd takes several times as long.
func lastInheritable(first int) int {
	for fd := descriptorTable() - 1; fd >= first; fd-- {
		flags, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
		if errno == 0 && flags&syscall.FD_CLOEXEC == 0 {
			return fd
		}
	}
	return -1
}

// descriptorTable is a number that no descriptor of this thread reaches.
func descriptorTable() int {
	for _, path := range []string{"/proc/thread-self/status", "/proc/self/status"} { // the first since Linux 3.17
		text, _ := os.ReadFile(path)
		for _, line := range bytes.Split(text, []byte{'\n'}) {
			if name := []byte("FDSize:"); bytes.HasPrefix(line, name) {
				if size, err := strconv.Atoi(string(bytes.TrimSpace(line[len(name):]))); err == nil {
					return size
				}
			}
		}
	}
	return 1 << 20 // the kernel's limit, unless fs.nr_open has been raised
}

// executable is a path under which the child can still execute path when it has put files on their numbers. If path is
// the number of a descriptor that is not among them, the file is a duplicate, which the caller closes after the fork.
func executable(path string, files []uintptr) (string, *os.File, error) {
	number := -1
	for _, folder := range []string{"/proc/self/fd/", "/proc/thread-self/fd/", "/dev/fd/"} {
		if strings.HasPrefix(path, folder) {
			if n, err := strconv.Atoi(path[len(folder):]); err == nil {
				number = n
			}
		}
	}
	if number < 0 || number < len(files) && files[number] != nothing {
		return path, nil, nil
	}
	lowest := lowestFree(files)
	fd, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(number), syscall.F_DUPFD_CLOEXEC, uintptr(lowest))
	if errno != 0 {
		return "", nil, &os.PathError{Op: "fork/exec", Path: path, Err: errno}
	}
	return fmt.Sprintf("/proc/self/fd/%d", fd), os.NewFile(fd, path), nil
}
