// SPDX-License-Identifier: Apache-2.0

//go:build linux

package launch

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"regexp"
	"strconv"
	"time"
)

// lineEnd is the length at which lines are cut that do not come from nsexec: those of nsexec are shorter than 4,096
// bytes.
const lineEnd = 64 << 10

// Log is a pipe whose lines are read as they come, until its end.
type Log struct {
	pipe *os.File
	done chan struct{}
}

// ReadLog calls take with each line that is not empty, and its newline, if it has one. It also writes the bytes to
// copies, if that is not nil.
func ReadLog(pipe *os.File, copies io.Writer, take func(line []byte)) *Log {
	l := &Log{pipe: pipe, done: make(chan struct{})}
	var source io.Reader = NewReader(pipe)
	if copies != nil {
		source = io.TeeReader(source, copies)
	}
	go l.read(source, take)
	return l
}

func (l *Log) read(source io.Reader, take func(line []byte)) {
	defer close(l.done)
	defer l.pipe.Close()
	lines := bufio.NewReaderSize(source, lineEnd)
	for {
		line, err := lines.ReadSlice('\n')
		if len(line) > 1 {
			take(line)
		}
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
	}
}

// Ended tells whether the end has been reached.
func (l *Log) Ended() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// Wait waits for the end, and for a second at most. (A process that still has the other end of the pipe then has not
// got it from nsexec.) It reads all bytes that are there by then.
func (l *Log) Wait() { l.wait(time.Second) }

func (l *Log) wait(patience time.Duration) {
	select {
	case <-l.done:
		return
	case <-time.After(patience):
	}
	if l.pipe.SetReadDeadline(time.Unix(1, 0)) != nil {
		l.pipe.Close()
	}
	<-l.done
}

// Line is a line of LOGPIPE, taken apart.
type Line struct {
	Level string
	Pid   int // of the process that says it, as it sees it itself; 0 where it does not say
	Stage int // -1 before the first clone
	Text  string
}

// linePrefix is how each text begins; (2), if it is there, is the stage.
var linePrefix = regexp.MustCompile(`^nsexec(-([0-2]))?\[([0-9]+)\]: `)

// ParseLine takes a line apart.
func ParseLine(line []byte) (Line, error) {
	var entry struct{ Level, Msg string }
	if err := json.Unmarshal(line, &entry); err != nil {
		return Line{}, err
	}
	l := Line{Level: entry.Level, Stage: -1, Text: entry.Msg}
	if m := linePrefix.FindStringSubmatch(l.Text); m != nil {
		if m[2] != "" {
			l.Stage, _ = strconv.Atoi(m[2])
		}
		l.Pid, _ = strconv.Atoi(m[3])
		l.Text = l.Text[len(m[0]):]
	}
	return l, nil
}
