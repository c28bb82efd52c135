// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package parent

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// levels are those of LOGLEVEL, by number.
var levels = []struct {
	name  string
	level slog.Level
}{
	{"panic", slog.LevelError + 8},
	{"fatal", slog.LevelError + 4},
	{"error", slog.LevelError},
	{"warning", slog.LevelWarn},
	{"info", slog.LevelInfo},
	{"debug", slog.LevelDebug},
	{"trace", slog.LevelDebug - 4},
}

// logLevel is the number that asks for all that logger would keep, and for fatal lines at least.
func logLevel(logger *slog.Logger) int {
	const fatal = 1
	if logger == nil {
		return fatal
	}
	for number := len(levels) - 1; number > fatal; number-- {
		if logger.Enabled(context.Background(), levels[number].level) {
			return number
		}
	}
	return fatal
}

// lineEnd is where lines are cut that are no lines of nsexec: those are shorter than 4,096 bytes.
const lineEnd = 64 << 10

// logReader reads LOGPIPE to its end; in the classic protocol, which has none, standard error.
type logReader struct {
	pipe   *os.File
	logger *slog.Logger
	done   chan struct{}

	mutex sync.Mutex
	fatal *FatalError
}

func readLog(pipe *os.File, logger *slog.Logger) *logReader {
	r := &logReader{pipe: pipe, logger: logger, done: make(chan struct{})}
	go r.read(pipe, r.take)
	return r
}

// readStderr hands everything on to a file, if there is one, as it comes.
func readStderr(pipe, to *os.File) *logReader {
	r := &logReader{pipe: pipe, done: make(chan struct{})}
	var source io.Reader = pipe
	if to != nil {
		source = io.TeeReader(pipe, copyTo{to})
	}
	go r.read(source, r.takeClassic)
	return r
}

// copyTo writes to a file. That this is not possible is not the launch's failure.
type copyTo struct{ file *os.File }

func (c copyTo) Write(text []byte) (int, error) {
	c.file.Write(text)
	return len(text), nil
}

// wait waits for the end of the pipe. Whoever still has its other end has not got it from nsexec, and
// is not waited for longer than a second.
func (r *logReader) wait() {
	select {
	case <-r.done:
	case <-time.After(time.Second):
		r.pipe.Close()
		<-r.done
	}
}

func (r *logReader) read(source io.Reader, take func(line []byte)) {
	defer close(r.done)
	defer r.pipe.Close()
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

// linePrefix is how each text begins; (2), if it is there, is the stage.
var linePrefix = regexp.MustCompile(`^nsexec(-([0-2]))?\[([0-9]+)\]: `)

// take makes a record of a line. A line that is not of nsexec's form is shown as it is: something
// else in the program, its Go side for instance, has written it.
func (r *logReader) take(line []byte) {
	var entry struct{ Level, Msg string }
	if err := json.Unmarshal(line, &entry); err != nil {
		entry.Level, entry.Msg = "warning", strings.TrimSuffix(string(line), "\n")
	}
	stage, pid, text := splitPrefix(entry.Msg)
	if entry.Level == "fatal" {
		r.addFatal(newFatalError(stage, pid, text))
		return
	}
	if r.logger == nil {
		return
	}
	var attributes []slog.Attr
	if pid != 0 {
		attributes = append(attributes, slog.Int("pid", pid))
	}
	if stage >= 0 {
		attributes = append(attributes, slog.Int("stage", stage))
	}
	r.logger.LogAttrs(context.Background(), slogLevel(entry.Level), text, attributes...)
}

// takeClassic finds the line with which a classic launch fails.
func (r *logReader) takeClassic(line []byte) {
	if text, found := strings.CutPrefix(string(line), "nsenter: "); found {
		r.addFatal(newFatalError(-1, 0, strings.TrimSuffix(text, "\n")))
	}
}

func (r *logReader) addFatal(fatal *FatalError) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.fatal == nil {
		r.fatal = fatal // one failure is one line
	}
}

func slogLevel(name string) slog.Level {
	for _, l := range levels {
		if l.name == name {
			return l.level
		}
	}
	return slog.LevelWarn
}

// splitPrefix takes the prefix off a text. Without one pid is 0; stage is -1 before the first clone.
func splitPrefix(message string) (stage, pid int, text string) {
	m := linePrefix.FindStringSubmatch(message)
	if m == nil {
		return -1, 0, message
	}
	stage = -1
	if m[2] != "" {
		stage, _ = strconv.Atoi(m[2])
	}
	pid, _ = strconv.Atoi(m[3])
	return stage, pid, message[len(m[0]):]
}

// failure is the fatal line, if there has been one.
func (r *logReader) failure() error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.fatal == nil {
		return nil
	}
	return r.fatal
}
