// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package launch

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"

	"nsenter-cpp.example/nsenter/bootstrap"
	"nsenter-cpp.example/nsenter/parent"
)

func init() { superviseLibrary = superviseByLibrary }

// CanLibrary tells whether package parent can launch the case. What it cannot express is for the harness's own
// hands: broken messages, pieces, pipes and terminals in the place of what is usual, and the classic protocol, whose
// standard error would be another one.
func CanLibrary(c Case) bool {
	for _, word := range c.Setup {
		if word != "subids" {
			return false
		}
	}
	m, err := bootstrap.Decode(c.Message)
	if err != nil || c.Piece != 0 || c.Shut || len(c.Env) != 2 ||
		c.Env[0] != "_LIBCONTAINER_INITPIPE=3" || c.Env[1] != "_LIBCONTAINER_LOGPIPE=4" {
		return false
	}
	return m.Validate() == nil
}

// HiddenByLibrary are fields of an outcome that package parent keeps for itself, or looks after.
var HiddenByLibrary = []string{"initpipe", "stage1", "early", "bad-log"}

// superviseByLibrary launches the case with package parent, in the supervisor.
func superviseByLibrary(r *run) error {
	message, err := bootstrap.Decode(r.c.Message)
	if err != nil {
		return err
	}
	stdout, stdoutTheirs, err := os.Pipe()
	if err != nil {
		return err
	}
	stderr, stderrTheirs, err := os.Pipe()
	if err != nil {
		return err
	}
	records := &lineHandler{}
	cmd := &parent.Cmd{
		Path:    "/mnt/probe",
		Args:    []string{"/mnt/probe"},
		Dir:     "/mnt",
		Stdout:  stdoutTheirs,
		Stderr:  stderrTheirs,
		Message: message,
		Logger:  slog.New(records),
		SysProcAttr: &syscall.SysProcAttr{Credential: &syscall.Credential{
			Uid: uint32(r.c.UID), Gid: uint32(r.c.GID), Groups: []uint32{10, 20},
		}},
		BeforeMessage: func(pid int) error {
			r.ownPid = pid
			return nil
		},
	}
	if r.c.Order == WaitFirst {
		cmd.Order = parent.WaitFirst
	}
	ctx, cancel := context.WithDeadline(context.Background(), r.deadline)
	defer cancel()
	init, err := cmd.Start(ctx)
	stdoutTheirs.Close()
	stderrTheirs.Close()
	var fatal *parent.FatalError
	switch {
	case errors.As(err, &fatal):
		r.o.Status = "1"
		r.o.Fatal = []string{r.namePid(prefix(fatal.Stage, fatal.Pid) + fatal.Text)}
	case err != nil:
		return err
	default:
		r.o.Status = "0"
		if err := r.converse(init, stdout); err != nil {
			return err
		}
	}
	rest, _ := io.ReadAll(stderr)
	r.o.Stderr = r.namePid(string(rest))
	for _, line := range records.lines {
		r.o.Log = append(r.o.Log, r.namePid(line))
	}
	if spied, err := os.ReadFile("/mnt/spied"); err == nil {
		r.o.Spied = string(spied)
	}
	r.o.Left = processes()
	if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG|syscall.WNOWAIT, nil); err == nil && pid > 0 && pid != FixturePid {
		r.o.Left = append(r.o.Left, "a zombie")
	}
	return nil
}

// converse looks at the init process, sends it the document, and hears it out.
func (r *run) converse(init *parent.Init, stdout *os.File) error {
	stdout.SetReadDeadline(r.deadline)
	output := bufio.NewReader(stdout)
	first, err := output.ReadString('\n')
	if err != nil {
		return fmt.Errorf("the init process says %q: %w", first, err)
	}
	for number, target := range []string{"null", "pipe", "pipe", "initpipe", "logpipe"} {
		link, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", init.Pid, number))
		kind, _, _ := strings.Cut(link, ":")
		if want := []string{"/dev/null", "pipe", "pipe", "socket", "pipe"}[number]; kind == want {
			r.fdNames[link] = target
		}
	}
	r.o.Init = stateOf(init.Pid, r.fdNames, 0)
	if _, err := io.WriteString(init.Conn, Document); err != nil {
		return err
	}
	raw, err := init.Conn.SyscallConn()
	if err != nil {
		return err
	}
	raw.Control(func(fd uintptr) { syscall.Shutdown(int(fd), syscall.SHUT_WR) })
	rest, err := io.ReadAll(output)
	if err != nil {
		return err
	}
	r.o.Stdout = first + string(rest)
	state, err := init.Wait()
	if err != nil {
		return err
	}
	r.o.InitStatus = statusText(state.Sys().(syscall.WaitStatus))
	return init.Err()
}

func prefix(stage, pid int) string {
	if stage < 0 {
		return fmt.Sprintf("nsexec[%d]: ", pid)
	}
	return fmt.Sprintf("nsexec-%d[%d]: ", stage, pid)
}

// lineHandler makes lines of records again.
type lineHandler struct {
	mutex sync.Mutex
	lines []string
}

func (h *lineHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h *lineHandler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *lineHandler) WithGroup(string) slog.Handler            { return h }

func (h *lineHandler) Handle(_ context.Context, record slog.Record) error {
	stage, pid := -1, 0
	record.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "stage":
			stage = int(a.Value.Int64())
		case "pid":
			pid = int(a.Value.Int64())
		}
		return true
	})
	var line bytes.Buffer
	fmt.Fprintf(&line, "%s %s%s", strings.ToLower(record.Level.String()), prefix(stage, pid), record.Message)
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.lines = append(h.lines, line.String())
	return nil
}
