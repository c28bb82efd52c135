// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

// Package spawn runs a program in other namespaces as posix_spawn(3) runs one here: the processes that enter them, and
// become the program, share this program's memory until then, so nothing is copied and nothing executed on the way.
//
// Where somebody inside could get at that memory, it refuses with an Unsafe, and another way has to be taken.
// docs/decisions/0017-programs-that-share-memory.md says why, and when.
package spawn

/*
#cgo CXXFLAGS: -std=c++20 -fno-exceptions -fno-rtti -fvisibility=hidden -fstack-protector-strong
#cgo CXXFLAGS: -I${SRCDIR}/../../cpp
#include "request.h"
*/
import "C"

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	_ "nsenter-cpp.example/cpp" // the core, whose functions the C++ side uses
	"nsenter-cpp.example/internal/kernel"
	"nsenter-cpp.example/nsenter/bootstrap"
)

// Namespace is one that is open.
type Namespace struct {
	Kind bootstrap.Namespaces
	FD   int
	Name string // as errors say it: "/run/netns/a"
}

// Spec is a program and the process that it is to be. A field that is not set leaves the process what the caller
// has. But of descriptors the program has only Files. Numbers of descriptors are the caller's, and stay open.
type Spec struct {
	Target *Process             // some of whose namespaces are joined:
	Join   bootstrap.Namespaces // these
	Joins  []Namespace          // further ones
	Member int                  // number of a process in the pid namespace of Joins; 0: none is known
	Create bootstrap.Namespaces // in a user namespace that is there

	Files      []int // by the number that they are to have; -1 where there is to be nothing
	NewSession bool
	Terminal   *int // becomes the controlling terminal of the session: a number of Files

	Root   *int   // a directory, where the program's root is to be
	Dir    string // the working directory, or else
	DirFD  *int
	Umask  *uint32
	Limits []Limit
	// FileLimitAtStart: the limit of open files is the one that this program was started with, which Go has raised.
	FileLimitAtStart bool

	IDs             *IDs
	Groups          *[]uint32 // the supplementary groups
	Capabilities    *Capabilities
	NoNewPrivileges bool
	DeathSignal     syscall.Signal // when the thread that calls Start ends, see syscall.SysProcAttr.Pdeathsig
	Seccomp         []syscall.SockFilter

	// Path is looked up in the PATH of Env, or in DefaultPath, if it has no slash, as exec.LookPath does it, in the root
	// that the process has by then. With Program, which is open and no script, it is a name for errors.
	Path      string
	Program   *int
	Args, Env []string
}

// IDs are the real, effective and saved ids.
type IDs struct{ UID, GID uint32 }

// Limit is one of getrlimit(2).
type Limit struct {
	Resource int
	syscall.Rlimit
}

// Capabilities are sets of bits (1<<CAP_CHOWN). They are taken after the ids, which do not change them.
type Capabilities struct{ Effective, Permitted, Inheritable, Bounding, Ambient uint64 }

// Process is one by its number and its pidfd.
type Process struct{ Pid, Pidfd int }

// DefaultPath is where programs are looked up without a PATH.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Start starts the program, and returns when it runs or does not. When ctx ends before that, the process is killed, and
// the error is context.Cause(ctx). The process is a child of the calling thread, and is to be waited for. The caller
// closes its pidfd.
func Start(ctx context.Context, s *Spec) (*Process, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	var pinner runtime.Pinner
	r, err := s.request(&pinner)
	if err != nil {
		pinner.Unpin()
		return nil, err
	}
	memory := stacks.Get().(*[C.kSpawnStack]byte)
	pinner.Pin(memory)
	r.stack = (*C.char)(unsafe.Pointer(memory))
	release := func() {
		show()
		pinner.Unpin()
		stacks.Put(memory)
	}
	hide(s.joined().Has(bootstrap.PID))
	stop := watch(ctx, r)
	C.NsenterSpawn(r)
	stop()
	runtime.KeepAlive(s)
	if r.is_stranded != 0 {
		// Whatever this goroutine executes from now on would be in the target's pid namespace.
		runtime.LockOSThread()
		panic("spawn: the thread cannot go back to its pid namespace")
	}
	if r.step == C.kSpawnGivenUp {
		go func() { // it has this memory until the kernel has done what it is in
			C.NsenterSpawnFinish(r)
			abandon(r)
			release()
		}()
		return nil, context.Cause(ctx)
	}
	release()
	switch {
	case ctx.Err() != nil:
		abandon(r)
		return nil, context.Cause(ctx)
	case r.step != C.kSpawnDone:
		if r.pidfd >= 0 {
			syscall.Close(int(r.pidfd))
		}
		return nil, s.failure(r)
	}
	return newProcess(int(r.pid), int(r.pidfd)), nil
}

// abandon ends a process whose program is not to run, should it be on its way there or run already.
func abandon(r *C.SpawnRequest) {
	if r.pidfd >= 0 {
		kill((*int32)(&r.pidfd))
		wait(int(r.pidfd))
		syscall.Close(int(r.pidfd))
	}
}

// stacks is memory for those that others run on.
var stacks = sync.Pool{New: func() any { return new([C.kSpawnStack]byte) }}

func newProcess(pid, pidfd int) *Process {
	if pidfd <= 2 { // whoever has closed those may still write to them
		moved, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(pidfd), syscall.F_DUPFD_CLOEXEC, 3)
		if errno == 0 {
			syscall.Close(pidfd)
			pidfd = int(moved)
		}
	}
	return &Process{pid, pidfd}
}

// patience is how long a process that has been killed may take to end. That is a moment, but for one that a file system
// of the container's own keeps in the kernel.
var patience = time.Second

// watch kills what there is of a call when ctx ends, until it is stopped.
func watch(ctx context.Context, r *C.SpawnRequest) (stop func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	var over atomic.Bool
	done := make(chan struct{})
	stopWatching := context.AfterFunc(ctx, func() {
		defer close(done)
		end := time.Now().Add(patience)
		for ; !over.Load() && time.Now().Before(end); time.Sleep(time.Millisecond) {
			kill((*int32)(&r.pidfd))
		}
		atomic.StoreInt32((*int32)(&r.gives_up), 1)
	})
	return func() {
		over.Store(true)
		if !stopWatching() {
			<-done
		}
	}
}

// kill kills the process of a pidfd that turns up there.
func kill(pidfd *int32) {
	if fd := atomic.LoadInt32(pidfd); fd >= 0 {
		send(int(fd), syscall.SIGKILL)
	}
}

func send(pidfd int, signal syscall.Signal) error {
	const pidfdSendSignal = 424
	_, _, errno := syscall.Syscall6(kernel.Call(pidfdSendSignal), uintptr(pidfd), uintptr(signal), 0, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// IsReaped tells whether somebody has waited for the process, so that its number may be another's.
func (p *Process) IsReaped() bool { return send(p.Pidfd, 0) == syscall.ESRCH }

// wait reaps the process of a pidfd.
func wait(pidfd int) {
	const pPidfd = 3
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, pPidfd, uintptr(pidfd), 0, syscall.WEXITED, 0, 0)
		if errno != syscall.EINTR {
			return
		}
	}
}
