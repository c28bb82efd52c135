// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package parent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Start launches the program and returns when the init process exists, is known, and is the only
// process left of the launch. The program is started by the thread that calls: a caller that has
// locked its goroutine to a thread in other namespaces starts there.
//
// When ctx ends before Start returns, the launch is undone and the error is ctx's; when it ends
// later, the init process is killed.
func (c *Cmd) Start(ctx context.Context) (*Init, error) {
	if err := c.check(ctx); err != nil {
		return nil, err
	}
	var message []byte
	if c.Message != nil {
		var err error
		if message, err = c.Message.Encode(); err != nil {
			return nil, fmt.Errorf("parent: %w", err)
		}
	}
	l := &launch{cmd: c}
	if err := l.fork(); err != nil {
		return nil, err
	}
	// Before the first wait, of which each ends when the launched process ends or INITPIPE does.
	stop := context.AfterFunc(ctx, l.interrupt)
	init, err := l.drive(message)
	if !stop() && err == nil {
		// The launch was over already, but the context had ended before.
		init.Process.Release()
		err = context.Cause(ctx)
	}
	if err != nil {
		err = l.undo(err)
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, err
	}
	return init.handOver(ctx), nil
}

// launch is a launch under way.
type launch struct {
	cmd   *Cmd
	pid   int      // of the launched process, whose process group it names
	conn  *os.File // our end of INITPIPE
	log   *logReader
	reply reply

	theirs string // what INITPIPE is in /proc/PID/fd of the launched process

	mutex  sync.Mutex
	reaped bool        // the launched process is, so pid may be another's
	killer *time.Timer // will kill the group
}

// fork starts the launched process.
func (l *launch) fork() error {
	c := l.cmd
	files, closeOurs, err := l.open()
	defer closeOurs()
	if err != nil {
		return err
	}
	sys := syscall.SysProcAttr{}
	if c.SysProcAttr != nil {
		sys = *c.SysProcAttr
	}
	// The launched process leads a process group, as a session's leader does anyway. Until the parent
	// is told of them, all processes are in it, and wait4(2) can be asked for it.
	sys.Setpgid = !sys.Setsid
	initpipe := 3 + len(c.ExtraFiles)
	l.pid, err = syscall.ForkExec(c.Path, c.Args, &syscall.ProcAttr{
		Dir:   c.Dir,
		Env:   c.environment(initpipe, initpipe+1),
		Files: files,
		Sys:   &sys,
	})
	runtime.KeepAlive(c)
	if err != nil {
		l.conn.Close()
		return &os.PathError{Op: "fork/exec", Path: c.Path, Err: err}
	}
	return nil
}

// open makes what the launched process gets as its descriptors. What is only for it is closed by
// closeOurs, always.
func (l *launch) open() (files []uintptr, closeOurs func(), err error) {
	var ours []*os.File
	closeOurs = func() {
		for _, f := range ours {
			f.Close()
		}
	}
	c := l.cmd
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, closeOurs, err
	}
	ours = append(ours, null)
	conn, theirs, err := socketPair()
	if err != nil {
		return nil, closeOurs, err
	}
	ours = append(ours, theirs)
	l.theirs, _ = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", theirs.Fd()))
	logEnd, logTheirs, err := os.Pipe()
	if err != nil {
		conn.Close()
		return nil, closeOurs, err
	}
	ours = append(ours, logTheirs)

	stderr := c.Stderr
	if c.Classic != nil {
		stderr = logTheirs // where the fatal line is written
	}
	for _, f := range []*os.File{c.Stdin, c.Stdout, stderr} {
		if f == nil {
			f = null
		}
		files = append(files, f.Fd())
	}
	for _, f := range c.ExtraFiles {
		files = append(files, f.Fd())
	}
	files = append(files, theirs.Fd())
	l.conn = conn
	if c.Classic == nil {
		files = append(files, logTheirs.Fd())
		l.log = readLog(logEnd, c.Logger)
	} else {
		l.log = readStderr(logEnd, c.Stderr)
	}
	return files, closeOurs, nil
}

// socketPair makes INITPIPE. Our end does not block, so that Go can end a wait for it; that is no
// property of the other.
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

// interrupt makes every wait of the launch end soon; drive may be in one. The launched process, and
// the others with it, ends by itself when INITPIPE is shut down, unless it is stuck: then it is killed.
// Not earlier, since an init process with a console leaves the group before it is reported, and would
// be lost sight of.
func (l *launch) interrupt() {
	const patience = 200 * time.Millisecond
	l.conn.SetDeadline(time.Unix(1, 0))
	if raw, err := l.conn.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { syscall.Shutdown(int(fd), syscall.SHUT_RDWR) })
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.killer == nil {
		l.killer = time.AfterFunc(patience, l.killGroup)
	}
}

// killGroup kills the launched process and all that has not left its process group, the number of
// which is nobody else's for as long as the launched process is not reaped.
func (l *launch) killGroup() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if !l.reaped {
		syscall.Kill(-l.pid, syscall.SIGKILL)
	}
}

func (l *launch) setReaped() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.reaped = true
}

// drive does the parent's part in one of its orders.
func (l *launch) drive(message []byte) (*Init, error) {
	c := l.cmd
	if c.BeforeMessage != nil {
		if err := c.BeforeMessage(l.pid); err != nil {
			return nil, fmt.Errorf("parent: before the message: %w", err)
		}
	}
	if len(message) > 0 {
		// A launched process that ends before it has read everything says why, or its status does.
		_, err := l.conn.Write(message)
		if err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
			return nil, fmt.Errorf("parent: failed to send the bootstrap message: %w", err)
		}
	}
	steps := []func() error{l.waitLaunched, l.readReply, l.waitStage1}
	if c.Classic == nil && c.Order == ReadFirst {
		steps = []func() error{l.readReply, l.waitStage1, l.waitLaunched}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return newInit(l)
}

// waitLaunched waits for the launched process, leaves it unreaped if it has failed, and demands
// status 0.
func (l *launch) waitLaunched() error {
	status, err := peekStatus(l.pid)
	if err == syscall.ECHILD {
		// The caller reaps everything, or ignores SIGCHLD. INITPIPE will tell whether all went well.
		l.setReaped()
		return nil
	}
	if err != nil {
		return os.NewSyscallError("waitid", err)
	}
	if status != 0 {
		return &ExitError{status}
	}
	l.setReaped()
	reap(l.pid)
	return nil
}

func (l *launch) readReply() error {
	r, err := readReply(l.conn, l.cmd.Classic != nil)
	l.reply = r
	if r.init != 0 {
		know(r.init)
	}
	return err
}

// waitStage1 waits for what the reply calls stage 1. It may be ourselves: then there was none.
func (l *launch) waitStage1() error {
	if a := l.reply.stage1; a > 0 && a != os.Getpid() {
		reap(a)
	}
	return nil // whatever came of it, as with runc
}

// undo ends what is left of a failed launch, and returns the failure, or the fatal line that explains
// it.
func (l *launch) undo(failure error) error {
	if !l.reaped { // nobody else writes it any more
		l.interrupt()
		status, err := peekStatus(l.pid)
		if err == nil && status != 0 && failure == errNoReply {
			failure = &ExitError{status}
		}
		// Those that have not been reported.
		l.killGroup()
		l.setReaped()
	}
	// Nobody writes to INITPIPE any more but an init process that has been reported. In that case it
	// has left the group, or will, and is no longer tied to anybody's life.
	if l.reply.init == 0 {
		l.reply, _ = peekLastReply(l.conn, l.cmd.Classic != nil)
	}
	if l.reply.init != 0 {
		syscall.Kill(l.reply.init, syscall.SIGKILL)
		reap(l.reply.init)
		forget(l.reply.init)
		l.waitStage1()
	} else if l.cmd.Classic != nil && l.cmd.Classic.Console != "" {
		l.reapStrays()
	}
	reapGroup(l.pid)
	l.conn.Close()
	l.log.wait()
	// If it is not for another reason that the launched process has ended, its last words are it.
	var exit *ExitError
	if fatal := l.log.failure(); fatal != nil && (failure == errNoReply || errors.As(failure, &exit)) {
		return fatal
	}
	return failure
}
