// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package parent

import (
	"regexp"
	"strings"
	"syscall"

	"nsenter-cpp.example/nsenter/bootstrap"
)

var (
	namespaceStep = regexp.MustCompile(`^failed to (?:open|join) ([a-z]+) namespace `)
	pathAtEnd     = regexp.MustCompile(`^(.*?)(?: "(/[^"]*)"| (/.*))$`)
)

func newFatalError(stage, pid int, text string) *FatalError {
	e := &FatalError{Text: text, Pid: pid, Stage: stage}
	rest := text
	if i := strings.LastIndex(rest, ": "); i >= 0 {
		if e.Errno = errnoOf(rest[i+2:]); e.Errno != 0 {
			rest = rest[:i]
		}
	}
	if m := namespaceStep.FindStringSubmatch(rest); m != nil {
		e.Namespace = bootstrap.Kind(m[1])
		if e.Errno == 0 { // "PATH: it is no namespace"
			if i := strings.LastIndex(rest, ": "); i >= 0 {
				rest = rest[:i]
			}
		}
	}
	e.Step = rest
	if m := pathAtEnd.FindStringSubmatch(rest); m != nil {
		e.Step, e.Path = m[1], m[2]+m[3]
	}
	return e
}

// errnoOf finds the errno whose text strerror(3) gives. Go's texts are glibc's, in lower case; the texts of musl that
// differ are listed here.
func errnoOf(text string) syscall.Errno {
	const last = 133 // EHWPOISON
	for errno := syscall.Errno(1); errno <= last; errno++ {
		if strings.EqualFold(errno.Error(), text) {
			return errno
		}
	}
	return muslTexts[text]
}

var muslTexts = map[string]syscall.Errno{
	"I/O error":                         syscall.EIO,
	"No child process":                  syscall.ECHILD,
	"Out of memory":                     syscall.ENOMEM,
	"Resource busy":                     syscall.EBUSY,
	"Cross-device link":                 syscall.EXDEV,
	"No file descriptors available":     syscall.EMFILE,
	"Not a tty":                         syscall.ENOTTY,
	"Invalid seek":                      syscall.ESPIPE,
	"Domain error":                      syscall.EDOM,
	"Result not representable":          syscall.ERANGE,
	"Resource deadlock would occur":     syscall.EDEADLK,
	"Filename too long":                 syscall.ENAMETOOLONG,
	"Symbolic link loop":                syscall.ELOOP,
	"Device timeout":                    syscall.ETIME,
	"Value too large for data type":     syscall.EOVERFLOW,
	"Illegal byte sequence":             syscall.EILSEQ,
	"Not a socket":                      syscall.ENOTSOCK,
	"Message too large":                 syscall.EMSGSIZE,
	"Not supported":                     syscall.ENOTSUP,
	"Address in use":                    syscall.EADDRINUSE,
	"Address not available":             syscall.EADDRNOTAVAIL,
	"Network unreachable":               syscall.ENETUNREACH,
	"Connection reset by network":       syscall.ENETRESET,
	"Connection aborted":                syscall.ECONNABORTED,
	"Socket is connected":               syscall.EISCONN,
	"Socket not connected":              syscall.ENOTCONN,
	"Cannot send after socket shutdown": syscall.ESHUTDOWN,
	"Operation timed out":               syscall.ETIMEDOUT,
	"Host is unreachable":               syscall.EHOSTUNREACH,
	"Operation in progress":             syscall.EINPROGRESS,
	"Quota exceeded":                    syscall.EDQUOT,
	"Previous owner died":               syscall.EOWNERDEAD,
}
