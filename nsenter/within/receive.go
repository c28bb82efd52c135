// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"syscall"
)

// errFiles is a process that has sent other files than it has said.
var errFiles = errors.New("within: the process has sent other files than it has announced")

// frameReader reads frames and the files that come with them. A frame's files come with its first byte. The kernel
// gives those of one frame at a time (unix(7)), with all bytes up to that, and none beyond the piece in which they were
// sent.
type frameReader struct {
	*bufio.Reader
	batches  []batch // that have come and that no frame has taken
	received int64   // bytes
	taken    int64   // of those, by frames
	err      error
}

// batch is files that have come at once.
type batch struct {
	files []int
	end   int64 // they belong to a frame that begins before this
}

// newFrameReader reads from what calls take for the files that it gets with its bytes.
func newFrameReader(from func(take func(files []int)) io.Reader) *frameReader {
	r := new(frameReader)
	source := from(r.take)
	r.Reader = bufio.NewReader(readerFunc(func(b []byte) (int, error) {
		before := len(r.batches)
		n, err := source.Read(b)
		r.received += int64(n)
		for i := before; i < len(r.batches); i++ {
			r.batches[i].end = r.received
		}
		if r.err != nil {
			return 0, r.err
		}
		return n, err
	}))
	return r
}

type readerFunc func(b []byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// take takes files, nil being too many. There are never more batches than one of the frame that is being read, and one
// of the frame after it.
func (r *frameReader) take(files []int) {
	if files == nil || len(r.batches) >= 2 {
		closeDescriptors(files)
		r.err = errFiles
		return
	}
	r.batches = append(r.batches, batch{files: files})
}

// filesOf are the files of a frame of which the header says that there are so many.
func (r *frameReader) filesOf(number int) ([]int, error) {
	if number == 0 {
		return nil, nil
	}
	if len(r.batches) == 0 || len(r.batches[0].files) != number {
		return nil, errFiles
	}
	files := r.batches[0].files
	r.batches = r.batches[1:]
	return files, nil
}

// endFrame is told of the size of a frame that has been read. Files that have come with it, and that it has not
// announced, are an error.
func (r *frameReader) endFrame(size int) error {
	r.taken += int64(size)
	if len(r.batches) > 0 && r.batches[0].end <= r.taken {
		return errFiles
	}
	return nil
}

// close closes files that nobody has taken.
func (r *frameReader) close() {
	for _, b := range r.batches {
		closeDescriptors(b.files)
	}
	r.batches = nil
}

// receive is read(2) for a socket, and hands over the files that come with the bytes, by way of the space for control
// messages.
func receive(fd int, b, control []byte, take func(files []int)) (int, error) {
	for {
		n, size, flags, _, err := syscall.Recvmsg(fd, b, control, syscall.MSG_CMSG_CLOEXEC)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return 0, err
		}
		if size == 0 && flags&syscall.MSG_CTRUNC == 0 {
			return n, nil
		}
		files := descriptorsOf(control[:size])
		if flags&syscall.MSG_CTRUNC != 0 { // too many, or the limit of open files is reached
			closeDescriptors(files)
			files = nil
		}
		take(files)
		return n, nil
	}
}

// controlSize is what the control messages of a frame's files take: CMSG_SPACE, cmsg(3), on 64-bit machines.
const controlSize = 16 + 4*maxSentFiles

// descriptorsOf are those of control messages as the kernel has made them. It makes one at most.
func descriptorsOf(control []byte) (files []int) {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		if fds, err := syscall.ParseUnixRights(&m); err == nil {
			files = append(files, fds...)
		}
	}
	return files
}

// sendAll is write(2) for a socket that blocks, and sends files with the first byte.
func sendAll(fd int, text []byte, files []int) error {
	var rights []byte
	if len(files) > 0 {
		rights = syscall.UnixRights(files...)
	}
	for len(text) > 0 {
		n, err := syscall.SendmsgN(fd, text, rights, nil, syscall.MSG_NOSIGNAL)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("within: failed to send: %w", err)
		}
		text, rights = text[n:], nil
	}
	return nil
}
