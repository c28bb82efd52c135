// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

// Within runs a program in other namespaces, with the options of nsenter(1), or in new ones, with those of unshare(1).
//
//	within -t PID -m -n -p PROGRAM...   in namespaces of a process
//	within --like PID PROGRAM...        as that process is: its namespaces, ids, capabilities, filters, limits, cgroups
//	within new -r -m -p PROGRAM...      in new namespaces
//
// docs/man/within.1 has all of it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	// Without cgo this is what stops the build: a command that can do nothing is not to be built.
	_ "nsenter-cpp.example/nsenter"
	"nsenter-cpp.example/nsenter/within"
)

func main() {
	within.Init()
	os.Exit(run(os.Args[1:]))
}

// Exit statuses of nsenter(1) and unshare(1), but for those of the program.
const (
	statusFailed        = 1
	statusCannotExecute = 126
	statusNotFound      = 127
)

func run(arguments []string) int {
	var c *within.Cmd
	var err error
	ctx := context.Background()
	if len(arguments) > 0 && arguments[0] == "new" {
		c, err = newCommand(arguments[1:])
	} else {
		c, err = enterCommand(ctx, arguments)
	}
	if c == nil && err == nil { // help
		return 0
	}
	if err == nil {
		err = runProgram(ctx, c)
	}
	return end(err)
}

// end says what has failed, and returns the exit status. It does not return if a signal has ended the program: then the
// same signal ends this one.
func end(err error) int {
	if err == nil {
		return 0
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status := exit.Sys().(syscall.WaitStatus)
		if status.Signaled() {
			dieOf(status.Signal())
			return 128 + int(status.Signal())
		}
		return status.ExitStatus()
	}
	text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "within: "), "nsenter: ")
	fmt.Fprintf(os.Stderr, "within: %s\n", text)
	var usage *usageError
	if errors.As(err, &usage) {
		fmt.Fprintln(os.Stderr, "Try 'within --help', or 'within new --help'.")
	}
	var lookUp *exec.Error
	var path *fs.PathError
	switch {
	case errors.As(err, &lookUp), errors.As(err, &path) && path.Op == "exec":
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			return statusNotFound
		}
		return statusCannotExecute
	}
	return statusFailed
}

// dieOf ends this process by a signal, without a core and without the Go runtime, which would write its stacks.
func dieOf(sig syscall.Signal) {
	syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	runtime.LockOSThread()
	var action [64]byte // SIG_DFL, whatever the architecture's struct sigaction is
	size := uintptr(8)
	if strings.HasPrefix(runtime.GOARCH, "mips") {
		size = 16
	}
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&action)), 0, size, 0, 0)
	syscall.Kill(os.Getpid(), sig)
	select {} // until it comes; a signal that does not end a process has not ended the program either
}

// forwarded are the signals that the program is given in place of this process.
var forwarded = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1,
	syscall.SIGUSR2, syscall.SIGALRM, syscall.SIGCONT}

// runProgram runs the program at this one's terminal. The program is in a session of its own, so it has a new terminal
// if this one is at one, and otherwise gets the signals that this one is sent.
func runProgram(ctx context.Context, c *within.Cmd) error {
	c.DieWithCaller = true
	c.Proc.Stdin, c.Proc.Stdout, c.Proc.Stderr = os.Stdin, os.Stdout, os.Stderr
	if isTerminal(os.Stdin) && isTerminal(os.Stdout) {
		terminal, err := within.OpenTerminal()
		if err != nil {
			return err
		}
		defer terminal.Close()
		detach, err := terminal.Attach(os.Stdin)
		if err != nil {
			return err
		}
		defer detach()
		c.Proc.Stdin, c.Proc.Stdout = nil, nil
		if isTerminal(os.Stderr) {
			c.Proc.Stderr = nil
		}
		c.Terminal = terminal.Slave
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)
	defer signal.Stop(signals)
	if err := c.Start(ctx); err != nil {
		return err
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		for {
			select {
			case s := <-signals:
				c.Process.Signal(s)
			case <-ended:
				return
			}
		}
	}()
	return c.Wait()
}

func isTerminal(file *os.File) bool {
	var settings [256]byte
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), syscall.TCGETS, uintptr(unsafe.Pointer(&settings)))
	return errno == 0
}

// program is what the rest of the command line says: a program, or else the user's shell, as a login shell.
func program(p *within.Proc, rest []string) *within.Cmd {
	if len(rest) > 0 {
		return within.Command(p, rest[0], rest[1:]...)
	}
	shell := os.Getenv("SHELL")
	if shell == "" {
		shell = "/bin/sh"
	}
	return &within.Cmd{Proc: p, Path: shell, Args: []string{"-" + filepath.Base(shell)}}
}
