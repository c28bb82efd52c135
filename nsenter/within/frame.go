// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

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
	frameSetup  frameKind = 's' // id: 1 for ReuseThreads; number: MaxMessage; body: Dir
	frameCall   frameKind = 'c' // id; number: nanoseconds until the deadline, 0: none; name; body: argument
	frameLast   frameKind = 'l' // as frameCall, and the process ends after it
	frameCancel frameKind = 'x' // id
	frameExec   frameKind = 'e' // id: 1 without ownVariables; number: the descriptor, or -1; name: of it; body: arguments
	frameBye    frameKind = 'b' // end now

	// Child to parent.
	frameResult frameKind = 'r' // id; body: result
	frameError  frameKind = 'f' // id, 0: of the process; body: a sentError
)

// frame is a frame. Not all kinds use all of it.
type frame struct {
	kind   frameKind
	id     uint64
	number int64
	name   string
	body   []byte
}

// frameHeader: kind, id, number, length of name, length of body.
const frameHeader = 1 + 8 + 8 + 2 + 4

// bytes is the frame as it is sent.
func (f frame) bytes() []byte {
	text := make([]byte, frameHeader, frameHeader+len(f.name)+len(f.body))
	text[0] = byte(f.kind)
	binary.BigEndian.PutUint64(text[1:], f.id)
	binary.BigEndian.PutUint64(text[9:], uint64(f.number))
	binary.BigEndian.PutUint16(text[17:], uint16(len(f.name)))
	binary.BigEndian.PutUint32(text[19:], uint32(len(f.body)))
	return append(append(text, f.name...), f.body...)
}

// write writes a frame with one call.
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
	f.id = binary.BigEndian.Uint64(header[1:])
	f.number = int64(binary.BigEndian.Uint64(header[9:]))
	name := int(binary.BigEndian.Uint16(header[17:]))
	body := binary.BigEndian.Uint32(header[19:])
	if uint64(body) > uint64(limit) {
		return f, fmt.Errorf("within: a frame of %d bytes: %w", body, ErrTooLarge)
	}
	text := make([]byte, name+int(body))
	if _, err := io.ReadFull(r, text); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return f, err
	}
	f.name, f.body = string(text[:name]), text[name:]
	return f, nil
}
