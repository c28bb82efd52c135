// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package within

import (
	"os"
	"syscall"
	"time"

	"nsenter-cpp.example/internal/launcher"
	"nsenter-cpp.example/nsenter/parent"
)

// running is a process of this package's, as its parent has it.
type running struct {
	init     *parent.Init
	requests *os.File
	stdio    *stdio
	ended    chan struct{} // closed when the process has ended, before it is reaped
}

func newRunning(init *parent.Init, requests *os.File, stdio *stdio) *running {
	r := &running{init, requests, stdio, make(chan struct{})}
	go func() {
		defer close(r.ended)
		launcher.PeekStatus(init.Pid)
		// What the process has written lies there to be read. Whoever else has its end of the socket, one that it
		// has forked for instance, could keep us waiting for ever.
		init.Conn.SetReadDeadline(time.Now().Add(time.Second))
	}()
	return r
}

// sendNow sends what the socket for requests has room for, and returns the rest.
func (r *running) sendNow(text []byte) (rest []byte) {
	rest = text
	raw, err := r.requests.SyscallConn()
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

// end waits for the end of the process and of what copies its output.
func (r *running) end() (state *os.ProcessState, err, outputErr error) {
	<-r.ended // nobody waits for its number any more when that may be another's
	state, err = r.init.Wait()
	r.requests.Close()
	return state, err, r.stdio.wait()
}
