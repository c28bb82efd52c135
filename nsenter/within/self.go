// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package within

import (
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// checkProc demands that /proc is procfs: whoever could put something else there could say which
// program the child is.
func checkProc() error {
	const procMagic = 0x9fa0
	var fs syscall.Statfs_t
	if err := syscall.Statfs("/proc/self", &fs); err != nil {
		return fmt.Errorf("within: /proc is needed: %w", os.NewSyscallError("statfs", err))
	}
	if int64(fs.Type) != procMagic {
		return fmt.Errorf("within: /proc/self does not lie on procfs")
	}
	return nil
}

// ownProgram is the program of this process, whatever lies at its path by now.
const ownProgram = "/proc/self/exe"

// kept is the copy of it that is started where somebody could get at the original: a process in
// another pid or mount namespace can open its own /proc/PID/exe, or that of ours, and write to what it
// finds there once it is not being executed any more (CVE-2019-5736). The same goes for what is executed there in its
// place, a script of which the interpreter is /proc/self/exe for instance.
var kept struct {
	mutex sync.Mutex
	file  *os.File // nil: not made yet
}

// noSealedCopy is set by the test that shows what would happen.
var noSealedCopy bool

const (
	mfdCloexec      = 0x1
	mfdAllowSealing = 0x2
	mfdExec         = 0x10 // Linux 6.3

	fAddSeals = 1033
	allSeals  = 0x1 | 0x2 | 0x4 | 0x8 // no more seals, no shrinking, growing, writing
)

// sealed makes the copy once. If that fails, for want of memory for instance, the next call tries again.
func sealed() (*os.File, error) {
	kept.mutex.Lock()
	defer kept.mutex.Unlock()
	if kept.file != nil {
		return kept.file, nil
	}
	original, err := os.Open(ownProgram)
	if err != nil {
		return nil, fmt.Errorf("within: failed to open this program: %w", err)
	}
	defer original.Close()
	file, err := makeSealed(original, "within")
	if err != nil {
		return nil, err
	}
	kept.file = file
	return file, nil
}

func makeSealed(program *os.File, name string) (*os.File, error) {
	file, err := memfd(name)
	if err != nil {
		return nil, fmt.Errorf("within: failed to copy %s: %w", program.Name(), err)
	}
	if _, err := io.Copy(file, program); err != nil {
		file.Close()
		return nil, fmt.Errorf("within: failed to copy %s: %w", program.Name(), err)
	}
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, file.Fd(), fAddSeals, allSeals); errno != 0 {
		file.Close()
		return nil, fmt.Errorf("within: failed to seal the copy of %s: %w", program.Name(), errno)
	}
	return file, nil
}

func memfd(name string) (*os.File, error) {
	text, err := syscall.BytePtrFromString(name)
	if err != nil {
		return nil, err
	}
	flags := uintptr(mfdCloexec | mfdAllowSealing | mfdExec)
	fd, _, errno := syscall.Syscall(sysMemfdCreate, uintptr(unsafe.Pointer(text)), flags, 0)
	if errno == syscall.EINVAL { // an older kernel, where all are executable
		fd, _, errno = syscall.Syscall(sysMemfdCreate, uintptr(unsafe.Pointer(text)), flags&^mfdExec, 0)
	}
	if errno != 0 {
		return nil, os.NewSyscallError("memfd_create", errno)
	}
	return os.NewFile(fd, name), nil
}

// maxFiles is how many descriptors a child can be given.
const maxFiles = 180
