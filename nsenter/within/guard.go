// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"nsenter-cpp.example/internal/kernel"
)

// A process in another pid or mount namespace can open its own /proc/PID/exe, or that of ours, and write to what it
// finds there once it is not being executed any more (CVE-2019-5736). The same goes for what is executed there in its
// place, a script of which the interpreter is /proc/self/exe for instance. So what is executed there is not the program
// but a guarded form of it, through which nobody can write to it. docs/decisions/0016 compares the ways.

// guard is a way to guard a program.
type guard struct {
	name     string
	open     func(program *os.File) (*os.File, error)
	isShared bool // one can be executed by all; else who gets hold of it could write to it
}

// guards are tried in this order.
var guards = []guard{
	{"read-only mount", mountReadOnly, true},
	{"sealed copy in memory", copySealed, true},
	{"unlinked copy", copyUnlinked, false},
}

// noGuard is set by the test that shows what would happen.
var noGuard bool

// guarded is a program that can be executed inside.
type guarded struct {
	file  *os.File
	users int
	idle  *time.Timer // gives it back
}

// programID is what tells a program from others, and from what it was before.
type programID struct {
	device, inode  uint64
	size           int64
	changed, wrote syscall.Timespec
}

// guardedPrograms are those that can be used again. They cost a descriptor, and, where they are copies, memory, and are
// given back when nobody has started them for a while.
var guardedPrograms = struct {
	sync.Mutex
	byID map[programID]*guarded
}{byID: make(map[programID]*guarded)}

// patienceForUsers is how long a guarded program is kept that nobody starts.
var patienceForUsers = 10 * time.Second

// guardProgram opens a guarded form of a program. The caller calls release when no process is to be started from it any
// more, and leaves the file open.
func guardProgram(program *os.File) (file *os.File, release func(), err error) {
	id, err := identify(program)
	if err != nil {
		return nil, nil, err
	}
	guardedPrograms.Lock()
	defer guardedPrograms.Unlock()
	if g := guardedPrograms.byID[id]; g != nil {
		return g.file, g.use(id), nil
	}
	var failures []error
	for _, way := range guards {
		file, err := way.open(program)
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", way.name, err))
			continue
		}
		if !way.isShared {
			return file, func() { file.Close() }, nil
		}
		g := &guarded{file: file}
		guardedPrograms.byID[id] = g
		return file, g.use(id), nil
	}
	return nil, nil, &GuardError{Path: program.Name(), Size: id.size, Errs: failures}
}

func identify(program *os.File) (programID, error) {
	info, err := program.Stat()
	if err != nil {
		return programID{}, fmt.Errorf("within: failed to look at the program: %w", err)
	}
	st := info.Sys().(*syscall.Stat_t)
	return programID{uint64(st.Dev), st.Ino, st.Size, st.Ctim, st.Mtim}, nil
}

// use counts a user, with the mutex held, until release is called.
func (g *guarded) use(id programID) (release func()) {
	g.users++
	if g.idle != nil {
		g.idle.Stop()
	}
	return sync.OnceFunc(func() {
		guardedPrograms.Lock()
		defer guardedPrograms.Unlock()
		if g.users--; g.users == 0 {
			g.idle = time.AfterFunc(patienceForUsers, func() { g.giveBack(id) })
		}
	})
}

func (g *guarded) giveBack(id programID) {
	guardedPrograms.Lock()
	defer guardedPrograms.Unlock()
	if g.users == 0 && guardedPrograms.byID[id] == g {
		delete(guardedPrograms.byID, id)
		g.file.Close()
	}
}

// Numbers of system calls that are the same everywhere, and their flags.
const (
	openTree     = 428 // Linux 5.2
	mountSetattr = 442 // Linux 5.12

	openTreeClone   = 0x1
	openTreeCloexec = syscall.O_CLOEXEC
	atEmptyPath     = 0x1000
	mountAttrRdonly = 0x1
	mountAttrNosuid = 0x2
	stRdonly        = 0x1
	stNoexec        = 0x8
)

// mountReadOnly opens the program by way of a mount of its own that is read-only, and that is mounted nowhere. Nobody
// can change that any more: what the kernel allows with mounts, it allows with mounted ones (is_mounted, check_mnt).
func mountReadOnly(program *os.File) (*os.File, error) {
	var empty byte
	tree, _, errno := syscall.Syscall(kernel.Call(openTree), program.Fd(), uintptr(unsafe.Pointer(&empty)),
		openTreeClone|openTreeCloexec|atEmptyPath)
	if errno != 0 {
		return nil, needs("CAP_SYS_ADMIN and Linux 5.12", os.NewSyscallError("open_tree", errno))
	}
	err := setMountAttr(tree, mountAttrRdonly|mountAttrNosuid, 0)
	var file *os.File
	if err == nil {
		file, err = os.Open(fmt.Sprintf("/proc/self/fd/%d", tree))
	}
	// While this is open the mount is mounted, in a namespace of nobody's, and who has a descriptor of the file and
	// CAP_SYS_ADMIN over any mount namespace may make it writable.
	syscall.Close(int(tree))
	if err != nil {
		return nil, needs("Linux 5.12", err)
	}
	if err := checkReadOnly(file); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func needs(what string, err error) error { return fmt.Errorf("%w (it needs %s)", err, what) }

func setMountAttr(fd uintptr, set, clear uint64) error {
	attr := struct{ set, clear, propagation, userns uint64 }{set: set, clear: clear}
	var empty byte
	_, _, errno := syscall.Syscall6(kernel.Call(mountSetattr), fd, uintptr(unsafe.Pointer(&empty)), atEmptyPath,
		uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return os.NewSyscallError("mount_setattr", errno)
	}
	return nil
}

// checkReadOnly demands what this relies on of this kernel, too.
func checkReadOnly(file *os.File) error {
	var fs syscall.Statfs_t
	if err := syscall.Fstatfs(int(file.Fd()), &fs); err != nil {
		return os.NewSyscallError("fstatfs", err)
	}
	if fs.Flags&stRdonly == 0 {
		return errors.New("the mount is not read-only")
	}
	if err := setMountAttr(file.Fd(), mountAttrRdonly, 0); err == nil {
		return errors.New("the mount can be changed")
	}
	return nil
}

const (
	mfdCloexec      = 0x1
	mfdAllowSealing = 0x2
	mfdExec         = 0x10 // Linux 6.3

	fAddSeals = 1033
	allSeals  = 0x1 | 0x2 | 0x4 | 0x8 // no more seals, no shrinking, growing, writing
)

// copySealed copies the program into memory, for as long as the copy is open or executed. The memory is charged to the
// cgroup of who copies.
func copySealed(program *os.File) (*os.File, error) {
	name := "within"
	if program.Name() != ownProgram {
		name = program.Name()[strings.LastIndexByte(program.Name(), '/')+1:]
	}
	file, err := memfd(name)
	if err != nil {
		return nil, err
	}
	if err := copyInto(file, program); err != nil {
		file.Close()
		return nil, err
	}
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, file.Fd(), fAddSeals, allSeals); errno != 0 {
		file.Close()
		return nil, os.NewSyscallError("fcntl", errno)
	}
	return file, nil
}

func copyInto(file, program *os.File) error {
	_, err := io.Copy(file, io.NewSectionReader(program, 0, 1<<62))
	return err
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
		err := os.NewSyscallError("memfd_create", errno)
		if setting, _ := os.ReadFile("/proc/sys/vm/memfd_noexec"); errno == syscall.EACCES && len(setting) > 0 {
			err = fmt.Errorf("%w (sysctl vm.memfd_noexec is %s, and it needs 0 or 1)", err,
				strings.TrimSpace(string(setting)))
		}
		return nil, err
	}
	return os.NewFile(fd, name), nil
}

// copyUnlinked copies the program into a file that has no name. The process that executes it can write to it
// afterwards, so it is for one process.
func copyUnlinked(program *os.File) (*os.File, error) {
	folders := []string{os.TempDir(), "/var/tmp", "/dev/shm", "/run"}
	var last error
	for _, folder := range folders {
		file, err := copyInFolder(folder, program)
		if err == nil {
			return file, nil
		}
		last = err
	}
	return nil, fmt.Errorf("%w (it needs room in one of %s, mounted without noexec)", last, strings.Join(folders, ", "))
}

func copyInFolder(folder string, program *os.File) (*os.File, error) {
	const oTmpfile = 0x400000 | syscall.O_DIRECTORY // on every architecture that gc builds for
	var fs syscall.Statfs_t
	if err := syscall.Statfs(folder, &fs); err != nil {
		return nil, &os.PathError{Op: "statfs", Path: folder, Err: err}
	}
	if fs.Flags&stNoexec != 0 {
		return nil, &os.PathError{Op: "execute", Path: folder, Err: syscall.EACCES}
	}
	writable, err := os.OpenFile(folder, os.O_RDWR|oTmpfile, 0o500)
	if err != nil {
		return nil, err
	}
	defer writable.Close() // what is open for writing is not executed
	if err := copyInto(writable, program); err != nil {
		return nil, err
	}
	return os.Open(fmt.Sprintf("/proc/self/fd/%d", writable.Fd()))
}
