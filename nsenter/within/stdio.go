// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"nsenter-cpp.example/internal/launch"
)

// stdio is the standard streams of a child: files as they are, pipes for everything else.
type stdio struct {
	theirs [3]*os.File // nil: /dev/null
	pipes  []*os.File  // ours and theirs, theirs to be closed after the start
	ours   []*os.File
	output []*os.File // those of ours that are read
	copies []func() error
	input  []func()
	errs   chan error
}

// openStdio opens pipes for what is no file. A stream that is nil is the terminal, if there is one. The caller calls
// closeTheirs in the end, and start or abandon.
func openStdio(stdin io.Reader, stdout, stderr io.Writer, terminal *os.File) (s *stdio, err error) {
	s = &stdio{theirs: [3]*os.File{terminal, terminal, terminal}}
	defer func() {
		if err != nil {
			s.closeTheirs()
			s.abandon()
		}
	}()
	switch in := stdin.(type) {
	case nil:
	case *os.File:
		s.theirs[0] = in
	default:
		read, write, err := os.Pipe()
		if err != nil {
			return s, err
		}
		s.theirs[0], s.pipes, s.ours = read, append(s.pipes, read), append(s.ours, write)
		s.input = append(s.input, func() {
			io.Copy(write, in) // that nobody reads it to its end is no error, as with os/exec
			write.Close()
		})
	}
	for i, out := range []io.Writer{stdout, stderr} {
		switch out := out.(type) {
		case nil:
			continue
		case *os.File:
			s.theirs[1+i] = out
			continue
		}
		if i == 1 && sameWriter(stdout, stderr) {
			s.theirs[2] = s.theirs[1] // one pipe, so that the two do not write at the same time
			continue
		}
		read, write, err := os.Pipe()
		if err != nil {
			return s, err
		}
		s.theirs[1+i], s.pipes, s.ours = write, append(s.pipes, write), append(s.ours, read)
		s.output = append(s.output, read)
		s.copies = append(s.copies, func() error {
			defer read.Close()
			from := launch.NewReader(read)
			_, err := io.Copy(out, from)
			if from.IsCut() {
				err = exec.ErrWaitDelay
			}
			return err
		})
	}
	return s, nil
}

// giveTo gives the pipes to the user who runs the program. Else that could write to them, but not open /dev/stdout. To
// whom it is not permitted, or matters nothing, it is no error.
func (s *stdio) giveTo(a *Attr, entered Namespaces) {
	if a == nil || a.Credential == nil || entered.Has(User) { // in a user namespace we do not know the user
		return
	}
	for _, pipe := range s.pipes {
		pipe.Chown(int(a.Credential.Uid), -1)
	}
}

func sameWriter(a, b io.Writer) bool {
	defer func() { recover() }() // types that cannot be compared are not the same
	return a == b
}

func (s *stdio) closeTheirs() {
	for _, f := range s.pipes {
		f.Close()
	}
	s.pipes = nil
}

// abandon is for a process that has not started.
func (s *stdio) abandon() {
	for _, f := range s.ours {
		f.Close()
	}
}

func (s *stdio) start() {
	s.errs = make(chan error, len(s.copies))
	for _, input := range s.input {
		go input()
	}
	for _, c := range s.copies {
		go func() { s.errs <- c() }()
	}
}

// wait waits for the output of a process that has ended. Others that hold the pipe by then are given a second.
func (s *stdio) wait() error {
	if len(s.input) > 0 {
		s.ours[0].Close() // the reader may never end; what is read after this is lost
	}
	for _, read := range s.output {
		read.SetReadDeadline(time.Now().Add(patienceForOthers)) // fails only if it has been read to its end
	}
	var first error
	for range s.copies {
		if err := <-s.errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// ends keeps the beginning and the end of what is written, as os/exec does for Output.
type ends struct {
	first, last []byte
	omitted     int
}

// endSize is how many bytes each of the two can have.
const endSize = 32 << 10

func (e *ends) Write(text []byte) (int, error) {
	n := min(len(text), endSize-len(e.first))
	e.first = append(e.first, text[:n]...)
	e.last = append(e.last, text[n:]...)
	if over := len(e.last) - endSize; over > 0 {
		e.last = append(e.last[:0], e.last[over:]...)
		e.omitted += over
	}
	return len(text), nil
}

func (e *ends) bytes() []byte {
	text := e.first
	if e.omitted > 0 {
		text = fmt.Appendf(text, "\n... omitting %d bytes ...\n", e.omitted)
	}
	return append(text, e.last...)
}
