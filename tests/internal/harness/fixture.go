// SPDX-License-Identifier: Apache-2.0

//go:build linux

package harness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"unsafe"

	"nsenter-cpp.example/internal/kernel"
)

// Not in package syscall of Go 1.18 for every architecture, or not at all.
const (
	cloneNewCgroup = 0x02000000
	CloneNewTime   = 0x00000080

	prSetSecurebits     = 28
	secbitNoSetuidFixup = 1 << 2

	newNamespaces = cloneNewCgroup | syscall.CLONE_NEWIPC | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET |
		syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS
)

// fixture says how a process with pid FixturePid is made.
type fixture struct {
	flags     uint64  // of its namespaces; none: it ends at once
	creator   uintptr // the uid and gid that create them
	idMap     string  // of a new user namespace
	setgroups string  // the same
}

var fixtures = map[string]fixture{
	"plain":    {flags: newNamespaces},
	"user":     {flags: newNamespaces | syscall.CLONE_NEWUSER, idMap: "0 100000 65536", setgroups: "allow"},
	"rootless": {flags: newNamespaces | syscall.CLONE_NEWUSER, creator: 1000, idMap: "0 1000 1", setgroups: "deny"},
	"zombie":   {},
}

// StartFixture makes a process with pid FixturePid, and mounts its namespaces below /mnt/ns. It must be
// called by root, in a pid namespace where nobody has that pid.
func StartFixture(kind string) error {
	if kind == "none" {
		return nil
	}
	f, there := fixtures[kind]
	if !there {
		return fmt.Errorf("unknown fixture %q", kind)
	}
	if f.flags != 0 && HasNamespace("time") {
		f.flags |= CloneNewTime
	}
	if err := f.start(); err != nil {
		return fmt.Errorf("fixture %s: %w", kind, err)
	}
	if kind == "zombie" {
		return waitFor(kind, func() bool { return processState(FixturePid) == 'Z' })
	}
	return mountNamespaces()
}

// start returns when the fixture has become what it stays.
func (f *fixture) start() error {
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(ends[0])
	created := make(chan error)
	go func() { created <- f.create(uintptr(ends[1])) }()
	err = <-created
	syscall.Close(ends[1])
	if err != nil || f.flags == 0 {
		return err
	}
	if f.idMap != "" {
		for _, file := range []struct{ name, text string }{
			{"setgroups", f.setgroups}, {"uid_map", f.idMap}, {"gid_map", f.idMap},
		} {
			if err := os.WriteFile(fmt.Sprintf("/proc/%d/%s", FixturePid, file.name), []byte(file.text), 0); err != nil {
				return err
			}
		}
	}
	answer := []byte{0}
	if _, err := syscall.Write(ends[0], answer); err != nil {
		return err
	}
	// It has executed its program when its end is closed, or says with which error it has not.
	if n, err := syscall.Read(ends[0], answer); err != nil {
		return err
	} else if n != 0 {
		return syscall.Errno(answer[0])
	}
	if state := processState(FixturePid); state == 'Z' || state == 0 {
		return errors.New("it has ended")
	}
	return nil
}

// create clones the fixture in a thread that becomes the creator before, without losing the capability
// that choosing a pid takes, and ends with this goroutine.
func (f *fixture) create(socket uintptr) error {
	runtime.LockOSThread()
	for _, call := range []struct {
		name               string
		number, a1, a2, a3 uintptr
	}{
		{"prctl", syscall.SYS_PRCTL, prSetSecurebits, secbitNoSetuidFixup, 0},
		{"setgroups", syscall.SYS_SETGROUPS, 0, 0, 0},
		{"setresgid", syscall.SYS_SETRESGID, f.creator, f.creator, f.creator},
		{"setresuid", syscall.SYS_SETRESUID, f.creator, f.creator, f.creator},
	} {
		if _, _, errno := syscall.RawSyscall(call.number, call.a1, call.a2, call.a3); errno != 0 {
			return os.NewSyscallError(call.name, errno)
		}
	}
	if errno := cloneFixture(f.flags, socket); errno != 0 {
		return os.NewSyscallError("clone3", errno)
	}
	return nil
}

// The pids of the fixture: in its own pid namespace, if it has one, and in ours.
var fixturePids = [...]int32{1, FixturePid}

var (
	sleepPath = []byte("/bin/sleep\x00")
	sleepArg  = []byte("infinity\x00")
	sleepArgv = [...]*byte{&sleepPath[0], &sleepArg[0], nil}
	sleepEnv  = [...]*byte{nil}
)

// Computed before the clone, like all that is needed in the child.
var clone3 = kernel.Call(435)

// cloneFixture forks and executes as package syscall does. But it chooses the pid, which clone3(2) allows root.
// (Writing ns_last_pid does not work with every kernel, and leaves time for a thread to take the pid.) The child
// has a copy of our memory in which the Go runtime does not run: nothing there may allocate, grow the
// stack or do other than raw system calls.
//
//go:norace
//go:nosplit
func cloneFixture(flags uint64, socket uintptr) syscall.Errno {
	args := struct {
		flags, pidfd, childTid, parentTid, exitSignal, stack, stackSize, tls, setTid, setTidSize uint64
	}{flags: flags, exitSignal: uint64(syscall.SIGCHLD)}
	pids := fixturePids[:]
	if flags&syscall.CLONE_NEWPID == 0 {
		pids = pids[1:]
	}
	args.setTid, args.setTidSize = uint64(uintptr(unsafe.Pointer(&pids[0]))), uint64(len(pids))
	var message byte
	pid, _, errno := syscall.RawSyscall(clone3, uintptr(unsafe.Pointer(&args)), unsafe.Sizeof(args), 0)
	if errno != 0 || pid != 0 {
		return errno
	}
	if flags != 0 {
		becomeFixture(socket, &message)
	}
	for {
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
	}
}

// becomeFixture returns only if that fails.
//
//go:norace
//go:nosplit
func becomeFixture(socket uintptr, message *byte) {
	// There are id maps when this comes.
	if n, _, _ := syscall.RawSyscall(syscall.SYS_READ, socket, uintptr(unsafe.Pointer(message)), 1); n != 1 {
		return
	}
	_, _, errno := syscall.RawSyscall(syscall.SYS_SETRESGID, 0, 0, 0)
	if errno == 0 {
		_, _, errno = syscall.RawSyscall(syscall.SYS_SETRESUID, 0, 0, 0)
	}
	for fd := uintptr(0); fd < 3; fd++ {
		syscall.RawSyscall(syscall.SYS_CLOSE, fd, 0, 0)
	}
	if errno == 0 {
		_, _, errno = syscall.RawSyscall(syscall.SYS_EXECVE, uintptr(unsafe.Pointer(&sleepPath[0])),
			uintptr(unsafe.Pointer(&sleepArgv)), uintptr(unsafe.Pointer(&sleepEnv)))
	}
	*message = byte(errno)
	syscall.RawSyscall(syscall.SYS_WRITE, socket, uintptr(unsafe.Pointer(message)), 1)
}

// mountNamespaces puts the namespaces of the fixture below /mnt/ns, where messages find them.
func mountNamespaces() error {
	if err := os.Mkdir("/mnt/ns", 0o755); err != nil {
		return err
	}
	for _, name := range NamespaceTypes {
		if !HasNamespace(name) {
			continue
		}
		source := fmt.Sprintf("/proc/%d/ns/%s", FixturePid, name)
		target := filepath.Join("/mnt/ns", name)
		if name == "mnt" {
			// A mount namespace in itself is refused if it is older than the one it is mounted in.
			if err := os.Symlink(source, target); err != nil {
				return err
			}
			continue
		}
		if err := os.WriteFile(target, nil, 0o444); err != nil {
			return err
		}
		if err := syscall.Mount(source, target, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("failed to mount %s: %w", source, err)
		}
	}
	return nil
}
