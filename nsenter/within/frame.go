// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"encoding/binary"
	"fmt"
	"io"
)

// The two processes speak in frames: the parent on a socket for requests, the child on the one on which the
// bootstrap message was sent. Both are the same program, so there are no versions.
type frameKind byte

const (
	// Parent to child.
	frameSetup  frameKind = 's' // sent, limit, reuseThreads, isShifted; body: Dir
	frameCall   frameKind = 'c' // id, sent, deadline; name and body: function and argument; files
	frameLast   frameKind = 'l' // as frameCall, and the process ends after it
	frameCancel frameKind = 'x' // id
	frameEnv    frameKind = 'v' // body: the environment of the program, for the frameExec that follows
	frameAttr   frameKind = 'a' // body: a sentAttr, for the frameExec that follows
	frameBefore frameKind = 'p' // name and body: function and argument, for the frameExec that follows
	frameExec   frameKind = 'e' // program, terminal, diesWith; name and body: path and arguments
	frameGo     frameKind = 'g' // the answer to frameReady
	frameBye    frameKind = 'b' // end now

	// Child to parent.
	frameResult  frameKind = 'r' // id, withError; body: result; files
	frameError   frameKind = 'f' // id; body: a sentError, with which the call has failed
	frameFailure frameKind = 'F' // body: a sentError, with which the process has failed
	frameReady   frameKind = 'R' // to execute, and to die with the caller, which is asked whether it is alive
)

// frame is a frame. A field that its kind does not have is zero.
type frame struct {
	kind         frameKind
	id           uint64 // of the call
	sent         int64  // when it was posted, on the caller's CLOCK_MONOTONIC, in nanoseconds
	deadline     int64  // of the call, on the same clock; 0: none
	limit        int64  // MaxMessage
	reuseThreads bool   // ReuseThreads
	isShifted    bool   // the child's CLOCK_MONOTONIC can be another one
	program      int32  // descriptor of what is executed, or -1: it is found by its name
	terminal     int32  // descriptor of its controlling terminal; 0: none
	diesWith     bool   // what is executed is killed when the caller ends
	withError    bool   // a frameError of the same call follows
	name         string // of a function or program
	body         []byte // what is handed over
	files        []int  // descriptors that go with it
}

// frameHeader: kind, flags, lengths of name and body, id, sent, deadline, limit, program, terminal, number of files.
const frameHeader = 1 + 1 + 2 + 4 + 8 + 8 + 8 + 8 + 4 + 4 + 2

const (
	flagReuseThreads = 1 << iota
	flagShifted
	flagDiesWith
	flagWithError
)

// parts is the frame as it is sent. A large body is not copied for it.
func (f frame) parts() [][]byte {
	const large = 64 << 10
	body := f.body
	if len(body) < large {
		return [][]byte{f.bytes()}
	}
	f.body = nil
	head := f.bytes()
	binary.BigEndian.PutUint32(head[4:], uint32(len(body)))
	return [][]byte{head, body}
}

// bytes is the frame in one.
func (f frame) bytes() []byte {
	text := make([]byte, 0, frameHeader+len(f.name)+len(f.body))
	flags := byte(0)
	if f.reuseThreads {
		flags |= flagReuseThreads
	}
	if f.isShifted {
		flags |= flagShifted
	}
	if f.diesWith {
		flags |= flagDiesWith
	}
	if f.withError {
		flags |= flagWithError
	}
	text = append(text, byte(f.kind), flags)
	text = binary.BigEndian.AppendUint16(text, uint16(len(f.name)))
	text = binary.BigEndian.AppendUint32(text, uint32(len(f.body)))
	text = binary.BigEndian.AppendUint64(text, f.id)
	text = binary.BigEndian.AppendUint64(text, uint64(f.sent))
	text = binary.BigEndian.AppendUint64(text, uint64(f.deadline))
	text = binary.BigEndian.AppendUint64(text, uint64(f.limit))
	text = binary.BigEndian.AppendUint32(text, uint32(f.program))
	text = binary.BigEndian.AppendUint32(text, uint32(f.terminal))
	text = binary.BigEndian.AppendUint16(text, uint16(len(f.files)))
	return append(append(text, f.name...), f.body...)
}

// write writes a frame without files, with one call.
func (f frame) write(w io.Writer) error {
	_, err := w.Write(f.bytes())
	return err
}

// readFrame reads a frame of which the body has at most limit bytes. Without a first byte the error
// is io.EOF.
func readFrame(r io.Reader, limit int) (f frame, err error) {
	var header [frameHeader]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return f, err
	}
	f.kind = frameKind(header[0])
	f.reuseThreads = header[1]&flagReuseThreads != 0
	f.isShifted = header[1]&flagShifted != 0
	f.diesWith = header[1]&flagDiesWith != 0
	f.withError = header[1]&flagWithError != 0
	name := int(binary.BigEndian.Uint16(header[2:]))
	body := binary.BigEndian.Uint32(header[4:])
	f.id = binary.BigEndian.Uint64(header[8:])
	f.sent = int64(binary.BigEndian.Uint64(header[16:]))
	f.deadline = int64(binary.BigEndian.Uint64(header[24:]))
	f.limit = int64(binary.BigEndian.Uint64(header[32:]))
	f.program = int32(binary.BigEndian.Uint32(header[40:]))
	f.terminal = int32(binary.BigEndian.Uint32(header[44:]))
	number := int(binary.BigEndian.Uint16(header[48:]))
	if uint64(body) > uint64(limit) {
		return f, fmt.Errorf("within: a frame of %d bytes: %w", body, ErrTooLarge)
	}
	withFiles, _ := r.(*frameReader)
	var files []int
	if withFiles != nil {
		if files, err = withFiles.filesOf(number); err != nil {
			return f, err
		}
	} else if number > 0 {
		return f, errFiles
	}
	text := make([]byte, name+int(body))
	if _, err := io.ReadFull(r, text); err != nil {
		closeDescriptors(files)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return f, err
	}
	if withFiles != nil {
		if err := withFiles.endFrame(frameHeader + len(text)); err != nil {
			closeDescriptors(files)
			return f, err
		}
	}
	f.name, f.body, f.files = string(text[:name]), text[name:], files
	return f, nil
}
