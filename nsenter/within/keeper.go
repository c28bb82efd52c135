// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

/*
#include <pthread.h>
#include <stdint.h>

extern void nsenterWithinKeep(uintptr_t handle);

static void *keep(void *handle) {
  nsenterWithinKeep((uintptr_t)handle);
  return 0;
}

// Starts a thread that is in the namespaces of the one that calls, which a thread of the Go runtime's need not be.
static int start_keeper(uintptr_t handle) {
  pthread_attr_t attributes;
  pthread_t thread;
  int result = pthread_attr_init(&attributes);
  if (result != 0) return result;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  result = pthread_create(&thread, &attributes, keep, (void *)handle);
  pthread_attr_destroy(&attributes);
  return result;
}
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"runtime/cgo"
	"syscall"

	"nsenter-cpp.example/nsenter/parent"
)

// What the kernel calls a parent in PR_SET_PDEATHSIG is the thread that has forked. Threads of Go's can end before the
// program does: a goroutine that is locked to one ends. So a process that is to end with its caller is forked by a
// thread that does nothing else, and that ends when the process has.

// keeper is such a thread, and what it is to do.
type keeper struct {
	ctx     context.Context
	command *parent.Cmd
	started func(pid int) error // to be called by the goroutine that starts

	launched chan int   // asks it to
	answer   chan error // what started has returned
	result   chan error // of the start
	process  *parent.Init
	release  chan struct{} // closed when the thread is to end
}

var errNotReturned = errors.New("within: Started has not returned")

// startKept starts a command from a thread that lives until release is closed.
func startKept(ctx context.Context, command *parent.Cmd, release chan struct{}) (*parent.Init, error) {
	k := &keeper{
		ctx:      ctx,
		command:  command,
		started:  command.BeforeMessage,
		launched: make(chan int),
		answer:   make(chan error),
		result:   make(chan error, 1),
		release:  release,
	}
	if k.started != nil {
		command.BeforeMessage = func(pid int) error {
			k.launched <- pid
			return <-k.answer
		}
	}
	handle := cgo.NewHandle(k)
	if errno := C.start_keeper(C.uintptr_t(handle)); errno != 0 {
		handle.Delete()
		return nil, fmt.Errorf("within: failed to start a thread: %w", syscall.Errno(errno))
	}
	select {
	case pid := <-k.launched:
		k.callStarted(pid)
		return k.process, <-k.result
	case err := <-k.result:
		return k.process, err
	}
}

// callStarted calls the user's function. Should it panic, the start has been undone before others notice.
func (k *keeper) callStarted(pid int) {
	err := errNotReturned
	defer func() {
		k.answer <- err
		if err == errNotReturned {
			<-k.result
		}
	}()
	err = k.started(pid)
}

//export nsenterWithinKeep
func nsenterWithinKeep(number C.uintptr_t) {
	handle := cgo.Handle(number)
	k := handle.Value().(*keeper)
	handle.Delete()
	var err error
	k.process, err = k.command.Start(k.ctx)
	k.result <- err
	if err == nil {
		<-k.release
	}
}
