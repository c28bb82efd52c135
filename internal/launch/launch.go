// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package launch is one launch seen by the parent: it starts a process that speaks the bootstrap protocol and does its
// parent's part, in one of runc's two orders. nsenter/parent is its typed face, for programs; tests/internal/harness
// gives it descriptors, environments and bytes that no program would, and looks at everything itself.
package launch

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Launch is one launch: Start, then Drive, and if one of them fails after the process exists, Undo.
type Launch struct {
	Path  string // of the program
	Args  []string
	Env   []string // the whole of it; tells the protocol, as it does to the launched process
	Dir   string
	Files []uintptr // from descriptor 0 on; the launched process has no others
	// Sys is copied. The process group is the launch's.
	Sys *syscall.SysProcAttr

	Conn     *os.File // our end of INITPIPE, which does not block
	Initpipe int      // the number of the other end in Files

	Message   []byte
	Piece     int  // the message is written in pieces of this size; 0: in one
	Shut      bool // the writing side is shut down after it
	WaitFirst bool // wait for the launched process before the reply is read, and not after
	// Replied is called with the reply before the process in its Stage1 is waited for, if it is not nil.
	Replied func(Reply)

	Pid    int                // of the launched process, whose process group it names
	Status syscall.WaitStatus // of the launched process, as wait4(2) gives it; 0 where that is not known
	Unread bool               // nobody has read the whole message, once Line or Drive has looked

	theirs string // what INITPIPE is in /proc/PID/fd of the launched process

	mutex  sync.Mutex
	step   string
	line   []byte // what has been taken of the reply
	reply  Reply
	reaped bool        // the launched process is, so Pid may be another's
	killer *time.Timer // will kill the group
	killed bool        // the group has been, and who is waited for from now on is killed too
	stage1 int         // who is waited for as reply.Stage1, or 0

	stage1Reaped bool // reply.Stage1 may be another's
}

// ErrEnded is a launched process that has ended, or has let go of INITPIPE, without a reply and status 0. Status and
// the log say more.
var ErrEnded = errors.New("the launched process ended without a reply")

// Start starts the launched process, from the thread that calls. Files are still the caller's.
func (l *Launch) Start() error {
	l.theirs, _ = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", l.Files[l.Initpipe]))
	var sys syscall.SysProcAttr
	if l.Sys != nil {
		sys = *l.Sys
	}
	// The launched process leads a process group, as a session's leader does anyway. Until the parent
	// is told of them, all processes are in it, and wait4(2) can be asked for it.
	sys.Setpgid = !sys.Setsid
	// The thread that forks is the one whose descriptors are looked at, should they be its own.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	files := withNothingElse(l.Files)
	path, duplicate, err := executable(l.Path, files)
	if err != nil {
		return explainLimit(err, files)
	}
	pid, err := syscall.ForkExec(path, l.Args, &syscall.ProcAttr{Dir: l.Dir, Env: l.Env, Files: files, Sys: &sys})
	err = explainLimit(err, files)
	runtime.KeepAlive(l.Conn)
	if duplicate != nil {
		duplicate.Close()
	}
	if err != nil {
		return &os.PathError{Op: "fork/exec", Path: l.Path, Err: err}
	}
	l.Pid = pid
	return nil
}

// variable is the value of a variable of the protocol.
func (l *Launch) variable(name string) (value string, set bool) {
	for _, setting := range l.Env {
		if prefix := "_LIBCONTAINER_" + name + "="; strings.HasPrefix(setting, prefix) {
			return setting[len(prefix):], true
		}
	}
	return "", false
}

func (l *Launch) classic() bool {
	_, set := l.variable("INITPID")
	return set
}

// Drive does the parent's part: when it has succeeded, the init process is the only one left of the launch.
func (l *Launch) Drive() error {
	type step struct {
		name string
		do   func() error
	}
	steps := []step{
		{"message", l.sendMessage},
		{"reply", l.readReply},
		{"end of the process in stage1_pid", l.waitStage1},
		{"exit of the launched process", l.waitLaunched},
	}
	if l.WaitFirst {
		steps = []step{steps[0], steps[3], steps[1], steps[2]}
	}
	for _, s := range steps {
		l.mutex.Lock()
		l.step = s.name
		l.mutex.Unlock()
		if err := s.do(); err != nil {
			return err
		}
	}
	return nil
}

// Step is what Drive is waiting for.
func (l *Launch) Step() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.step
}

func (l *Launch) sendMessage() error {
	err := Send(l.Conn, l.Message, l.Piece, l.Shut)
	switch {
	case err == nil:
	case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET):
		// A launched process that ends before it has read everything says why, or its status does.
		l.Unread = true
	default:
		return fmt.Errorf("failed to send the bootstrap message: %w", err)
	}
	return nil
}

// Send writes to INITPIPE, in pieces of a size or, if that is 0, in one. If shut is set, it then shuts the writing side
// down.
func Send(conn *os.File, message []byte, piece int, shut bool) error {
	for len(message) > 0 {
		n := len(message)
		if piece > 0 && piece < n {
			n = piece
		}
		if _, err := conn.Write(message[:n]); err != nil {
			return err
		}
		message = message[n:]
	}
	if !shut {
		return nil
	}
	err := shutdown(conn, syscall.SHUT_WR)
	if err == syscall.ENOTSOCK { // of a pipe this is all that can be shut
		err = conn.Close()
	}
	return err
}

func shutdown(conn *os.File, how int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	if err := raw.Control(func(fd uintptr) { result = syscall.Shutdown(int(fd), how) }); err != nil {
		return err
	}
	return result
}

// waitLaunched waits for the launched process, leaves it unreaped if it has failed, and demands
// status 0.
func (l *Launch) waitLaunched() error {
	var err error
	if l.Status, err = PeekStatus(l.Pid); err == syscall.ECHILD {
		// The caller reaps everything, or ignores SIGCHLD. INITPIPE will tell whether all went well.
		l.setReaped()
		return nil
	}
	if err != nil {
		return os.NewSyscallError("waitid", err)
	}
	if l.Status != 0 {
		return ErrEnded
	}
	l.setReaped()
	reap(l.Pid)
	return nil
}

// waitStage1 waits for the process in the reply's Stage1, if there was one.
func (l *Launch) waitStage1() error {
	if !l.reply.HasStage1() || l.stage1Reaped {
		return nil
	}
	a := l.reply.Stage1
	l.setStage1(a)
	PeekStatus(a)
	l.setStage1(0)
	l.stage1Reaped = true // its number is free then, and may be another child's when we undo
	reap(a)
	return nil // whatever came of it, as with runc
}

// setStage1 stores the pid of the process that is waited for, or 0. If the group has been killed, it kills this process
// at once: nobody else would end the wait.
func (l *Launch) setStage1(pid int) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.stage1 = pid
	if l.killed {
		l.killLocked()
	}
}

func (l *Launch) setReaped() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.reaped = true
}

// Interrupt makes every wait of the launch end soon; Drive may be in one. The launched process, and the others with it,
// ends by itself when INITPIPE is shut down. If it is stuck, it is killed, but not earlier: an init process with a
// console leaves the group before it is reported, and would be lost.
func (l *Launch) Interrupt() {
	const patience = 200 * time.Millisecond
	l.Conn.SetDeadline(time.Unix(1, 0))
	shutdown(l.Conn, syscall.SHUT_RDWR)
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.killer == nil {
		l.killer = time.AfterFunc(patience, l.killGroup)
	}
}

// killGroup kills the launched process and all processes that have not left its process group.
func (l *Launch) killGroup() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.killed = true
	l.killLocked()
}

// killLocked does it, with the mutex held, as long as the group's number belongs to nobody else. That is so while the
// launched process has not been reaped. It is also so while the process in Stage1 has not, which is in the group and
// can be stuck at its end.
func (l *Launch) killLocked() {
	held := !l.reaped
	if l.stage1 != 0 {
		group, err := syscall.Getpgid(l.stage1)
		held = held || err == nil && group == l.Pid
	}
	if held {
		syscall.Kill(-l.Pid, syscall.SIGKILL)
	}
}

// Undo ends what is left of a launch, once Drive has returned, and closes Conn.
func (l *Launch) Undo() {
	wasReaped := l.reaped // nobody else writes it any more
	if !wasReaped {
		l.Interrupt()
		l.Status, _ = PeekStatus(l.Pid)
	}
	// Those that have not been reported.
	l.killGroup()
	l.setReaped()
	// Only an init process that has been reported still writes to INITPIPE. It has left the group, or will, and no longer
	// depends on another process.
	if l.reply.Init == 0 && strings.HasSuffix(l.Line(), "\n") {
		l.reply, _ = parseReply(l.line, l.classic())
	}
	if l.reply.Init != 0 {
		syscall.Kill(l.reply.Init, syscall.SIGKILL)
		reap(l.reply.Init)
		Forget(l.reply.Init)
		l.waitStage1()
	}
	if !wasReaped { // else it has reported everybody, and its number may be another's
		l.reapUnreported()
	}
	l.Conn.Close()
}

// reapUnreported waits for the processes that the launched process, a zombie still, has created and not reported.
func (l *Launch) reapUnreported() {
	launched, ok := readStat(l.Pid)
	reapGroup(l.Pid, time.Second)
	// After the group is reaped: before that, a process of the group may still be leaving it. (Not ok: SIGCHLD is ignored,
	// so there was no zombie to look at.)
	if path, _ := l.variable("CONSOLE_PATH"); path != "" && l.classic() && l.reply.Init == 0 && ok {
		l.reapStrays(launched)
	}
}
