// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"fmt"
	"os"
	"syscall"

	"nsenter-cpp.example/nsenter/bootstrap"
)

// envInternal tells the child which of its descriptors are this package's, and what it has to know
// before anything else: FIRST,COUNT,JOINED,NEW. From FIRST on there are COUNT descriptors: a program to be
// executed and this program, guarded, if there are, namespaces, and at the end the socket for requests.
// INITPIPE and LOGPIPE follow. JOINED and NEW are the namespaces that were joined and created, as numbers.
const envInternal = "_NSENTER_WITHIN"

// childFiles is what a child is given from descriptor 3 on, and what is to be said of it.
type childFiles struct {
	list       []*os.File
	opened     []*os.File       // those of the list that are for the child alone
	releases   []func()         // of guarded programs
	first      int              // the lowest descriptor that is this package's
	joins      []bootstrap.Join // the namespaces among them
	namespaces []namespace      // those of joins
	terminal   int              // descriptor of the program's controlling terminal, or 0
	program    int              // descriptor of the caller's program, or -1
	attr       *sentAttr        // what the program's process is to be, or nil
	cgroups    []*os.File       // cgroup.procs of its cgroups
	isExposed  bool             // others in its namespaces could get at what it executes
}

// newChildFiles has the user's files, which stay the user's.
func newChildFiles(extra []*os.File) *childFiles {
	return &childFiles{list: extra[:len(extra):len(extra)], first: 3 + len(extra), program: -1}
}

// add adds a file, which stays the caller's, and returns its descriptor in the child.
func (f *childFiles) add(file *os.File) int {
	f.list = append(f.list, file)
	return 2 + len(f.list)
}

// own is add for a file that close closes.
func (f *childFiles) own(file *os.File) int {
	f.opened = append(f.opened, file)
	return f.add(file)
}

// close closes what the caller has no use for when the child has its own, or will not have any.
func (f *childFiles) close() {
	for _, file := range f.opened {
		file.Close()
	}
	for _, release := range f.releases {
		release()
	}
}

func (f *childFiles) addNamespace(n namespace) {
	add := f.own
	if n.lent {
		add = f.add
	}
	f.namespaces = append(f.namespaces, n)
	f.joins = append(f.joins, bootstrap.Join{Kind: n.kind, Path: fmt.Sprintf("/proc/self/fd/%d", add(n.file))})
}

// addProgram adds a program of the caller's, guarded where somebody could get at it.
func (f *childFiles) addProgram(name string) error {
	program, err := openProgram(name)
	if err != nil {
		return err
	}
	if !f.isExposed {
		f.program = f.own(program)
		return nil
	}
	defer program.Close()
	f.program, err = f.addGuarded(program)
	return err
}

// addSelf returns the path of what the child executes. If that is guarded, the child is given it, and the path is the
// number that it has there, by which it is executed when all files are on their numbers.
func (f *childFiles) addSelf() (path string, err error) {
	if err := checkProc(); err != nil {
		return "", err
	}
	if !f.isExposed {
		return ownProgram, nil
	}
	program, err := os.Open(ownProgram)
	if err != nil {
		return "", fmt.Errorf("within: failed to open this program: %w", err)
	}
	defer program.Close()
	number, err := f.addGuarded(program)
	return fmt.Sprintf("/proc/self/fd/%d", number), err
}

// addGuarded adds a guarded form of a program.
func (f *childFiles) addGuarded(program *os.File) (number int, err error) {
	file, release, err := guardProgram(program)
	if err != nil {
		return -1, err
	}
	f.releases = append(f.releases, release)
	return f.add(file), nil
}

// addRequests adds the last of the files, the child's end of the socket for requests. The caller owns our end.
func (f *childFiles) addRequests() (ours *os.File, err error) {
	ours, theirs, err := requestSocket()
	if err != nil {
		return nil, err
	}
	f.own(theirs)
	return ours, nil
}

func (f *childFiles) joined() (kinds Namespaces) {
	for _, j := range f.joins {
		kinds |= j.Kind
	}
	return kinds
}

// setting is the variable that tells the child of its files.
func (f *childFiles) setting(created Namespaces) string {
	return fmt.Sprintf("%s=%d,%d,%d,%d", envInternal, f.first, 3+len(f.list)-f.first, f.joined(), created)
}

// requestSocket makes the socket on which the child is told what to do. Answers come on INITPIPE, which
// the runtime polls: if it were the same socket, the runtime would be woken up whenever the child has
// read a request, only to learn that it could write another one. Our end blocks, so it is not polled.
func requestSocket() (ours, theirs *os.File, err error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(pair[0]), "requests"), os.NewFile(uintptr(pair[1]), "requests"), nil
}
