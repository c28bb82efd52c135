// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"nsenter-cpp.example/internal/testutil"
)

// typist types at a terminal, and reads what appears there.
type typist struct {
	t        *testing.T
	terminal *Terminal
	seen     strings.Builder
}

func newTypist(t *testing.T) *typist {
	t.Helper()
	terminal, err := OpenTerminal()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return &typist{t: t, terminal: terminal}
}

func (y *typist) types(text string) {
	y.t.Helper()
	if _, err := io.WriteString(y.terminal.Master, text); err != nil {
		y.t.Fatal(err)
	}
}

// sees reads on until something appears.
func (y *typist) sees(text string) {
	y.t.Helper()
	y.terminal.Master.SetReadDeadline(time.Now().Add(short))
	for !strings.Contains(y.seen.String(), text) {
		b := make([]byte, 1000)
		n, err := y.terminal.Master.Read(b)
		y.seen.Write(b[:n])
		if err != nil {
			y.t.Fatalf("%v; it says\n%s\nand not %q", err, y.seen.String(), text)
		}
	}
	rest := y.seen.String()
	rest = rest[strings.Index(rest, text)+len(text):]
	y.seen.Reset()
	y.seen.WriteString(rest)
}

// foreground waits until a command other than the shell is in the foreground.
func (y *typist) foreground(shell int) {
	y.t.Helper()
	for end := time.Now().Add(short); time.Now().Before(end); time.Sleep(time.Millisecond) {
		var group int32
		if control(y.terminal.Master, syscall.TIOCGPGRP, unsafe.Pointer(&group)) == nil && group != 0 && int(group) != shell {
			return
		}
	}
	y.t.Fatal("no command is in the foreground")
}

// checkJobControl uses a shell as one does at a terminal.
func (y *typist) checkJobControl(shell int) {
	y.t.Helper()
	y.sees("ready> ")
	y.types("sleep 100\n")
	y.foreground(shell)
	y.types("\x03")
	y.types("echo status $?.\n")
	y.sees("status 130.")
	y.types("sleep 101\n")
	y.foreground(shell)
	y.types("\x1a")
	y.sees("Stopped")
	y.types("echo status $?.\n")
	y.sees("status 148.")
	y.types("jobs; fg\n")
	y.foreground(shell)
	y.types("\x03")
	y.types("echo status $?.\n")
	y.sees("status 130.")
	y.types("stty size\n")
	y.sees("24 80")
	y.types("trap 'echo resized' WINCH\n")
	if err := y.terminal.Resize(33, 77); err != nil {
		y.t.Error(err)
	}
	y.types("\n stty size\n")
	y.sees("33 77")
	y.types("exit 7\n")
}

// interactive is a shell with a prompt that is easy to find.
func interactive(p *Proc) *Cmd {
	p.Env = []string{"PATH=" + defaultPath, "PS1=ready> ", "TERM=dumb"}
	return Command(p, "/bin/sh", "-i")
}

func TestJobControl(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	y := newTypist(t)
	if err := y.terminal.Resize(24, 80); err != nil {
		t.Fatal(err)
	}
	c := interactive(&Proc{New: User})
	c.Terminal = y.terminal.Slave
	if err := c.Start(deadline(t, 2*short)); err != nil {
		t.Fatal(err)
	}
	defer c.Process.Kill()
	y.checkJobControl(c.Process.Pid)
	var exit *exec.ExitError
	if err := c.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("got %v", err)
	}
	if strings.Contains(y.seen.String(), "job control") {
		t.Error(y.seen.String())
	}

	// As pid 1, and with an end by a signal.
	y = newTypist(t)
	c = interactive(&Proc{New: User | PID})
	c.Terminal = y.terminal.Slave
	if err := c.Start(deadline(t, short)); err != nil {
		t.Fatal(err)
	}
	y.sees("ready> ")
	y.types("echo $((40 + 2)) $$\n")
	y.sees("42 1")
	c.Process.Kill()
	if err := c.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("got %v", err)
	}
}

// TestATerminalThatCannotBeTaken: it is another session's, or no terminal.
func TestATerminalThatCannotBeTaken(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	y := newTypist(t)
	first := interactive(&Proc{New: User})
	first.Terminal = y.terminal.Slave
	if err := first.Start(deadline(t, short)); err != nil {
		t.Fatal(err)
	}
	y.sees("ready> ")
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for terminal, want := range map[*os.File]error{y.terminal.Slave: syscall.EPERM, null: syscall.ENOTTY} {
		second := Command(&Proc{New: User}, "true")
		second.Terminal = terminal
		err := second.Run(deadline(t, short))
		if !errors.Is(err, want) || !strings.Contains(err.Error(), "failed to make Terminal the controlling terminal") {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	first.Process.Kill()
	first.Wait()
}

// The user of a terminal has a shell run at it, as the sandbox of the examples does.
func init() {
	roles["user-of-a-terminal"] = func() error {
		terminal, err := OpenTerminal()
		if err != nil {
			return err
		}
		defer terminal.Close()
		detach, err := terminal.Attach(os.Stdin)
		if err != nil {
			return err
		}
		c := interactive(&Proc{New: User})
		c.Terminal = terminal.Slave
		err = c.Run(context.Background())
		if err := detach(); err != nil {
			return err
		}
		fmt.Printf("it was %v\n", err)
		return nil
	}
}

// TestAttachedTerminals: what is typed at a terminal is for the program at the other one, and when it has ended the
// first one is as it was.
func TestAttachedTerminals(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	y := newTypist(t)
	if err := y.terminal.Resize(24, 80); err != nil {
		t.Fatal(err)
	}
	mode := func() (m syscall.Termios) {
		if err := control(y.terminal.Master, syscall.TCGETS, unsafe.Pointer(&m)); err != nil {
			t.Error(err)
		}
		return m
	}
	before := mode()
	user := inRole("user-of-a-terminal")
	testutil.StartAt(t, y.terminal.Slave, user)
	defer user.Process.Kill()
	y.sees("ready> ")
	if mode() == before {
		t.Error("the terminal is not in raw mode")
	}
	y.types("sleep 100\n")
	time.Sleep(300 * time.Millisecond)
	y.types("\x03")
	y.types("echo status $?.\n")
	y.sees("status 130.")
	if err := y.terminal.Resize(33, 77); err != nil {
		t.Error(err)
	}
	// The program's terminal follows a signal later.
	y.types("until stty size | grep '33 77'; do :; done; echo follow''ed\n")
	y.sees("followed")
	y.types("exit 7\n")
	y.sees("it was exit status 7")
	if err := user.Wait(); err != nil {
		t.Error(err)
	}
	if mode() != before {
		t.Error("the terminal is not as it was")
	}
}
