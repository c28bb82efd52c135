// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
)

// Session is a process that runs any number of functions, at the same time too. Each call has a thread
// of its own, which ends right after it unless the function unlocks it (but see Proc.ReuseThreads). So what it does
// to its thread, setns of a network namespace for instance, is not seen by others.
//
// As in any Go program, functions that block in system calls of which the runtime does not know (syscall.RawSyscall)
// hold a processor each. As many as GOMAXPROCS hold up all calls, and that the caller has ended is not noticed.
type Session struct {
	running *running
	limit   int
	ctx     context.Context
	// patience is for a process that is asked to end, and then killed.
	patience time.Duration

	mutex  sync.Mutex
	calls  map[uint64]*call
	lastID uint64
	closed bool  // by Close
	killed bool  // by Kill
	err    error // once the process has ended: why calls fail
	output error // and why output may be missing
	// notEnded is not nil if it has not ended, but is left to the kernel.
	notEnded error

	done chan struct{} // closed when the process has ended, or is left
}

// call is a call that has not been answered.
type call struct {
	answers chan<- answer
	result  message // which has come, and an error is to follow
}

func (s *Session) call(ctx context.Context, name string, argument message) (message, error) {
	answers, id, err := s.begin(name, argument)
	if err != nil {
		argument.close()
		return message{}, err
	}
	return s.finish(ctx, frameCall, answers, id, name, argument)
}

// begin enters a call that finish makes, if the session takes any. The argument stays the caller's until then.
func (s *Session) begin(name string, argument message) (answers chan answer, id uint64, err error) {
	if len(argument.body) > s.limit {
		return nil, 0, errArgument(name, len(argument.body))
	}
	answers = make(chan answer, 1)
	id, err = s.enter(answers)
	return answers, id, err
}

// Pid is the process's number.
func (s *Session) Pid() int { return s.running.process.Pid }

// Done is closed when the process has ended, in whatever way, or has been killed and is left to the kernel (see
// NotEndedError). Then Err is not nil. The channel is the same each time.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err is how the process has ended, and nil as long as it runs. It is what calls fail with: ErrClosed, ErrKilled,
// context.Cause of the context of Start, an *ExitError if the process has ended by itself or was killed by others, a
// *parent.FatalError, or an error about what the process has sent. If the process is left to the kernel, that error is
// in a *NotEndedError.
func (s *Session) Err() error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return notEnded(s.notEnded, s.err)
}

// Kill kills the process, and all that is in its process group, with SIGKILL. It does not wait for the end, see Done.
// Calls that are under way, and later ones, fail with ErrKilled, unless the process has ended before. The session need
// not be closed any more.
func (s *Session) Kill() {
	s.mutex.Lock()
	s.killed = s.killed || s.err == nil
	s.mutex.Unlock()
	s.running.kill()
}

// Close ends the process, without waiting for calls that are under way: they fail with ErrClosed. It
// returns when nothing of the session is left but what has left its process group. A process that is stopped, or does
// not end of itself within 5 seconds, is killed. If it has not ended 5 seconds after that, it is left to the kernel,
// and the error is a *NotEndedError. Another error is that of copying the output, see Proc.
func (s *Session) Close() error {
	s.mutex.Lock()
	s.closed = true
	s.mutex.Unlock()
	patience := s.patience
	if state := processState(s.Pid()); state == 'T' || state == 't' {
		patience = 0 // it does not read
	}
	timer := time.AfterFunc(patience, s.running.kill)
	defer timer.Stop()
	s.running.requests.post(frame{kind: frameBye})
	<-s.done
	if s.notEnded != nil {
		return s.notEnded
	}
	return s.output
}

// finish makes a call that begin has entered.
func (s *Session) finish(ctx context.Context, kind frameKind, answers <-chan answer, id uint64, name string,
	argument message) (message, error) {
	defer func() {
		s.leave(id)
		select {
		case a := <-answers: // nobody is there for it any more
			a.result.close()
		default:
		}
	}()
	if err := ctx.Err(); err != nil {
		argument.close()
		return message{}, context.Cause(ctx)
	}
	f := frame{kind: kind, id: id, name: name, body: argument.body, files: argument.files}
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline) // before the clock is read: the point may be late, not early
		f.sent = monotonic()
		f.deadline = pointAfter(f.sent, left)
	}
	if err := s.running.requests.post(f); err != nil {
		return message{}, err
	}
	select {
	case a := <-answers:
		return a.result, causeOf(ctx, a.err)
	case <-ctx.Done():
		if kind == frameCall && !s.running.requests.withdraw(id) {
			s.running.requests.post(frame{kind: frameCancel, id: id})
		}
		return message{}, context.Cause(ctx)
	case <-s.done:
		select {
		case a := <-answers: // which came just before
			return a.result, a.err
		default:
			return message{}, s.err
		}
	}
}

func (s *Session) enter(answers chan<- answer) (uint64, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	switch {
	case s.closed:
		return 0, ErrClosed
	case s.err != nil:
		return 0, s.err
	case s.killed:
		return 0, ErrKilled
	}
	s.lastID++
	s.calls[s.lastID] = &call{answers: answers}
	return s.lastID, nil
}

func (s *Session) leave(id uint64) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if c := s.calls[id]; c != nil {
		c.result.close()
	}
	delete(s.calls, id)
}

// read takes answers in until the process ends, or says something that it should not.
func (s *Session) read() {
	defer close(s.done)
	err := s.readAnswers()
	// Nothing is expected of it any more. If it is ending already, its status stays what it is.
	s.running.kill()
	state, endErr, outputErr := s.running.end()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.output = outputErr
	s.notEnded = notEnded(endErr, nil)
	switch fatal := s.running.process.Err(); {
	case s.ctx.Err() != nil:
		s.err = context.Cause(s.ctx)
	case s.closed:
		s.err = ErrClosed
	case err != nil:
		s.err = err
	case s.killed && isKilled(state):
		s.err = ErrKilled
	case fatal != nil:
		s.err = fatal
	default:
		s.err = &ExitError{state}
	}
}

// isKilled tells whether a process has ended by SIGKILL. Of one that others have reaped it cannot be told.
func isKilled(state *os.ProcessState) bool {
	if state == nil {
		return true
	}
	status := state.Sys().(syscall.WaitStatus)
	return status.Signaled() && status.Signal() == syscall.SIGKILL
}

// readAnswers reads to the end; an error is one of the process's, or it does not keep to the protocol.
func (s *Session) readAnswers() error {
	frames := s.running.frames
	defer frames.close()
	for {
		f, err := readFrame(frames, max(s.limit, errorSize))
		if err == nil && f.kind == frameResult && len(f.body) > s.limit {
			err = fmt.Errorf("within: a result of %d bytes: %w", len(f.body), ErrTooLarge)
		}
		if errors.Is(err, ErrTooLarge) || errors.Is(err, errFiles) {
			closeDescriptors(f.files)
			return err
		}
		if err == nil && f.kind != frameResult && len(f.files) > 0 {
			closeDescriptors(f.files)
			return errFiles
		}
		if err != nil {
			return nil
		}
		var a answer
		switch f.kind {
		case frameResult:
			a.result = message{f.body, f.files}
		case frameError:
			a.err = decodeError(f.body)
		case frameFailure:
			return decodeError(f.body)
		default:
			return fmt.Errorf("within: the process sent a frame of kind %q", f.kind)
		}
		s.take(f, a)
	}
}

// refuse answers a call that cannot be sent.
func (s *Session) refuse(id uint64, err error) { s.take(frame{id: id}, answer{err: err}) }

// take gives the answer that a frame is, or completes, to who waits for it. For a call that has been cancelled there is
// nobody.
func (s *Session) take(f frame, a answer) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	c := s.calls[f.id]
	if c == nil {
		a.result.close()
		return
	}
	if f.withError {
		c.result.close() // of one that has said it before
		c.result = a.result
		return
	}
	if a.err != nil {
		a.result = c.result
	} else {
		c.result.close()
	}
	delete(s.calls, f.id)
	c.answers <- a // there is room for one
}
