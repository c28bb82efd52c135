// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package parent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// reply is what the launched process says.
type reply struct {
	stage1 int // none in the classic protocol
	init   int
}

// replyLimit is more than any reply is long.
const replyLimit = 128

var errNoReply = errors.New("nsenter: the launched process ended without a reply")

// readReply takes the reply off INITPIPE, and not a byte more: what follows is the Go side's.
func readReply(conn *os.File, classic bool) (reply, error) {
	line, err := peekLine(conn, 0)
	if err != nil {
		return reply{}, err
	}
	if _, err := io.ReadFull(conn, line); err != nil {
		return reply{}, fmt.Errorf("parent: failed to read the reply: %w", err)
	}
	return parseReply(line, classic)
}

// peekLastReply finds a reply that nobody has read, when nobody can write one any more.
func peekLastReply(conn *os.File, classic bool) (reply, error) {
	line, err := peekLine(conn, syscall.MSG_DONTWAIT)
	if err != nil {
		return reply{}, err
	}
	return parseReply(line, classic)
}

// peekLine waits until a whole line has arrived, or with MSG_DONTWAIT looks whether one has.
func peekLine(conn *os.File, flags int) ([]byte, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	buffer := make([]byte, replyLimit)
	var result error
	look := func(fd uintptr) (done bool) {
		n, _, err := syscall.Recvfrom(int(fd), buffer, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch end := bytes.IndexByte(buffer[:max(n, 0)], '\n'); {
		case err == syscall.EINTR:
			return false
		case err == syscall.EAGAIN && flags == 0:
			return false
		case err == syscall.ECONNRESET: // it has ended and left part of the message behind
			result = errNoReply
		case err != nil:
			result = os.NewSyscallError("recvfrom", err)
		case end >= 0:
			buffer = buffer[:end+1]
		case n == 0, n == replyLimit, flags != 0:
			result = errNoReply
		default:
			// Part of a line. Go's poller is edge-triggered, so this is called again when there is more.
			return false
		}
		return true
	}
	if flags == 0 {
		err = raw.Read(look)
	} else {
		// Deadlines, which may have passed, do not matter here.
		err = raw.Control(func(fd uintptr) { look(fd) })
	}
	if err != nil {
		return nil, fmt.Errorf("parent: failed to read the reply: %w", err)
	}
	if result != nil {
		return nil, result
	}
	return buffer, nil
}

// parseReply is as strict as runc: no keys but these, pids that can be somebody's.
func parseReply(line []byte, classic bool) (reply, error) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	var r reply
	var err error
	if classic {
		var answer struct{ Pid int }
		err = decoder.Decode(&answer)
		r.init = answer.Pid
	} else {
		var answer struct {
			Stage1 int `json:"stage1_pid"`
			Stage2 int `json:"stage2_pid"`
		}
		err = decoder.Decode(&answer)
		r = reply{answer.Stage1, answer.Stage2}
	}
	if err != nil || r.init <= 0 || r.stage1 < 0 || !classic && r.stage1 == 0 || r.init == r.stage1 {
		return reply{}, fmt.Errorf("parent: no reply: %q", line)
	}
	return r, nil
}
