// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package parent

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"

	"nsenter-cpp.example/internal/launch"
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

// logLevel is the number that asks for all lines that logger would keep, and for fatal lines at least.
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

// logReader makes records of LOGPIPE; in the classic protocol, which has none, it reads standard error.
type logReader struct {
	*launch.Log
	logger *slog.Logger

	mutex sync.Mutex
	fatal *FatalError
}

func (c *Cmd) readLog(pipe *os.File) *logReader {
	r := &logReader{logger: c.Logger}
	switch {
	case c.Classic == nil:
		r.Log = launch.ReadLog(pipe, nil, r.take)
	case c.Stderr == nil:
		r.Log = launch.ReadLog(pipe, nil, r.takeClassic)
	default:
		r.Log = launch.ReadLog(pipe, copyTo{c.Stderr}, r.takeClassic)
	}
	return r
}

// copyTo writes to a file. If that is not possible, the launch does not fail.
type copyTo struct{ file *os.File }

func (c copyTo) Write(text []byte) (int, error) {
	c.file.Write(text)
	return len(text), nil
}

// take makes a record of a line. A line in another form than nsexec's is shown as it is: other code of the program has
// written it, for example its Go side.
func (r *logReader) take(raw []byte) {
	line, err := launch.ParseLine(raw)
	if err != nil {
		line = launch.Line{Level: "warning", Stage: -1, Text: strings.TrimSuffix(string(raw), "\n")}
	}
	if line.Level == "fatal" {
		r.addFatal(newFatalError(line.Stage, line.Pid, line.Text))
		return
	}
	if r.logger == nil {
		return
	}
	var attributes []slog.Attr
	if line.Pid != 0 {
		attributes = append(attributes, slog.Int("pid", line.Pid))
	}
	if line.Stage >= 0 {
		attributes = append(attributes, slog.Int("stage", line.Stage))
	}
	r.logger.LogAttrs(context.Background(), slogLevel(line.Level), line.Text, attributes...)
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

// failure is the fatal line, if there has been one.
func (r *logReader) failure() error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.fatal == nil {
		return nil
	}
	return r.fatal
}
