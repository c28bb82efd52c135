// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package parent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"nsenter-cpp.example/internal/launch"
)

// Start launches the program and returns when the init process exists, is known, and is the only process left of the
// launch. The thread that calls starts the program: if a caller has locked its goroutine to a thread in other
// namespaces, the program starts there.
//
// If ctx ends before Start returns, the launch is undone and the error is context.Cause(ctx). If it ends later, the
// init process is killed.
func (c *Cmd) Start(ctx context.Context) (*Init, error) {
	if err := c.check(ctx); err != nil {
		return nil, err
	}
	l := &launch.Launch{
		Path: c.Path, Args: c.Args, Dir: c.Dir, Sys: c.SysProcAttr,
		WaitFirst: c.Classic != nil || c.Order == WaitFirst,
	}
	if c.Message != nil {
		var err error
		if l.Message, err = c.Message.Encode(); err != nil {
			return nil, fmt.Errorf("parent: %w", err)
		}
	}
	log, err := c.fork(l)
	if err != nil {
		return nil, err
	}
	// Before the first wait. Each wait ends when the launched process ends or INITPIPE does.
	stop := context.AfterFunc(ctx, l.Interrupt)
	hasReturned := false
	defer func() {
		if hasReturned {
			return
		}
		// The caller's BeforeMessage has panicked, and the caller may recover.
		stop()
		l.Undo()
		log.Wait()
	}()
	init, err := c.drive(l, log)
	hasReturned = true
	if !stop() && err == nil {
		// The launch was over already, but the context had ended before.
		init.Process.Release()
		err = context.Cause(ctx)
	}
	if err == nil {
		return init.killWith(ctx), nil
	}
	l.Undo()
	log.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	if err == launch.ErrEnded {
		return nil, lastWords(l, log)
	}
	return nil, fmt.Errorf("parent: %w", err)
}

// drive does the parent's part.
func (c *Cmd) drive(l *launch.Launch, log *logReader) (*Init, error) {
	if c.BeforeMessage != nil {
		if err := c.BeforeMessage(l.Pid); err != nil {
			return nil, fmt.Errorf("before the message: %w", err)
		}
	}
	if err := l.Drive(); err != nil {
		return nil, err
	}
	return newInit(l, log)
}

// lastWords is why a launched process has ended: its fatal line, or its status if there is none.
func lastWords(l *launch.Launch, log *logReader) error {
	if fatal := log.failure(); fatal != nil {
		return fatal
	}
	err := fmt.Errorf("nsenter: %w", launch.ErrEnded)
	if l.Status != 0 {
		err = &ExitError{l.Status}
	}
	// A program that has written something may have read the message or not, which depends on who was faster.
	if line := l.Line(); line == "" && l.Unread && !l.Status.Signaled() {
		return fmt.Errorf("%w: %w", err, ErrNotLinked)
	}
	return err
}

// fork starts the launched process.
func (c *Cmd) fork(l *launch.Launch) (*logReader, error) {
	var theirs []*os.File // only for the launched process
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
	}()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	theirs = append(theirs, null)
	conn, initpipe, err := socketPair()
	if err != nil {
		return nil, err
	}
	theirs = append(theirs, initpipe)
	logEnd, logpipe, err := os.Pipe()
	if err != nil {
		conn.Close()
		return nil, err
	}
	theirs = append(theirs, logpipe)

	stderr := c.Stderr
	if c.Classic != nil {
		stderr = logpipe // where the fatal line is written
	}
	for _, f := range []*os.File{c.Stdin, c.Stdout, stderr} {
		if f == nil {
			f = null
		}
		l.Files = append(l.Files, f.Fd())
	}
	for _, f := range c.ExtraFiles {
		l.Files = append(l.Files, f.Fd())
	}
	l.Conn, l.Initpipe = conn, len(l.Files)
	l.Env = c.environment(l.Initpipe, l.Initpipe+1)
	l.Files = append(l.Files, initpipe.Fd())
	if c.Classic == nil {
		l.Files = append(l.Files, logpipe.Fd())
	}
	err = l.Start()
	runtime.KeepAlive(c)
	if err != nil {
		conn.Close()
		logEnd.Close()
		return nil, err
	}
	return c.readLog(logEnd), nil
}

// socketPair makes INITPIPE. Our end does not block, so that Go can end a wait for it; the other end blocks.
func socketPair() (ours, theirs *os.File, err error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	if err := syscall.SetNonblock(pair[0], true); err != nil {
		syscall.Close(pair[0])
		syscall.Close(pair[1])
		return nil, nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(pair[0]), "INITPIPE"), os.NewFile(uintptr(pair[1]), "INITPIPE"), nil
}

const protocolPrefix = "_LIBCONTAINER_"

// check refuses visible mistakes before anything is started.
func (c *Cmd) check(ctx context.Context) error {
	switch {
	case c.Path == "":
		return errors.New("parent: no Path")
	case (c.Message == nil) == (c.Classic == nil):
		return errors.New("parent: one of Message and Classic must be given")
	case c.Classic != nil && c.Classic.Pid <= 0:
		return fmt.Errorf("parent: no process has the pid %d", c.Classic.Pid)
	case c.Classic != nil && (c.BeforeMessage != nil || c.Logger != nil):
		return errors.New("parent: BeforeMessage and Logger are for Message only")
	}
	if a := c.SysProcAttr; a != nil && (a.Setpgid || a.Pgid != 0 || a.Foreground || a.PidFD != nil) {
		return errors.New("parent: Setpgid, Pgid, Foreground and PidFD of SysProcAttr are not the caller's")
	}
	return context.Cause(ctx)
}

// environment is Env without variables of the protocol, which would belong to another launch, and with this launch's.
func (c *Cmd) environment(initpipe, logpipe int) []string {
	env := make([]string, 0, len(c.Env)+3)
	for _, setting := range c.Env {
		if !strings.HasPrefix(setting, protocolPrefix) {
			env = append(env, setting)
		}
	}
	add := func(name, value string) { env = append(env, protocolPrefix+name+"="+value) }
	add("INITPIPE", strconv.Itoa(initpipe))
	if c.Classic != nil {
		add("INITPID", strconv.Itoa(c.Classic.Pid))
		if c.Classic.Console != "" {
			add("CONSOLE_PATH", c.Classic.Console)
		}
		return env
	}
	add("LOGPIPE", strconv.Itoa(logpipe))
	add("LOGLEVEL", strconv.Itoa(logLevel(c.Logger)))
	return env
}
