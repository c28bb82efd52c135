// SPDX-License-Identifier: Apache-2.0

//go:build go1.22

package remote

import (
	"errors"

	"nsenter-cpp.example/nsenter/within"
)

var (
	// ErrKind is a process that has returned another kind of file than it was asked for, or one with other flags.
	ErrKind = errors.New("remote: the process has returned another kind of file")
	// ErrNotRegular is a file that Open does not open, since it is no regular file: a folder, FIFO, device or socket.
	ErrNotRegular = within.RegisterError(errors.New("not a regular file"))
)
