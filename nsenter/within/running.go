// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package within

import (
	"io"
	"os"
	"time"

	"nsenter-cpp.example/internal/launch"
	"nsenter-cpp.example/nsenter/parent"
)

// running is a process of this package's, as its parent has it.
type running struct {
	process   *parent.Init
	program   int       // descriptor of a program that it has of the caller's, or -1
	isShifted bool      // its CLOCK_MONOTONIC can be another one
	answers   io.Reader // of process.Conn; what the process has written is there to be read when it has ended
	requests  *outbox
	stdio     *stdio
	ended     chan struct{} // closed when the process has ended, before it is reaped
}

// patienceForOthers is how long others may write to what a process has written to that has ended.
var patienceForOthers = time.Second

// newRunning takes over the files.
func newRunning(process *parent.Init, requests *os.File, stdio *stdio) *running {
	r := &running{
		process:  process,
		program:  -1,
		answers:  launch.NewReader(process.Conn),
		requests: &outbox{socket: requests},
		stdio:    stdio,
		ended:    make(chan struct{}),
	}
	go func() {
		defer close(r.ended)
		launch.AwaitEnd(process.Pid)
		// Whoever else has its end of the socket, one that it has forked for instance, could keep us waiting for ever.
		process.Conn.SetReadDeadline(time.Now().Add(patienceForOthers))
	}()
	return r
}

// end waits for the end of the process and of what copies its output.
func (r *running) end() (state *os.ProcessState, err, outputErr error) {
	<-r.ended // nobody waits for its number any more when that may be another's
	state, err = r.process.Wait()
	r.requests.close()
	return state, err, r.stdio.wait()
}
