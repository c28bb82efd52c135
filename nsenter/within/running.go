// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"bytes"
	"context"
	"io"
	"os"
	"strconv"
	"time"

	"nsenter-cpp.example/internal/launch"
	"nsenter-cpp.example/nsenter/parent"
)

// running is a process of this package's, as its parent has it.
type running struct {
	process   *parent.Init
	program   int       // descriptor of a program that it has of the caller's, or -1
	terminal  int       // descriptor of its controlling terminal, or 0
	attr      *sentAttr // what its program's process is to be, or nil
	isShifted bool      // its CLOCK_MONOTONIC can be another one
	// answers and frames read process.Conn; what the process has written is there to be read when it has ended. A
	// process that calls functions has frames, with files; one that becomes a program has answers, without.
	answers  io.Reader
	frames   *frameReader
	requests *outbox
	stdio    *stdio
	ending
	unwatch func() bool // ends the watch over the context
}

// patienceForOthers is how long others may write to what a process has written to that has ended.
var patienceForOthers = time.Second

// patienceForKernel is how long a process that has been killed may take to end. That is a moment, but for one that is
// frozen by a cgroup of version 1, or waits for a device: nothing ends it before that does.
var patienceForKernel = 5 * time.Second

// newRunning takes over the files, and closes ended when the process has. When ctx ends, the process is killed.
func newRunning(ctx context.Context, process *parent.Init, ended chan struct{}, requests *os.File,
	stdio *stdio) *running {
	r := &running{
		process:  process,
		program:  -1,
		answers:  launch.NewReader(process.Conn),
		requests: &outbox{socket: requests},
		stdio:    stdio,
		ending:   ending{ended: ended, left: make(chan struct{})},
	}
	r.frames = newFrameReader(func(take func(files []int)) io.Reader {
		control := make([]byte, controlSize)
		return launch.NewReader(process.Conn).ReadWith(func(fd int, b []byte) (int, error) {
			return receive(fd, b, control, take)
		})
	})
	r.unwatch = context.AfterFunc(ctx, r.kill)
	go func() {
		defer close(r.ended)
		launch.AwaitEnd(process.Pid)
		// Whoever else has its end of the socket, one that it has forked for instance, could keep us waiting for ever.
		process.Conn.SetReadDeadline(time.Now().Add(patienceForOthers))
	}()
	return r
}

// kill kills the process, and what waits for its end does so for patienceForKernel from now on.
func (r *running) kill() {
	r.process.Kill()
	r.isKilled(func() { r.process.Conn.SetReadDeadline(time.Unix(1, 0)) })
}

// end waits for the end of the process and of what copies its output. If the process has been killed and does not end,
// err is a *NotEndedError, and the process is reaped whenever it does.
func (r *running) end() (state *os.ProcessState, err, outputErr error) {
	r.await()
	r.unwatch()
	if r.isLeft() {
		err = newNotEndedError(r.process.Pid)
		go func() {
			<-r.ended
			r.process.Wait()
		}()
	} else {
		state, err = r.process.Wait()
	}
	r.requests.close()
	return state, err, r.stdio.wait()
}

// processState is the state of a process as proc_pid_stat(5) has it: 'T' is one that is stopped.
func processState(pid int) byte {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if i := bytes.LastIndexByte(text, ')'); i >= 0 && i+2 < len(text) {
		return text[i+2]
	}
	return '?'
}

func newNotEndedError(pid int) *NotEndedError {
	return &NotEndedError{Pid: pid, State: processState(pid)}
}
