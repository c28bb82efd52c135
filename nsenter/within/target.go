// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"nsenter-cpp.example/internal/kernel"
)

// Target says which existing namespaces are to be joined. Nothing is opened before a process is to be
// started; the same Target can be used again and again, and then means what it means at that time.
//
// A caller who is not root may join a namespace only along with the user namespace that owns it, in which
// the function is root: Of(pid, User|Net) and not Of(pid, Net). All has it.
type Target struct{ parts []part }

// part is some namespaces that are found in the same way.
type part struct {
	kinds Namespaces
	find  func(Namespaces) ([]namespace, error)
	pid   int // of the process whose they are, or 0
	// folder opens that of the process in /proc. It is nil for what is no process.
	folder func() (folder *os.File, pid int, err error)
}

// Of is namespaces of a process. That the number has gone to another process is noticed from the
// moment on that it is looked at, but not for the time before: whoever has to be sure uses OfPidfd.
func Of(pid int, kinds Namespaces) Target {
	return Target{[]part{ofProcess(kinds, pid, func() (*os.File, int, error) {
		folder, err := openFolder(pid)
		return folder, pid, err
	})}}
}

// ofProcess is namespaces of the process of which a function opens the folder; pid is 0 if that is not known before.
func ofProcess(kinds Namespaces, pid int, open func() (folder *os.File, pid int, err error)) part {
	find := func(kinds Namespaces) ([]namespace, error) {
		folder, pid, err := open()
		if err != nil {
			return nil, err
		}
		defer folder.Close()
		return openNamespaces(folder, pid, kinds)
	}
	return part{kinds, find, pid, open}
}

// OfPidfd is namespaces of the process that a pidfd refers to.
func OfPidfd(pidfd *os.File, kinds Namespaces) Target {
	return Target{[]part{ofProcess(kinds, 0, func() (*os.File, int, error) {
		pid, err := pidOf(pidfd)
		if err != nil {
			return nil, 0, err
		}
		folder, err := openFolder(pid)
		if err != nil {
			return nil, 0, err
		}
		// After the folder is open: if the process lives still, then the folder is its own.
		if !isAlive(pidfd) {
			folder.Close()
			return nil, 0, errEnded(pid)
		}
		return folder, pid, nil
	})}}
}

// Path is the namespace that a file is: one in /proc/PID/ns, or one that such has been mounted on, as
// ip-netns(8) does.
func Path(kind Namespaces, path string) Target {
	return Target{[]part{{kind, one(func(kind Namespaces) (namespace, error) {
		// O_NONBLOCK and O_NOCTTY: whatever lies there must neither keep us nor become our terminal.
		file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
		if err != nil {
			return namespace{}, fmt.Errorf("within: failed to open %v namespace: %w", kind, err)
		}
		return namespace{kind, file, false, 0}, nil
	}), 0, nil}}}
}

// FD is the namespace that an open file is.
func FD(kind Namespaces, file *os.File) Target {
	return Target{[]part{{kind, one(func(kind Namespaces) (namespace, error) {
		return namespace{kind, file, true, 0}, nil
	}), 0, nil}}}
}

// one is for a file, which is one namespace.
func one(find func(kind Namespaces) (namespace, error)) func(Namespaces) ([]namespace, error) {
	return func(kind Namespaces) ([]namespace, error) {
		if len(kind.Each()) != 1 {
			return nil, fmt.Errorf("within: a file is one namespace, not %v", kind)
		}
		n, err := find(kind)
		if err != nil {
			return nil, err
		}
		return []namespace{n}, checkKind(n.file, kind)
	}
}

// And is both: the namespaces of t and those of other, which must be of different kinds.
func (t Target) And(other Target) Target {
	return Target{append(t.parts[:len(t.parts):len(t.parts)], other.parts...)}
}

// process is the one process whose namespaces the target is, and which of them; or 0.
func (t Target) process() (pid int, kinds Namespaces) {
	if len(t.parts) != 1 {
		return 0, 0
	}
	p := t.parts[0]
	if p.pid <= 0 || p.kinds == 0 || p.kinds == All || p.kinds&^All != 0 { // the last are errors
		return 0, 0
	}
	return p.pid, p.kinds
}

// kinds are those that are named. All is none of them: what it is depends on the process.
func (t Target) kinds() (kinds Namespaces) {
	for _, p := range t.parts {
		if p.kinds != All {
			kinds |= p.kinds
		}
	}
	return kinds
}

// namespace is an open namespace.
type namespace struct {
	kind Namespaces
	file *os.File
	lent bool // the file is the user's
	pid  int  // of a process that was in it, or 0
}

func closeAll(namespaces []namespace) {
	for _, n := range namespaces {
		if !n.lent {
			n.file.Close()
		}
	}
}

// open opens all namespaces of the target, checks that they are what they are said to be, and that no
// kind is there twice.
func (t Target) open() (namespaces []namespace, err error) {
	defer func() {
		if err != nil {
			closeAll(namespaces)
		}
	}()
	for _, p := range t.parts {
		opened, err := p.open()
		namespaces = append(namespaces, opened...)
		if err != nil {
			return namespaces, err
		}
	}
	var seen Namespaces
	for _, n := range namespaces {
		if seen.Has(n.kind) {
			return namespaces, fmt.Errorf("within: two %v namespaces to join", n.kind)
		}
		seen |= n.kind
	}
	return namespaces, nil
}

func (p part) open() ([]namespace, error) {
	if p.kinds == 0 || p.kinds&^All != 0 {
		return nil, fmt.Errorf("within: no kinds of namespaces: %#x", uint32(p.kinds))
	}
	return p.find(p.kinds)
}

// checkKind demands that a file is a namespace of a kind.
func checkKind(file *os.File, kind Namespaces) error {
	if file == nil {
		return fmt.Errorf("within: the file that is to be a %v namespace is nil", kind)
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return fmt.Errorf("within: %v namespace: %w", kind, err)
	}
	var is uintptr
	var errno syscall.Errno
	if err := raw.Control(func(fd uintptr) {
		is, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, kernel.NsGetNstype, 0)
	}); err != nil {
		return fmt.Errorf("within: %v namespace: %w", kind, err)
	}
	found := Namespaces(is)
	if errno != 0 {
		found = kindOf(file)
	}
	switch {
	case found == 0:
		return fmt.Errorf("within: %s is no namespace", file.Name())
	case found != kind:
		return fmt.Errorf("within: %s is a %v namespace, not a %v namespace", file.Name(), found, kind)
	}
	return nil
}

// kindOf is the kind of namespace that an open file is, by its name in /proc, or 0. A 64-bit kernel before 6.13
// takes no requests of ioctl_ns(2) from a 32-bit process.
func kindOf(file *os.File) Namespaces {
	const nsfsMagic = 0x6e736673 // <linux/magic.h>
	var fs syscall.Statfs_t
	if syscall.Fstatfs(int(file.Fd()), &fs) != nil || int64(fs.Type) != nsfsMagic {
		return 0
	}
	link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", file.Fd())) // "net:[4026531840]"
	if err != nil {
		return 0
	}
	name, _, _ := strings.Cut(link, ":")
	for _, kind := range All.Each() {
		if kind.String() == name {
			return kind
		}
	}
	return 0
}

func errEnded(pid int) error {
	return fmt.Errorf("within: process %d has ended: %w", pid, syscall.ESRCH)
}

// openFolder opens the folder in /proc through which all namespaces of a process are reached: once open, it never
// becomes that of another process with the number.
func openFolder(pid int) (*os.File, error) {
	if err := checkProc(); err != nil {
		return nil, err
	}
	path := "/proc/" + strconv.Itoa(pid)
	fd, err := syscall.Open(path, oPath|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err == syscall.ENOENT {
		return nil, fmt.Errorf("within: there is no process %d: %w", pid, syscall.ESRCH)
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

func openNamespaces(folder *os.File, pid int, kinds Namespaces) (namespaces []namespace, err error) {
	for _, kind := range kinds.Each() {
		if kinds == All && (isShared(folder, kind) || !isKnown(kind)) {
			continue
		}
		name := "ns/" + kind.String()
		fd, err := syscall.Openat(int(folder.Fd()), name, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		switch {
		case err == syscall.ESRCH, err == syscall.ENOENT && isKnown(kind):
			closeAll(namespaces)
			return nil, errEnded(pid)
		case err != nil:
			closeAll(namespaces)
			return nil, fmt.Errorf("within: failed to open %v namespace of process %d: %w", kind, pid, err)
		}
		file := os.NewFile(uintptr(fd), folder.Name()+"/"+name)
		namespaces = append(namespaces, namespace{kind, file, false, pid})
	}
	return namespaces, nil
}

// isKnown tells whether this kernel has namespaces of a kind.
func isKnown(kind Namespaces) bool {
	var st syscall.Stat_t
	return syscall.Lstat("/proc/self/ns/"+kind.String(), &st) == nil
}

// isShared tells whether the calling thread is in the same namespace as the process.
func isShared(folder *os.File, kind Namespaces) bool {
	own, err := os.Readlink("/proc/thread-self/ns/" + kind.String())
	if err != nil {
		return false
	}
	theirs, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d/ns/%v", folder.Fd(), kind))
	return err == nil && own == theirs
}

// pidOf is the number of a pidfd's process in the pid namespace that /proc shows.
func pidOf(pidfd *os.File) (int, error) {
	if pidfd == nil {
		return 0, errors.New("within: the pidfd is nil")
	}
	if err := checkProc(); err != nil {
		return 0, err
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", pidfd.Fd()))
	if err != nil {
		return 0, fmt.Errorf("within: pidfd: %w", err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		number, found := strings.CutPrefix(line, "Pid:\t")
		if !found {
			continue
		}
		pid, err := strconv.Atoi(number)
		switch {
		case err != nil:
			return 0, fmt.Errorf("within: pidfd: %w", err)
		case pid == -1:
			return 0, fmt.Errorf("within: the process of the pidfd has ended: %w", syscall.ESRCH)
		case pid == 0:
			return 0, errors.New("within: the process of the pidfd is in a pid namespace that /proc does not show")
		}
		return pid, nil
	}
	return 0, fmt.Errorf("within: %s is no pidfd", pidfd.Name())
}

// isAlive tells whether the process of a pidfd is there, if only as a zombie.
func isAlive(pidfd *os.File) bool {
	const pidfdSendSignal = 424
	_, _, errno := syscall.Syscall6(kernel.Call(pidfdSendSignal), pidfd.Fd(), 0, 0, 0, 0, 0)
	return errno != syscall.ESRCH
}
