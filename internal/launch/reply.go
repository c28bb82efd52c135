// SPDX-License-Identifier: Apache-2.0

//go:build linux

package launch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"syscall"
)

// Reply is the reply of the launched process.
type Reply struct {
	Stage1 int // as it was said; 0 in the classic protocol, which does not say it
	Init   int // 0: there is no reply
}

// NoStage1 stands in the reply for a helper that does not exist. It is above any pid that Linux gives (PID_MAX_LIMIT,
// 1<<22). So a parent that waits for it all the same waits for nobody, and cannot open a pidfd of it.
const NoStage1 = 1<<31 - 1

// HasStage1 tells whether Stage1 names a process to be waited for. The parent itself is no such process: a program that
// is older than its parent's copy of this package names the parent where it has no helper.
func (r Reply) HasStage1() bool {
	return r.Stage1 > 0 && r.Stage1 != NoStage1 && r.Stage1 != os.Getpid()
}

// replyLimit is above the length of any reply.
const replyLimit = 128

// Reply is what the launched process has said so far.
func (l *Launch) Reply() Reply {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.reply
}

// Heard tells whether anything has arrived on INITPIPE. It takes nothing: epoll(7) wakes up the goroutine that waits
// for the reply only if something is still there by then.
func (l *Launch) Heard() bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	there := len(l.line)
	if raw, err := l.Conn.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { there += waiting(fd) })
	}
	return there > 0
}

// Line is all that has arrived of the reply, also if it is no reply. Call it when Drive has returned, or will not
// return.
func (l *Launch) Line() string {
	if raw, err := l.Conn.SyscallConn(); err == nil {
		// Deadlines, which may have passed, do not matter here.
		raw.Control(func(fd uintptr) { l.take(fd) })
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return string(l.line)
}

// take takes the bytes of the reply's line off INITPIPE, and not a byte more: the following bytes are the Go side's.
func (l *Launch) take(fd uintptr) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for !bytes.HasSuffix(l.line, []byte{'\n'}) {
		if len(l.line) == replyLimit {
			return ErrEnded
		}
		var next [1]byte
		switch n, err := syscall.Read(int(fd), next[:]); {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return err
		case n == 1:
			l.line = append(l.line, next[0])
		case err == nil:
			return ErrEnded
		case err == syscall.ECONNRESET: // it has ended and left part of the message behind
			l.Unread = true
			return ErrEnded
		default:
			return os.NewSyscallError("read", err)
		}
	}
	return nil
}

func (l *Launch) readReply() error {
	raw, err := l.Conn.SyscallConn()
	if err == nil {
		var result error
		err = raw.Read(func(fd uintptr) (done bool) {
			result = l.take(fd)
			return result != syscall.EAGAIN
		})
		if result == ErrEnded {
			return result
		}
		if err == nil {
			err = result
		}
	}
	if err != nil {
		return fmt.Errorf("failed to read the reply: %w", err)
	}
	reply, err := parseReply(l.line, l.classic())
	if err != nil {
		return err
	}
	know(reply.Init)
	l.mutex.Lock()
	l.reply = reply
	l.mutex.Unlock()
	if l.Replied != nil {
		l.Replied(reply)
	}
	return nil
}

// parseReply is as strict as runc: no keys but these, pids that can be somebody's.
func parseReply(line []byte, classic bool) (Reply, error) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	var r Reply
	var err error
	if classic {
		var answer struct{ Pid int }
		err = decoder.Decode(&answer)
		r.Init = answer.Pid
	} else {
		var answer struct {
			Stage1 int `json:"stage1_pid"`
			Stage2 int `json:"stage2_pid"`
		}
		err = decoder.Decode(&answer)
		r = Reply{answer.Stage1, answer.Stage2}
	}
	if err != nil || r.Init <= 0 || r.Stage1 < 0 || !classic && r.Stage1 == 0 || r.Init == r.Stage1 {
		return Reply{}, fmt.Errorf("no reply: %q", line)
	}
	return r, nil
}
