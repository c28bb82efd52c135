// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

// Package surroundings launches where a clone is not what it is elsewhere: from the leader of a session with a
// terminal, beside threads that a preloaded library has started, under a debugger, from a library that a running
// program loads, and where filters refuse what the core would like to do.
//
// The test binary is both sides: with a role in its environment it is the program that is launched.
package surroundings

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "nsenter-cpp.example/nsenter"
	"nsenter-cpp.example/nsenter/bootstrap"
)

var rounds = flag.Int("rounds", 30, "how often each launch from a session leader is made")

const (
	role = "SURROUNDINGS_ROLE"
	// Of one launch.
	patience = 20 * time.Second
	// What the init process writes to INITPIPE once it runs, and what ends it.
	running = "running\n"
)

func TestMain(m *testing.M) {
	switch what, arguments, _ := strings.Cut(os.Getenv(role), " "); what {
	case "":
		os.Exit(m.Run())
	case "init":
		initProcess()
	case "filter":
		filtered(arguments)
	default:
		os.Exit(2)
	}
}

// initProcess says that it runs, and goes on until the parent closes its end.
func initProcess() {
	fd, err := strconv.Atoi(os.Getenv("_LIBCONTAINER_INITPIPE"))
	if err != nil {
		os.Exit(2)
	}
	pipe := os.NewFile(uintptr(fd), "INITPIPE")
	if _, err := pipe.WriteString(running); err != nil {
		os.Exit(2)
	}
	if _, err := io.Copy(io.Discard, pipe); err != nil {
		os.Exit(2)
	}
}

// A launch is what a parent sees of one.
type launch struct {
	Stage1 int `json:"stage1_pid"`
	Init   int `json:"stage2_pid"`
	Pid    int `json:"pid"` // classic: of the init process
	status error
	log    string // of LOGPIPE
	stderr string
	lost   bool // there was a reply, but nobody runs
	conn   *os.File
}

// request is what is to be launched, and how.
type request struct {
	program string // tests/conformance/probe, say; else the test binary itself
	classic bool   // joins the namespaces of the test itself, which it is in already
	message bootstrap.Message
	env     []string
	prepare func(cmd *exec.Cmd)
}

func socketPair(t testing.TB) (ours, theirs *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.SetNonblock(fds[0], true); err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
}

// launchAll makes a launch up to where the init process runs, or everybody has ended.
func (r request) launchAll(t testing.TB) launch {
	t.Helper()
	ours, theirs := socketPair(t)
	defer theirs.Close()
	logs, logEnd, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	var stderr bytes.Buffer
	program := "/proc/self/exe"
	if r.program != "" {
		program = r.program
	}
	cmd := exec.Command(program)
	cmd.Env = append([]string{role + "=init", "_LIBCONTAINER_INITPIPE=3"}, r.env...)
	cmd.ExtraFiles = []*os.File{theirs}
	// A file, not a writer: Wait would wait for the init process, which has it too.
	errors, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	defer errors.Close()
	cmd.Stderr = errors
	if r.classic {
		cmd.Env = append(cmd.Env, "_LIBCONTAINER_INITPID="+strconv.Itoa(os.Getpid()))
	} else {
		cmd.Env = append(cmd.Env, "_LIBCONTAINER_LOGPIPE=4")
		cmd.ExtraFiles = append(cmd.ExtraFiles, logEnd)
	}
	if r.prepare != nil {
		r.prepare(cmd)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	logEnd.Close()
	kill := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer kill.Stop()
	deadline := time.Now().Add(patience)
	ours.SetDeadline(deadline)
	logs.SetReadDeadline(deadline)

	result := launch{conn: ours}
	if !r.classic {
		message, err := r.message.Encode()
		if err != nil {
			t.Fatal(err)
		}
		ours.Write(message) // a launched process that ends before it has read it says why
	}
	decoder := json.NewDecoder(ours)
	replied := decoder.Decode(&result) == nil
	if replied && result.Stage1 > 0 && result.Stage1 < 1<<22 {
		syscall.Wait4(result.Stage1, nil, 0, nil)
	}
	result.status = cmd.Wait()
	if result.Init == 0 {
		result.Init = result.Pid
	}
	if replied && r.program != "" {
		result.lost = syscall.Kill(result.Init, 0) != nil
	} else if replied {
		said, _ := io.ReadAll(io.LimitReader(io.MultiReader(decoder.Buffered(), ours), int64(1+len(running))))
		result.lost = strings.TrimSpace(string(said)) != strings.TrimSpace(running)
	}
	text, _ := os.ReadFile(errors.Name())
	stderr.Write(text)
	result.stderr = stderr.String()
	if !replied || result.lost {
		result.end(t)
	}
	if !r.classic {
		// The init process has it too, so up to the last line that is sure to come.
		result.log = readLog(logs, replied && !result.lost)
	}
	return result
}

// readLog reads up to the init process's last line, or to the end.
func readLog(logs *os.File, runs bool) string {
	var text strings.Builder
	buffer := make([]byte, 4096)
	for !runs || !strings.Contains(text.String(), "<= nsexec container setup") {
		n, err := logs.Read(buffer)
		text.Write(buffer[:n])
		if err != nil {
			break
		}
	}
	return text.String()
}

// end ends the init process, if there is one.
func (l *launch) end(t testing.TB) {
	t.Helper()
	l.conn.Close()
	if l.Init == 0 {
		return
	}
	kill := time.AfterFunc(patience, func() { syscall.Kill(l.Init, syscall.SIGKILL) })
	defer kill.Stop()
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(l.Init, &status, 0, nil); err != nil {
		t.Errorf("the init process %d cannot be waited for: %v", l.Init, err)
	} else if status != 0 && !l.lost {
		t.Errorf("the init process ended with %v", describe(status))
	} else if l.lost {
		l.status = errors.Join(l.status, fmt.Errorf("the init process ended with %s", describe(status)))
	}
	l.Init = 0
}

func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		return "signal " + status.Signal().String()
	}
	return "status " + strconv.Itoa(status.ExitStatus())
}

// mustRun demands that all has gone well, and ends the init process.
func (l *launch) mustRun(t testing.TB) {
	t.Helper()
	if l.Init == 0 || l.lost || l.status != nil {
		t.Errorf("the init process does not run: lost %v, launched process: %v, standard error: %q, log:\n%s", l.lost,
			l.status, l.stderr, l.log)
	}
	l.end(t)
}
