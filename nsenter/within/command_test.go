// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"nsenter-cpp.example/internal/launch"
)

func TestCommand(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	p := &Proc{New: User | UTS | PID, Stdin: strings.NewReader("in")}
	output, err := Command(p, "sh", "-c", "echo $$ $0 $*; cat; env", "a", "b c").Output(deadline(t, short))
	if want := "1 a b c\nin"; err != nil || !strings.HasPrefix(string(output), want) ||
		strings.Contains(string(output), "LIBCONTAINER") {
		t.Errorf("got %q (%v), want %q", output, err, want)
	}
	output, err = Command(p, "sh", "-c", "echo out; echo err >&2; exit 7").CombinedOutput(deadline(t, short))
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 || string(output) != "out\nerr\n" {
		t.Errorf("got %q (%v)", output, err)
	}
	if err := Command(p, "no-such-program").Run(deadline(t, short)); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("a program that is not there: %v", err)
	}
	if err := Command(p, "/no/such/program").Run(deadline(t, short)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a path that is not there: %v", err)
	}
	if err := Command(p, "/dev/null").Run(deadline(t, short)); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a path that is no program: %v", err)
	}
	c := Command(p, "true")
	if err := c.Wait(); err == nil || err.Error() != "within: not started" {
		t.Errorf("waiting before the start: %v", err)
	}
	if err := c.Run(deadline(t, short)); err != nil {
		t.Error(err)
	}
	if err := c.Start(deadline(t, short)); err == nil || err.Error() != "within: already started" {
		t.Errorf("starting again: %v", err)
	}
	if err := c.Wait(); err == nil || err.Error() != "within: Wait was already called" {
		t.Errorf("waiting again: %v", err)
	}
	if _, err := c.Output(deadline(t, short)); err == nil || err.Error() != "within: already started" {
		t.Errorf("starting again for the output: %v", err)
	}
}

// afterTheEnd cancels a context once the process whose number it is given has ended.
type afterTheEnd context.CancelFunc

func (cancel afterTheEnd) Write(b []byte) (int, error) {
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, err
	}
	launch.PeekStatus(pid)
	cancel()
	return len(b), nil
}

func TestContextThatEndsAfterTheProgram(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	ctx, cancel := context.WithCancel(deadline(t, short))
	err := Command(&Proc{New: User, Stdout: afterTheEnd(cancel)}, "sh", "-c", "echo $$; exit 7").Run(ctx)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("got %v", err)
	}
}

// TestProgramsHaveNoMoreThanEnv: what this package's own process needs on the way is not for them.
func TestProgramsHaveNoMoreThanEnv(t *testing.T) {
	requireRoot(t)
	t.Setenv("GODEBUG", "x=1")
	t.Setenv("GOTRACEBACK", "all")
	target := fixture(t, Mount, "")
	nothingLeft(t)
	for _, fromCaller := range []bool{false, true} {
		for _, c := range []struct {
			env  []string
			want string
		}{
			{nil, ""},
			{[]string{}, ""},
			{[]string{"GODEBUG=y=2", "A=1"}, "A=1\nGODEBUG=y=2\n"},
		} {
			p := &Proc{Target: Of(target, Mount), Env: c.env}
			output, err := (&Cmd{Proc: p, Path: "/usr/bin/env", FromCaller: fromCaller}).Output(deadline(t, short))
			if err != nil || string(output) != c.want {
				t.Errorf("from caller %v, %q: got %q (%v)", fromCaller, c.env, output, err)
			}
		}
	}
}

// TestLimitOfOpenFiles: Go raises its own, programs have the one that its process was started with.
func TestLimitOfOpenFiles(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	want, err := exec.Command("sh", "-c", "ulimit -Sn").Output()
	if err != nil {
		t.Fatal(err)
	}
	var own syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &own); err != nil {
		t.Fatal(err)
	}
	if string(want) == fmt.Sprintln(own.Cur) { // as where this test was started with the highest: nothing is raised
		cmd := inRole("limit")
		cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", "ulimit -Sn 100; exec /proc/" + fmt.Sprint(os.Getpid()) + "/exe"}
		if output, err := cmd.CombinedOutput(); err != nil || string(output) != "100\n100\n" {
			t.Errorf("got %q (%v)", output, err)
		}
		return
	}
	if got, err := limits(); got != string(want)+string(want) || err != nil {
		t.Errorf("got %q (%v), want %q twice", got, err, want)
	}
}

// TestStartedThatPanics: whoever recovers has neither the process nor descriptors left.
func TestStartedThatPanics(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	var output bytes.Buffer
	p := &Proc{New: User, Stdin: strings.NewReader("in"), Stdout: &output, Stderr: &output}
	p.Started = func(int) error { panic("at the disco") }
	for what, start := range map[string]func(){
		"Call":    func() { thread.Call(deadline(t, short), p, struct{}{}) },
		"Start":   func() { p.Start(deadline(t, short)) },
		"Command": func() { Command(p, "true").Run(deadline(t, short)) },
	} {
		if got := panicOf(start); got != "at the disco" {
			t.Errorf("%s: %s", what, got)
		}
	}
}

// TestOutputKeepsStandardErrorForTheError, as os/exec does: the beginning and the end of it.
func TestOutputKeepsStandardErrorForTheError(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	p := &Proc{New: User}
	for _, script := range []string{
		"echo out; echo err >&2; exit 7",
		"head -c 40000 /dev/zero | tr '\\0' a >&2; head -c 40000 /dev/zero | tr '\\0' b >&2; exit 7",
	} {
		_, wantErr := exec.Command("sh", "-c", script).Output()
		_, err := Command(p, "sh", "-c", script).Output(deadline(t, short))
		var want, exit *exec.ExitError
		if !errors.As(wantErr, &want) || !errors.As(err, &exit) ||
			string(exit.Stderr) != string(want.Stderr) || len(exit.Stderr) == 0 {
			t.Errorf("%s: got %v", script, err)
		}
	}
	var stderr bytes.Buffer
	p.Stderr = &stderr
	var exit *exec.ExitError
	_, err := Command(p, "sh", "-c", "echo err >&2; exit 7").Output(deadline(t, short))
	if !errors.As(err, &exit) || exit.Stderr != nil || stderr.String() != "err\n" {
		t.Errorf("with a Stderr: %v, %q", err, stderr.String())
	}
}

// limits are what the shell says of its limit, once looked up inside and once outside.
func limits() (string, error) {
	var all string
	for _, fromCaller := range []bool{false, true} {
		c := Command(&Proc{New: User}, "sh", "-c", "ulimit -Sn")
		c.FromCaller = fromCaller
		output, err := c.CombinedOutput(context.Background())
		if err != nil {
			return "", err
		}
		all += string(output)
	}
	return all, nil
}

func init() {
	roles["limit"] = func() error {
		all, err := limits()
		fmt.Print(all)
		return err
	}
}

func TestOutputThatIsSetAlready(t *testing.T) {
	p := &Proc{Stdout: io.Discard}
	if _, err := Command(p, "true").Output(deadline(t, short)); err == nil ||
		err.Error() != "within: Stdout is set already" {
		t.Errorf("Output: %v", err)
	}
	for _, p := range []*Proc{p, {Stderr: io.Discard}} {
		_, err := Command(p, "true").CombinedOutput(deadline(t, short))
		if err == nil || err.Error() != "within: Stdout or Stderr is set already" {
			t.Errorf("CombinedOutput: %v", err)
		}
	}
}

func TestCommandArguments(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	none := &Cmd{Proc: &Proc{New: User, Stdin: strings.NewReader("tr '\\0' , </proc/$$/cmdline")}, Path: "sh"}
	if output, err := none.Output(deadline(t, short)); err != nil || string(output) != "sh," {
		t.Errorf("without arguments it is started as %q (%v)", output, err)
	}
	err := Command(&Proc{}, "true", "a\x00b").Start(deadline(t, short))
	if !errors.Is(err, syscall.EINVAL) || err.Error() != `within: a NUL in the argument "a\x00b": invalid argument` {
		t.Errorf("an argument with a NUL: %v", err)
	}
	err = Command(&Proc{}, strings.Repeat("x", 70_000)).Start(deadline(t, short))
	if !errors.Is(err, syscall.ENAMETOOLONG) {
		t.Errorf("a path of 70,000 bytes: %.100v", err)
	}
	err = Command(&Proc{}, "true", strings.Repeat("x", 16<<20)).Start(deadline(t, short))
	if !errors.Is(err, syscall.E2BIG) {
		t.Errorf("an argument of 16 MiB: %.100v", err)
	}
}

// slowWriter takes more than the second that is given to whoever else holds the pipe.
type slowWriter struct{ written int }

func (w *slowWriter) Write(b []byte) (int, error) {
	if w.written == 0 {
		time.Sleep(1300 * time.Millisecond)
	}
	w.written += len(b)
	return len(b), nil
}

func TestOutputIsCopiedHoweverLongItTakes(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	const size = 60_000 // the pipe has room for it, so the program has ended by then, and one read is less
	var w slowWriter
	c := Command(&Proc{New: User, Stdout: &w}, "head", "-c", fmt.Sprint(size), "/dev/zero")
	if err := c.Run(deadline(t, short)); err != nil || w.written != size {
		t.Errorf("%d bytes of %d (%v)", w.written, size, err)
	}
}

// brokenWriter has a deadline of its own.
type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

func TestOutputThatCannotBeWritten(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	err := Command(&Proc{New: User, Stdout: brokenWriter{}}, "echo", "lost").Run(deadline(t, short))
	if err != os.ErrDeadlineExceeded {
		t.Errorf("got %v", err)
	}
}

func TestOutputThatSomebodyElseHolds(t *testing.T) {
	requireUserNamespaces(t)
	for _, script := range []string{
		"echo here; sleep 30 & echo $! >&2",
		"echo here; while :; do echo there; done & echo $! >&2",
	} {
		nothingLeft(t)
		var stdout bytes.Buffer
		pid := filepath.Join(t.TempDir(), "pid")
		file, err := os.Create(pid)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		err = Command(&Proc{New: User, Stdout: &stdout, Stderr: file}, "sh", "-c", script).Run(deadline(t, short))
		file.Close()
		if !errors.Is(err, exec.ErrWaitDelay) || !strings.HasPrefix(stdout.String(), "here\n") {
			t.Errorf("%s: %v", script, err)
		}
		if took := time.Since(start); took < time.Second || took > 10*time.Second {
			t.Errorf("%s: took %v", script, took)
		}
		text, err := os.ReadFile(pid)
		if err != nil {
			t.Fatal(err)
		}
		if number, err := strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
			t.Error(err)
		} else {
			syscall.Kill(number, syscall.SIGKILL)
		}
	}
}

func TestCommandIsKilledWithItsContext(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := Command(&Proc{New: User}, "sleep", "60").Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

// TestCommandOfTheTargetOrTheCaller has a program that is one thing outside and another inside.
func TestCommandOfTheTargetOrTheCaller(t *testing.T) {
	requireRoot(t)
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	buildStatic(t, program)
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho \"the target's\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	target := fixture(t, Mount|PID, "mount --make-rprivate /\nmount --bind "+script+" "+program)
	nothingLeft(t)
	for _, c := range []struct {
		fromCaller bool
		want       string
	}{{false, "the target's\n"}, {true, "the caller's, \"an argument\"\n"}} {
		command := Command(&Proc{Target: Of(target, Mount|PID)}, program, "an argument")
		command.FromCaller = c.fromCaller
		output, err := command.CombinedOutput(deadline(t, short))
		if err != nil || string(output) != c.want {
			t.Errorf("from caller %v: got %q (%v), want %q", c.fromCaller, output, err, c.want)
		}
	}
	missing := Command(&Proc{Target: Of(target, Mount)}, "/no/such/program")
	missing.FromCaller = true
	if err := missing.Run(deadline(t, short)); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("got %v", err)
	}
}

var nameHost = Register("within/test.name-host", func(_ context.Context, name string) (struct{}, error) {
	if name == "" {
		return struct{}{}, errors.New("no name")
	}
	return struct{}{}, syscall.Sethostname([]byte(name))
})

// TestBefore: a function runs in the process that becomes the program, with rights that the program has no more.
func TestBefore(t *testing.T) {
	requireRoot(t)
	nothingLeft(t)
	for _, shares := range []bool{false, true} {
		cmd := Command(&Proc{New: UTS | PID, Dir: "/tmp"}, "sh", "-c", "hostname; id -u; pwd; echo $$")
		cmd.Before, cmd.ShareMemory = nameHost.Bind("named"), shares
		cmd.Attr = &Attr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
		if output, err := cmd.Output(deadline(t, short)); err != nil || string(output) != "named\n1000\n/tmp\n1\n" {
			t.Errorf("%q, %v", output, err)
		}
		cmd = Command(&Proc{New: UTS, Dir: "/tmp"}, "pwd")
		cmd.Before, cmd.ShareMemory = nameHost.Bind("named"), shares
		if output, err := cmd.Output(deadline(t, short)); err != nil || string(output) != "/tmp\n" {
			t.Errorf("%q, %v", output, err)
		}
		cmd = Command(&Proc{New: UTS}, "true")
		cmd.Before, cmd.ShareMemory = nameHost.Bind(""), shares
		if err := cmd.Run(deadline(t, short)); err == nil || err.Error() != "no name" {
			t.Errorf("got %v", err)
		}
	}
}
