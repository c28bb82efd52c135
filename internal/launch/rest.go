// SPDX-License-Identifier: Apache-2.0

//go:build linux

package launch

import (
	"errors"
	"io"
	"os"
	"syscall"
	"unsafe"
)

// Reader reads a pipe or a socket, and at its deadline all bytes that are there by then. If a process has written
// something and ended since, the Reader gets it, even if it is late. (package os refuses all reading after a deadline.
// On a busy machine the first read may come after it.)
type Reader struct {
	file *os.File
	read func(fd int, b []byte) (int, error)
	late bool
	left int  // of what lay there at the deadline
	cut  bool // os.ErrDeadlineExceeded has been said

	isOther bool // read is not read(2)
}

// NewReader reads a file, which has to be one of those that can have a deadline.
func NewReader(file *os.File) *Reader { return &Reader{file: file, read: syscall.Read} }

// ReadWith has a function read instead of read(2). The file must not block.
func (r *Reader) ReadWith(read func(fd int, b []byte) (int, error)) *Reader {
	return &Reader{file: r.file, read: read, isOther: true}
}

// Read is as the file's. The error is os.ErrDeadlineExceeded after it has read the bytes that were there, if that was
// not the end.
func (r *Reader) Read(b []byte) (n int, err error) {
	if !r.late {
		if n, err = r.readInTime(b); !errors.Is(err, os.ErrDeadlineExceeded) || len(b) == 0 {
			return n, err
		}
	}
	raw, err := r.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	// Control minds no deadlines.
	if controlErr := raw.Control(func(fd uintptr) {
		if !r.late {
			r.late, r.left = true, waiting(fd)
		}
		n, err = r.readLate(int(fd), b)
	}); controlErr != nil {
		return 0, controlErr
	}
	return n, err
}

func (r *Reader) readInTime(b []byte) (n int, err error) {
	if !r.isOther {
		return r.file.Read(b)
	}
	raw, err := r.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	var readErr error
	err = raw.Read(func(fd uintptr) bool {
		for {
			if n, readErr = r.read(int(fd), b); readErr != syscall.EINTR {
				return readErr != syscall.EAGAIN
			}
		}
	})
	switch {
	case err != nil:
		return 0, err
	case readErr != nil:
		return 0, os.NewSyscallError("read", readErr)
	case n == 0 && len(b) > 0:
		return 0, io.EOF
	}
	return n, nil
}

func (r *Reader) readLate(fd int, b []byte) (n int, err error) {
	var beyond [1]byte
	isBeyond := r.left == 0
	if isBeyond {
		b = beyond[:] // to tell the end from somebody else who holds the other end, and may write for ever
	} else if len(b) > r.left {
		b = b[:r.left]
	}
	for {
		switch n, err = r.read(fd, b); {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN, err == nil && n > 0 && isBeyond:
			r.cut = true
			return 0, os.ErrDeadlineExceeded
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		case n == 0:
			return 0, io.EOF
		}
		r.left -= n
		return n, nil
	}
}

// IsCut tells whether the deadline was reached and not the end. A copy of the bytes may return the same error, from the
// place that it writes to.
func (r *Reader) IsCut() bool { return r.cut }

// waiting is how many bytes lie in a pipe or socket.
func waiting(fd uintptr) int {
	var n int32
	syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCINQ, uintptr(unsafe.Pointer(&n)))
	return int(n)
}
