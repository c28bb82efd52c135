// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package within

import (
	"os"
	"sync"
	"syscall"
)

// outbox sends frames to a process, in the order in which they are posted. Nobody who posts waits for the process to
// read: what finds no room in the socket is sent by a goroutine. There is one while there is something to send, and while
// there is one nobody else writes.
type outbox struct {
	socket *os.File // the outbox owns it

	mutex     sync.Mutex
	isWriting bool     // the goroutine is there
	waiting   [][]byte // what it has not begun to write
}

// post sends a frame, now or later. That this fails is not said: the process has ended then, which the reader of its
// answers sees too, and knows why.
func (o *outbox) post(f frame) {
	text := f.bytes()
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if o.isWriting {
		o.waiting = append(o.waiting, text)
		return
	}
	// A goroutine that has to be woken up for it would take longer than everything else in a call.
	if rest := o.sendNow(text); len(rest) > 0 {
		o.isWriting = true
		go o.writeAll(rest)
	}
}

// sendNow sends what the socket has room for, and returns the rest.
func (o *outbox) sendNow(text []byte) (rest []byte) {
	rest = text
	raw, err := o.socket.SyscallConn()
	if err != nil {
		return rest
	}
	raw.Control(func(fd uintptr) {
		n, err := syscall.SendmsgN(int(fd), text, nil, nil, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
		if err == nil {
			rest = text[n:]
		}
	})
	return rest
}

func (o *outbox) writeAll(text []byte) {
	for text != nil {
		o.socket.Write(text)
		text = o.next()
	}
}

// next takes what is to be written next. Without any the goroutine that asks is done.
func (o *outbox) next() []byte {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if len(o.waiting) == 0 {
		o.isWriting = false
		return nil
	}
	text := o.waiting[0]
	o.waiting = o.waiting[1:]
	return text
}

// close is for when the process has ended.
func (o *outbox) close() { o.socket.Close() }
