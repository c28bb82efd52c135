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
	// The program is in a session of its own: what is typed to end this one does not reach it.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := within.Command(p, command[0], command[1:]...).Run(ctx)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		os.Exit(1)
	}
}
