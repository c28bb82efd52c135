// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"

	"nsenter-cpp.example/internal/kernel"
	"nsenter-cpp.example/internal/launch"
	share "nsenter-cpp.example/internal/spawn"
)

// program is a program that was started without a child of this package's before it (internal/spawn).
type program struct {
	process *os.Process
	stdio   *stdio
	ending
	unwatch func() bool // ends the watch over the context

	mutex  sync.Mutex
	reaped bool // its number may be another process's
}

// startProgram starts the program as fast as package os/exec does. It returns nil and no error if that cannot be done,
// or must not (decision 0017): nothing has happened then, and a child does it.
func (c *Cmd) startProgram(ctx context.Context) (*program, error) {
	p := c.Proc
	if !c.ShareMemory || c.isConfined || c.Terminal != nil || c.Before != nil || c.DieWithCaller || isNested(ctx) ||
		!functions.frozen() || !isPlainRoot() || p.Started != nil || p.Logger != nil ||
		p.OOMScoreAdj != nil || p.TimeOffsets != nil ||
		(p.New|p.Target.kinds())&(User|Time) != 0 {
		return nil, nil
	}
	if checkProc() != nil {
		return nil, nil
	}
	s := &share.Spec{Create: p.New}
	if c.Attr != nil && !c.Attr.fill(s) {
		return nil, nil
	}
	files, err := c.target(s)
	if err != nil {
		return nil, err
	}
	defer files.close()
	if s.Target != nil {
		defer syscall.Close(s.Target.Pidfd)
	}
	if _, err := p.message(files.joins); err != nil {
		return nil, err
	}
	stdio, err := openStdio(p.Stdin, p.Stdout, p.Stderr, nil)
	if err != nil {
		return nil, err
	}
	defer stdio.closeTheirs()
	stdio.giveTo(c.Attr, p.New)
	started, err := c.spawn(ctx, s, files, stdio)
	if err != nil || started == nil {
		stdio.abandon()
		return nil, err
	}
	stdio.start()
	started.unwatch = context.AfterFunc(ctx, started.kill)
	return started, nil
}

// fill has the same in the words of internal/spawn, or tells that there are none. A process that shares the caller's
// memory is never in another cgroup (decision 0017).
func (a *Attr) fill(s *share.Spec) bool {
	if a.KeepCaps || len(a.Seccomp) > 1 || a.AppArmorProfile != "" || a.SELinuxLabel != "" || len(a.Cgroups) > 0 ||
		a.CPUs != nil || a.Scheduler != nil || a.Chroot != "" {
		return false
	}
	for _, f := range a.Seccomp {
		if f.Flags != 0 {
			return false
		}
		s.Seccomp = f.Program
	}
	if cred := a.Credential; cred != nil {
		s.IDs = &share.IDs{UID: cred.Uid, GID: cred.Gid}
		if !cred.NoSetGroups {
			s.Groups = &cred.Groups
		}
	}
	s.Capabilities = (*share.Capabilities)(a.Capabilities)
	for _, l := range a.Rlimits {
		s.Limits = append(s.Limits, share.Limit(l))
	}
	s.NoNewPrivileges = a.NoNewPrivs
	s.Root, s.DirFD = numberOf(a.Root), numberOf(a.Dir)
	if a.Umask != nil {
		umask := uint32(*a.Umask)
		s.Umask = &umask
	}
	return true
}

func numberOf(file *os.File) *int {
	if file == nil {
		return nil
	}
	number := int(file.Fd())
	return &number
}

// isPlainRoot tells whether the program would be root as well if nobody does anything about it.
func isPlainRoot() bool {
	return os.Getuid() == 0 && os.Geteuid() == 0 && os.Getgid() == 0 && os.Getegid() == 0
}

// target says which namespaces are to be joined, and returns what else the process is given. If they are those of one
// process, a pidfd does for all.
func (c *Cmd) target(s *share.Spec) (*childFiles, error) {
	p := c.Proc
	pid, kinds := p.Target.process()
	pidfd := -1
	// A child would have the namespaces, too. In a pid namespace that /proc does not show, the number is another process.
	if pid != 0 && len(p.ExtraFiles) < maxFiles-8 && share.ProcShowsOurPidNamespace() {
		const pidfdOpen = 434
		fd, _, errno := syscall.Syscall(kernel.Call(pidfdOpen), uintptr(pid), 0, 0)
		if errno == 0 {
			pidfd = int(fd)
		}
	}
	if pidfd < 0 {
		files, err := p.openFiles(c)
		if err != nil {
			return nil, err
		}
		for _, n := range files.namespaces {
			s.Joins = append(s.Joins, share.Namespace{Kind: n.kind, FD: int(n.file.Fd()), Name: n.file.Name()})
			if n.kind == PID {
				s.Member = n.pid
			}
		}
		return files, nil
	}
	s.Target, s.Join = &share.Process{Pid: pid, Pidfd: pidfd}, kinds
	files := newChildFiles(p.ExtraFiles)
	files.isExposed = p.isExposed(kinds)
	if c.FromCaller {
		if err := files.addProgram(c.Path); err != nil {
			syscall.Close(pidfd)
			return nil, err
		}
	}
	return files, nil
}

// spawn returns nil and no error if the program must not be started in this way.
func (c *Cmd) spawn(ctx context.Context, s *share.Spec, files *childFiles, stdio *stdio) (*program, error) {
	p := c.Proc
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	if s.DirFD == nil {
		s.Dir = fromRoot(p.Dir)
	}
	s.NewSession, s.FileLimitAtStart = true, true
	s.Path, s.Args = c.Path, c.Args
	for _, file := range stdio.theirs {
		if file == nil || file.Fd() == ^uintptr(0) { // a file that is closed has no descriptor
			file = null
		}
		s.Files = append(s.Files, int(file.Fd()))
	}
	for _, file := range p.ExtraFiles {
		s.Files = append(s.Files, int(file.Fd())) // -1 for a file that is nil
	}
	if files.program >= 0 {
		number := int(files.list[files.program-3].Fd())
		s.Program = &number
	}
	if p.Env != nil {
		s.Env = withoutDuplicates(p.environment(c, files.joined()))
	}
	started, err := share.Start(ctx, s)
	var unsafe *share.Unsafe
	if errors.As(err, &unsafe) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer syscall.Close(started.Pidfd)
	process, err := os.FindProcess(started.Pid)
	if err != nil {
		return nil, err
	}
	// Another process could have the number only if somebody else has reaped ours.
	running := &program{process: process, stdio: stdio, reaped: started.IsReaped(),
		ending: ending{ended: make(chan struct{}), left: make(chan struct{})}}
	go func() {
		defer close(running.ended)
		launch.AwaitEnd(process.Pid)
	}()
	return running, nil
}

// withoutDuplicates is an environment as the Go runtime of a child would have it: the first of each name.
func withoutDuplicates(environment []string) []string {
	seen := make(map[string]bool, len(environment))
	list := environment[:0:0]
	for _, setting := range environment {
		name, _, found := strings.Cut(setting, "=")
		if setting == "" || found && seen[name] {
			continue
		}
		seen[name] = found
		list = append(list, setting)
	}
	return list
}

// kill kills the program, and the rest of its own process group, as parent.Init.Kill does.
func (p *program) kill() {
	p.mutex.Lock()
	if !p.reaped {
		p.process.Kill()
		syscall.Kill(-p.process.Pid, syscall.SIGKILL)
	}
	p.mutex.Unlock()
	p.isKilled(func() {})
}

// end waits for the end of the program and of what copies its output. If the program has been killed and does not end,
// err is a *NotEndedError, and the program is reaped whenever it does.
func (p *program) end() (state *os.ProcessState, err, outputErr error) {
	p.await()
	p.unwatch()
	if p.isLeft() {
		err = newNotEndedError(p.process.Pid)
		go func() {
			<-p.ended
			p.reap()
		}()
	} else {
		state, err = p.reap()
	}
	return state, err, p.stdio.wait()
}

// reap reaps the program, which has ended.
func (p *program) reap() (*os.ProcessState, error) {
	p.mutex.Lock() // killing and reaping exclude each other
	defer p.mutex.Unlock()
	p.reaped = true
	state, err := p.process.Wait()
	if err != nil {
		p.process.Release()
	}
	return state, err
}
