// SPDX-License-Identifier: Apache-2.0

//go:build go1.22

package within

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
)

var (
	// ErrNoInit: Init has not run in this process, so the child would run this program once more
	// instead of the function. main, or TestMain, must call it first.
	ErrNoInit = errors.New("within: Init has not been called")
	// ErrNested: a function that runs within namespaces cannot call another one from there.
	ErrNested = errors.New("within: a call from inside of a function")
	// ErrTooLarge: an argument or a result is larger than Proc.MaxMessage, or than Register says.
	ErrTooLarge = errors.New("within: too large")
	// ErrClosed: the session has been closed.
	ErrClosed = errors.New("within: the session is closed")
	// ErrKilled: the session has been killed by Session.Kill.
	ErrKilled = errors.New("within: the session has been killed")
	// ErrBusy: Proc.MaxPending calls of the session wait to be sent. This one has not been made.
	ErrBusy = errors.New("within: too many calls wait for the session's process")
	// ErrNotRegistered: the child has no function with this name. Something has registered it in the
	// parent only, depending on arguments or environment.
	ErrNotRegistered = errors.New("within: no such function is registered in the child")
	// ErrPoolClosed: the pool has been closed.
	ErrPoolClosed = errors.New("within: the pool is closed")
	// ErrNoSubIDs: /etc/subuid or /etc/subgid has no line of the user's.
	ErrNoSubIDs = errors.New("within: no subordinate ids")
)

// EncodeError is an argument, or a result, that cannot be encoded.
type EncodeError struct {
	What string // "argument" or "result"
	Func string // the name with which the function was registered
	Err  error  // what gob says
}

// Error says what cannot be encoded, and why.
func (e *EncodeError) Error() string {
	return fmt.Sprintf("within: the %s of %q cannot be encoded: %v", e.What, e.Func, e.Err)
}

// Unwrap is Err.
func (e *EncodeError) Unwrap() error { return e.Err }

// RemoteError is the error that a function has returned. Its text is that error's; errors.Is finds the
// errno that was wrapped in it and, of other errors, those that Sentinels lists; errors.As finds an *exec.Error, an
// *fs.PathError, and errors of the types that RegisterErrorType has been told of.
type RemoteError struct {
	Text string // what the error's Error method said
	errs []error
}

// Error is Text.
func (e *RemoteError) Error() string { return e.Text }

// Unwrap is what errors.Is shall find.
func (e *RemoteError) Unwrap() []error { return e.errs }

// PanicError is a panic of a function.
type PanicError struct {
	Value string // as it is printed
	Stack string // of the function's goroutine
}

// Error is Value, and that it was a panic.
func (e *PanicError) Error() string { return "within: panic: " + e.Value }

// ExitError is a process that has ended before the function returned: it was killed, or something in
// it called os.Exit.
type ExitError struct {
	State *os.ProcessState // nil: somebody else has reaped it
}

// Error says how it ended.
func (e *ExitError) Error() string {
	if e.State == nil {
		return "within: the process ended before the function returned"
	}
	return "within: the process ended before the function returned: " + e.State.String()
}

// NotEndedError is a process that has been killed and does not end: it is frozen by a cgroup of version 1, or waits in
// the kernel, for a device or a file system. It is left to the kernel, which ends it once that is over. Then it is
// reaped, and nothing is left of it here either.
type NotEndedError struct {
	Pid   int   // its number, in the caller's pid namespace
	State byte  // as in /proc/PID/stat: 'D' is an uninterruptible wait, and what is frozen; '?' is not known
	Err   error // why it was killed: the cause of a context, for instance; nil is Session.Close
}

// Error says which process it is, and before that why it was killed.
func (e *NotEndedError) Error() string {
	text := fmt.Sprintf("within: process %d has been killed and does not end (state %c): it is left to the kernel",
		e.Pid, e.State)
	if e.Err != nil {
		text = e.Err.Error() + "; " + text
	}
	return text
}

// Unwrap is Err.
func (e *NotEndedError) Unwrap() error { return e.Err }

// notEnded is an error and, if err says so, that the process has not ended.
func notEnded(err, why error) error {
	var left *NotEndedError
	if !errors.As(err, &left) {
		return why
	}
	return &NotEndedError{Pid: left.Pid, State: left.State, Err: why}
}

// GuardError is a program that cannot be executed in another pid or mount namespace so that nobody in there can
// overwrite it.
type GuardError struct {
	Path string  // of the program
	Size int64   // in bytes
	Errs []error // what each way has failed by
}

// Error says all of them, and what would help.
func (e *GuardError) Error() string {
	texts := make([]string, len(e.Errs))
	for i, err := range e.Errs {
		texts[i] = err.Error()
	}
	return fmt.Sprintf("within: failed to guard %s (%d KiB) against being overwritten from inside: %s", e.Path,
		(e.Size+1023)/1024, strings.Join(texts, "; "))
}

// Unwrap is Errs.
func (e *GuardError) Unwrap() []error { return e.Errs }

// sentinels are the errors that keep their identity on the way back, by number.
var sentinels = []error{
	fs.ErrInvalid, fs.ErrPermission, fs.ErrExist, fs.ErrNotExist, fs.ErrClosed,
	os.ErrNoDeadline, os.ErrDeadlineExceeded, os.ErrProcessDone,
	io.EOF, io.ErrUnexpectedEOF, io.ErrShortWrite, io.ErrShortBuffer, io.ErrNoProgress, io.ErrClosedPipe,
	context.Canceled, context.DeadlineExceeded,
	errors.ErrUnsupported, exec.ErrNotFound,
	ErrNested, ErrTooLarge, ErrNotRegistered,
}

// Sentinels lists the errors for which errors.Is works across processes: some of the standard library's and of this
// package's, and those of RegisterError.
func Sentinels() []error { return append(slices.Clone(sentinels), knownErrors.sentinels()...) }

// sentError is an error on its way back. None of its types contains itself: see recursiveSize.
type sentError struct {
	Marks sentMarks
	Panic bool
	Stack string
	// Exec and Path are those of an *exec.Error and an *fs.PathError.
	Exec, Path *namedError
	// Typed are those of types that have been registered.
	Typed []sentTyped
}

// sentMarks are what is known of an error whatever its type is.
type sentMarks struct {
	Text       string
	Errno      int
	Sentinels  []int    // of sentinels
	Registered []string // keys of those that have been registered
	IsNil      bool     // there is none
}

// namedError is an error about something that has a name, with the text of what it wraps.
type namedError struct{ Op, Name, Text string }

func sendable(err error) (s sentError) {
	defer func() {
		if p := recover(); p != nil { // of a method of the error's, which may be a nil pointer
			s = sentError{Marks: sentMarks{Text: fmt.Sprint(p)}, Panic: true, Stack: string(debug.Stack())}
		}
	}()
	s = sentError{Marks: marksOf(err)}
	var p *PanicError
	if errors.As(err, &p) {
		return sentError{Marks: sentMarks{Text: p.Value}, Panic: true, Stack: p.Stack}
	}
	var execErr *exec.Error
	if errors.As(err, &execErr) {
		s.Exec = &namedError{Name: execErr.Name, Text: execErr.Err.Error()}
	}
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		s.Path = &namedError{Op: pathErr.Op, Name: pathErr.Path, Text: pathErr.Err.Error()}
	}
	s.Typed = knownErrors.find(err)
	return s
}

func marksOf(err error) (m sentMarks) {
	m.Text = err.Error()
	var errno syscall.Errno
	if errors.As(err, &errno) {
		m.Errno = int(errno)
	}
	for i, sentinel := range sentinels {
		if errors.Is(err, sentinel) {
			m.Sentinels = append(m.Sentinels, i)
		}
	}
	m.Registered = knownErrors.keysOf(err)
	return m
}

// errors are those that errors.Is shall find.
func (m sentMarks) errors() (errs []error) {
	if m.Errno > 0 {
		errs = append(errs, syscall.Errno(m.Errno))
	}
	for i, sentinel := range sentinels {
		if slices.Contains(m.Sentinels, i) {
			errs = append(errs, sentinel)
		}
	}
	return append(errs, knownErrors.withKeys(m.Registered)...)
}

func (s sentError) received() error {
	if s.Panic {
		return &PanicError{Value: s.Marks.Text, Stack: s.Stack}
	}
	e := &RemoteError{Text: s.Marks.Text, errs: s.Marks.errors()}
	known := slices.Clip(e.errs)
	if s.Exec != nil {
		e.errs = append(e.errs, &exec.Error{Name: s.Exec.Name, Err: wrapped(s.Exec.Text, known)})
	}
	if s.Path != nil {
		e.errs = append(e.errs, &fs.PathError{Op: s.Path.Op, Path: s.Path.Name, Err: wrapped(s.Path.Text, known)})
	}
	e.errs = append(e.errs, knownErrors.received(s.Typed)...)
	return e
}

// wrapped is the one of the errors that has the text, or else an error that has.
func wrapped(text string, errs []error) error {
	for _, err := range errs {
		if err.Error() == text {
			return err
		}
	}
	return &RemoteError{Text: text, errs: errs}
}

// errorSize is how large an error can be when it is sent, whatever MaxMessage is.
const errorSize = 64 << 10

func encodeError(err error, limit int) []byte {
	s := sendable(err)
	limit = max(limit, errorSize)
	for {
		var buffer bytes.Buffer
		gob.NewEncoder(&buffer).Encode(s) // of a type that can be encoded
		if buffer.Len() <= limit {
			return buffer.Bytes()
		}
		if s.Typed != nil {
			s.Typed = nil
			continue
		}
		s.Marks.Text, s.Stack = s.Marks.Text[:min(len(s.Marks.Text), limit/4)], s.Stack[:min(len(s.Stack), limit/4)]
		s.Exec, s.Path = nil, nil // parts of the text
	}
}

func decodeError(text []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("within: an error that cannot be decoded: %v", p)
		}
	}()
	var s sentError
	if err := gob.NewDecoder(bytes.NewReader(text)).Decode(&s); err != nil {
		return fmt.Errorf("within: an error that cannot be decoded: %w", err)
	}
	return s.received()
}
