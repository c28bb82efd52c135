// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package spawn

// #include "request.h"
import "C"

import (
	"bytes"
	"fmt"
	"math/bits"
	"os"
	"strconv"
	"sync"
	"syscall"

	"nsenter-cpp.example/internal/kernel"
	"nsenter-cpp.example/internal/race"
	"nsenter-cpp.example/nsenter/bootstrap"
)

// Unsafe is a program that cannot be started so that the processes on the way share this program's memory. Nothing has
// been done. It has to be started in another way, as package within does that executes this program anew.
type Unsafe struct {
	Reason Reason
	Detail string // for people
}

// Error says why.
func (e *Unsafe) Error() string {
	text := "spawn: memory cannot be shared: " + e.Reason.String()
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

// Reason is a row of the table in docs/decisions/0017-programs-that-share-memory.md.
type Reason int

// The reasons there are.
const (
	NotHere          Reason = iota + 1 // the kernel, or how this program is built, does not allow it
	NotRoot                            // who is hidden has files in /proc that are root's
	OwnNamespace                       // the kernel wants memory of its own there, or somebody else has all rights over us
	NotInitial                         // this program is in a user namespace of its own
	UnknownTarget                      // nobody knows who is in the pid namespace that is joined
	TargetMayTrace                     // who is in there has CAP_SYS_PTRACE over us
	LessPrivileged                     // the program has less rights than we, and could take hold of our own program
	ShownByTheKernel                   // fs.suid_dumpable is 1: whoever changes ids is shown
)

func (r Reason) String() string {
	switch r {
	case NotHere:
		return "it is not possible here"
	case NotRoot:
		return "the caller is not root"
	case OwnNamespace:
		return "a user or time namespace is entered"
	case NotInitial:
		return "the caller is not in the initial user namespace"
	case UnknownTarget:
		return "a pid namespace is joined, and of no known process"
	case TargetMayTrace:
		return "the target may have CAP_SYS_PTRACE over the caller"
	case LessPrivileged:
		return "a program that has less rights than the caller could overwrite the caller's"
	case ShownByTheKernel:
		return "fs.suid_dumpable is 1"
	}
	return "reason " + strconv.Itoa(int(r))
}

// noChecks is set by tests that are about something else.
var noChecks bool

// check refuses what could give this program's memory, or its file, to somebody else.
func (s *Spec) check() error {
	if reason := here(); reason != "" {
		return &Unsafe{NotHere, reason}
	}
	kinds := s.joined() | s.Create
	switch {
	case noChecks:
		return nil
	case os.Geteuid() != 0:
		return &Unsafe{NotRoot, ""}
	case kinds&(bootstrap.User|bootstrap.Time) != 0:
		return &Unsafe{OwnNamespace, ""}
	}
	// Otherwise what we look at below is about other processes.
	if s.joined().Has(bootstrap.PID) && !ProcShowsOurPidNamespace() {
		return &Unsafe{UnknownTarget, "/proc shows another pid namespace"}
	}
	// Where programs are others' than the caller's, and where others could be who look at the process.
	if kinds&(bootstrap.PID|bootstrap.Mount) != 0 || s.Root != nil {
		if ownUser() != initialUser {
			return &Unsafe{NotInitial, ""}
		}
		if s.IDs != nil && s.IDs.UID != 0 || s.Capabilities != nil {
			return &Unsafe{LessPrivileged, ""}
		}
	}
	// A thread that changes its ids, in this call or for another one, would show the memory of all.
	if kinds&(bootstrap.PID|bootstrap.Mount) != 0 ||
		s.IDs != nil && *s.IDs != (IDs{uint32(os.Geteuid()), uint32(os.Getegid())}) {
		text, err := os.ReadFile("/proc/sys/fs/suid_dumpable")
		if err != nil || string(bytes.TrimSpace(text)) == "1" {
			return &Unsafe{ShownByTheKernel, ""}
		}
	}
	return s.checkTarget()
}

// ProcShowsOurPidNamespace tells whether numbers in /proc are those that the kernel takes from this process.
func ProcShowsOurPidNamespace() bool {
	link, err := os.Readlink("/proc/self")
	return err == nil && link == strconv.Itoa(os.Getpid())
}

// initialUser is PROC_USER_INIT_INO (include/linux/proc_ns.h), the inode of the user namespace that all others are in.
const initialUser = 0xeffffffd

// checkTarget is about those who would see the program's process: who is in its pid namespace.
func (s *Spec) checkTarget() error {
	pid := 0
	if s.Target != nil && s.Join.Has(bootstrap.PID) {
		pid = s.Target.Pid
	}
	for _, n := range s.Joins {
		if n.Kind != bootstrap.PID {
			continue
		}
		pid = s.Member
		// The number may be another process's by now, which would do if it is in there as well.
		is, err := inode(fmt.Sprintf("/proc/%d/ns/pid", pid))
		var st syscall.Stat_t
		if err != nil || syscall.Fstat(n.FD, &st) != nil || is != uint64(st.Ino) {
			return &Unsafe{UnknownTarget, ""}
		}
	}
	if pid == 0 {
		return nil
	}
	folder := "/proc/" + strconv.Itoa(pid)
	user, err := inode(folder + "/ns/user")
	if err != nil {
		return &Error{fmt.Sprintf("failed to look at the user namespace of process %d", pid), err}
	}
	if user != initialUser { // inside of it there are no rights over us, who are in the initial one
		return nil
	}
	text, err := readStatus(folder + "/status")
	if err != nil {
		return &Error{fmt.Sprintf("failed to look at the capabilities of process %d", pid), err}
	}
	if mayTrace(text) {
		return &Unsafe{TargetMayTrace, fmt.Sprintf("process %d", pid)}
	}
	return nil
}

// ownUser does not change: a process with threads cannot enter another user namespace.
var ownUser = sync.OnceValue(func() uint64 {
	own, err := inode("/proc/self/ns/user")
	if err != nil {
		return 0
	}
	return own
})

// readStatus reads a file without what package os does for files that may block.
func readStatus(path string) ([]byte, error) {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer syscall.Close(fd)
	text := make([]byte, 16<<10) // the groups of a process can fill the file, and what is cut is taken for the worst
	n, err := syscall.Read(fd, text)
	return text[:max(n, 0)], err
}

// mayTrace tells from a process's status whether it has CAP_SYS_PTRACE, or can get it by executing something.
func mayTrace(status []byte) bool {
	const capSysPtrace = 19
	known := 0
	for _, name := range []string{"CapInh:\t", "CapPrm:\t", "CapBnd:\t"} {
		_, rest, found := bytes.Cut(status, []byte("\n"+name))
		if !found {
			continue
		}
		digits, _, _ := bytes.Cut(rest, []byte("\n"))
		set, err := strconv.ParseUint(string(digits), 16, 64)
		if err != nil || set>>capSysPtrace&1 != 0 {
			return true
		}
		known++
	}
	return known != 3
}

func inode(path string) (uint64, error) {
	var st syscall.Stat_t
	err := syscall.Stat(path, &st)
	return uint64(st.Ino), err
}

// here is why memory cannot be shared in this program on this kernel, whatever is asked, or empty.
var here = sync.OnceValue(func() string {
	hasRaceDetector := C.int(0)
	if race.Enabled {
		hasRaceDetector = 1
	}
	if reason := C.GoString(C.NsenterSpawnReason(hasRaceDetector)); reason != "" {
		return reason
	}
	// The newest call that is needed, of Linux 5.9. Filters refuse newer calls than they know, too.
	const closeRange, none = 436, ^uintptr(0) >> (bits.UintSize - 32)
	if _, _, errno := syscall.Syscall(kernel.Call(closeRange), none, none, 0); errno != 0 {
		return "close_range: " + errno.Error()
	}
	const pidfdOpen = 434
	fd, _, errno := syscall.Syscall(kernel.Call(pidfdOpen), uintptr(os.Getpid()), 0, 0)
	if errno != 0 {
		return "pidfd_open: " + errno.Error()
	}
	syscall.Close(int(fd))
	return ""
})
