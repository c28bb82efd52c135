// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

// Command sandbox starts a shell, or what its arguments say, in new user, pid, mount and net
// namespaces. Nobody has to be root for that.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"nsenter-cpp.example/nsenter/within"
)

func main() {
	within.Init()
	command := os.Args[1:]
	if len(command) == 0 {
		command = []string{"/bin/sh"}
	}
	p := &within.Proc{
		New:   within.User | within.PID | within.Mount | within.Net,
		Env:   os.Environ(),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c := within.Command(p, command[0], command[1:]...)
	err := runInTerminal(ctx, c)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		os.Exit(1)
	}
}

// runInTerminal runs a program in a terminal of its own if this program is at one. The program then
// gets all that the user types, Ctrl-C too: it is in a session of its own, to which this one's terminal
// sends no signals.
func runInTerminal(ctx context.Context, c *within.Cmd) error {
	terminal, err := within.OpenTerminal()
	if err != nil {
		return err
	}
	defer terminal.Close()
	detach, err := terminal.Attach(os.Stdin)
	if err != nil { // it is no terminal
		return c.Run(ctx)
	}
	defer detach()
	c.Proc.Stdin, c.Proc.Stdout, c.Proc.Stderr = nil, nil, nil
	c.Terminal = terminal.Slave
	return c.Run(ctx)
}
