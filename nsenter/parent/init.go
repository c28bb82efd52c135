// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package parent

import (
	"context"
	"os"
	"sync"
	"syscall"

	"nsenter-cpp.example/internal/kernel"
	"nsenter-cpp.example/internal/launch"
)

// Init is the init process: a child of the caller, who has to Wait for it.
type Init struct {
	Pid     int         // in the caller's pid namespace
	Process *os.Process // the same, for package os
	// Conn is the other end of the init process's INITPIPE, a stream socket. The Go side of runc
	// expects a JSON document there.
	Conn *os.File

	log  *logReader
	stop func() bool // ends the watch over the context

	mutex  sync.Mutex
	reaped bool // Pid may be another process's

	waitOnce sync.Once
	state    *os.ProcessState
	err      error
}

func newInit(l *launch.Launch, log *logReader) (*Init, error) {
	pid := l.Reply().Init
	// The process is our child and nobody has waited for it, so the number is still its own.
	process, err := os.FindProcess(pid)
	if err != nil {
		return nil, err
	}
	return &Init{Pid: pid, Process: process, Conn: l.Conn, log: log}, nil
}

// killWith kills the init process when ctx ends.
func (i *Init) killWith(ctx context.Context) *Init {
	i.stop = context.AfterFunc(ctx, func() { i.Kill() })
	return i
}

// Kill kills the init process and its session's first process group: all processes that it started and that have not
// left the group. If it is pid 1 of a pid namespace, the kernel kills all other processes in there.
func (i *Init) Kill() error {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	if i.reaped {
		return os.ErrProcessDone
	}
	err := i.Process.Kill()
	syscall.Kill(-i.Pid, syscall.SIGKILL)
	return err
}

// Wait waits for the end of the init process, closes Conn, and reads the log to its end, for a second at most if
// another process holds it. If other code has reaped the process, the state is nil, and errors.Is finds syscall.ECHILD
// in the error.
func (i *Init) Wait() (*os.ProcessState, error) {
	i.waitOnce.Do(func() {
		// Killing and reaping exclude each other; waiting and killing must not.
		launch.AwaitEnd(i.Pid)
		i.mutex.Lock()
		if i.state, i.err = i.Process.Wait(); i.err != nil {
			i.Process.Release()
		}
		i.reaped = true
		i.mutex.Unlock()
		launch.Forget(i.Pid)
		i.stop()
		i.Conn.Close()
		i.log.Wait()
	})
	return i.state, i.err
}

// Err is the fatal line that came after Start had returned, if there is one.
func (i *Init) Err() error { return i.log.failure() }

// Pidfd opens a pidfd of the init process (pidfd_open(2), Linux 5.3). The caller closes it. It surely refers to that
// process only if Wait has not returned yet.
func (i *Init) Pidfd() (*os.File, error) {
	const pidfdOpen = 434
	fd, _, errno := syscall.Syscall(kernel.Call(pidfdOpen), uintptr(i.Pid), 0, 0)
	if errno != 0 {
		return nil, os.NewSyscallError("pidfd_open", errno)
	}
	return os.NewFile(fd, "pidfd"), nil
}
