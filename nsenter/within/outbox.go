// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"errors"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"nsenter-cpp.example/internal/launch"
)

// outbox sends frames to a process, in the order in which they are posted. Nobody who posts waits for the process to
// read: what finds no room in the socket waits here, and a goroutine sends it when there is room. There is one of those
// while anything waits. A frame of which nothing has been sent can be withdrawn.
type outbox struct {
	socket     *os.File // the outbox owns it
	maxPending int      // more calls than that do not wait
	// refuse is told of a call whose files cannot be sent. It is called with the mutex held.
	refuse func(call uint64, err error)

	mutex   sync.Mutex
	waiting []letter
	isBegun bool // the first that waits has been sent in part
	hasHand bool // the goroutine is there
}

// letter is a frame that waits, or what is left of it.
type letter struct {
	call  uint64 // the call that it makes, or 0
	parts [][]byte
	files []int // to be sent with the first byte, and then closed
}

// post sends a frame, now or later. Its files belong to the outbox from then on. The error is ErrBusy if it is a call
// and too many wait already. That the process has ended is no error: the reader of its answers sees it too, and knows
// why.
func (o *outbox) post(f frame) error {
	l := letter{parts: f.parts(), files: f.files}
	if f.kind == frameCall {
		l.call = f.id
	}
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if l.call != 0 && o.countCalls() >= o.maxPending {
		closeDescriptors(l.files)
		return ErrBusy
	}
	o.waiting = append(o.waiting, l)
	if o.hasHand {
		return nil
	}
	// Sent by who posts: a goroutine that has to be woken up for it would take longer than everything else in a call.
	if o.sendWaiting(); len(o.waiting) > 0 {
		o.hasHand = true
		go o.sendLater()
	}
	return nil
}

func (o *outbox) countCalls() (n int) {
	for _, l := range o.waiting {
		if l.call != 0 {
			n++
		}
	}
	return n
}

// withdraw takes a call back, and tells whether that was possible.
func (o *outbox) withdraw(call uint64) bool {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	for i, l := range o.waiting {
		if l.call == call && (i > 0 || !o.isBegun) {
			closeDescriptors(l.files)
			o.waiting = slices.Delete(o.waiting, i, i+1)
			return true
		}
	}
	return false
}

// sendWaiting sends what the socket has room for, with the mutex held.
func (o *outbox) sendWaiting() {
	raw, err := o.socket.SyscallConn()
	if err == nil {
		controlErr := raw.Control(func(fd uintptr) {
			for len(o.waiting) > 0 && err == nil {
				err = o.sendSome(int(fd))
			}
		})
		if controlErr != nil {
			err = controlErr
		}
	}
	if err != nil && err != syscall.EAGAIN {
		o.drop() // nobody will read it
	}
}

// drop drops the frames that wait.
func (o *outbox) drop() {
	for _, l := range o.waiting {
		closeDescriptors(l.files)
	}
	o.waiting = nil
}

// sendSome sends of the first what there is room for.
func (o *outbox) sendSome(fd int) error {
	first := &o.waiting[0]
	var rights []byte
	if len(first.files) > 0 {
		rights = syscall.UnixRights(first.files...)
	}
	n, err := syscall.SendmsgN(fd, first.parts[0], rights, nil, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
	switch {
	case err == syscall.EINTR:
		return nil
	case rights != nil && isAboutFiles(err):
		closeDescriptors(first.files)
		o.refuse(first.call, os.NewSyscallError("sendmsg", err))
		*first = letter{}
		o.waiting = o.waiting[1:]
		return nil
	case err != nil:
		return err
	}
	closeDescriptors(first.files)
	first.files = nil
	if first.parts[0] = first.parts[0][n:]; len(first.parts[0]) == 0 {
		first.parts = first.parts[1:]
	}
	if o.isBegun = len(first.parts) > 0; o.isBegun {
		return nil
	}
	*first = letter{} // whatever else the slice is of, the text is not kept
	o.waiting = o.waiting[1:]
	return nil
}

// isAboutFiles tells whether sendmsg(2) has failed because of the files, and nothing has been sent: the user has too
// many in flight (unix(7)), or one is of a kind that is not sent, as those of io_uring since Linux 6.7.
func isAboutFiles(err error) bool {
	return errors.Is(err, syscall.ETOOMANYREFS) || errors.Is(err, syscall.EINVAL)
}

// sendLater sends until nothing waits any more.
func (o *outbox) sendLater() {
	for isDone := false; !isDone; {
		o.awaitRoom()
		o.mutex.Lock()
		o.sendWaiting()
		isDone = len(o.waiting) == 0
		o.hasHand = !isDone
		o.mutex.Unlock()
	}
}

// awaitRoom returns when the socket has room, or will not have any. The Go runtime waits, so that no thread has to. It
// does so for a duplicate: otherwise it would be told whenever the process has read a request (see requestSocket). That
// the socket does not block from now on is no matter, since nothing here waits in it.
func (o *outbox) awaitRoom() {
	raw, err := o.socket.SyscallConn()
	if err != nil {
		return
	}
	var duplicate *os.File
	raw.Control(func(fd uintptr) {
		copied, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_DUPFD_CLOEXEC, 0)
		if errno == 0 && syscall.SetNonblock(int(copied), true) == nil {
			duplicate = os.NewFile(copied, o.socket.Name())
		}
	})
	if duplicate == nil { // no descriptor is free
		time.Sleep(time.Millisecond)
		return
	}
	defer duplicate.Close()
	launch.AwaitEvent(duplicate, launch.PollOut)
}

// close is for when the process has ended. It drops the frames that wait, even if others still have the other end.
func (o *outbox) close() {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.drop()
	if raw, err := o.socket.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { syscall.Shutdown(int(fd), syscall.SHUT_RDWR) })
	}
	o.socket.Close()
}
