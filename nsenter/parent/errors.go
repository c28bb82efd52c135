// SPDX-License-Identifier: Apache-2.0

//go:build go1.22

package parent

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"nsenter-cpp.example/nsenter/bootstrap"
)

// FatalError is the fatal line with which the launched process, or another of its processes, ended.
type FatalError struct {
	Text  string // the whole of it
	Pid   int    // of the process that failed, as it sees it itself; 0 where it does not say
	Stage int    // 0, 1 or 2 as in the line's prefix; -1 before the first clone

	// Parts of Text, as far as it has them.
	Step      string               // "failed to join net namespace"
	Namespace bootstrap.Namespaces // of which the step is
	Path      string               // what the step was tried on
	Errno     syscall.Errno        // errors.Is finds it, and what it stands for
}

// Error is Text behind "nsenter: ", in one line: characters that cannot be printed are escaped as Go does it, for
// example the newlines of a map.
func (e *FatalError) Error() string {
	var line strings.Builder
	line.WriteString("nsenter: ")
	for _, r := range e.Text {
		if strconv.IsPrint(r) {
			line.WriteRune(r)
		} else {
			line.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return line.String()
}

// Unwrap is Errno, where there is one.
func (e *FatalError) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}

// ErrNotLinked: the launched process ended without a word and had not read the message. A program that links nsenter
// does so before its main.
var ErrNotLinked = errors.New("it has not read the message, so the program does not link nsenter")

// ExitError is a launched process that ended without a reply or without status 0, and without a fatal line that says
// why.
type ExitError struct {
	Status syscall.WaitStatus // as wait4(2) gives it
}

// Error says how it ended.
func (e *ExitError) Error() string {
	return "nsenter: the launched process ended without a reply: " + statusText(e.Status)
}

func statusText(status syscall.WaitStatus) string {
	if status.Signaled() {
		return "signal: " + status.Signal().String()
	}
	return fmt.Sprintf("exit status %d", status.ExitStatus())
}
