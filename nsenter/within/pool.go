// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	defaultIdle = time.Minute
	defaultMax  = 32
)

// identity is what namespaces a session is in.
type identity [8]struct{ device, inode uint64 }

// pooled is a session of a pool. The pool's mutex guards all that follows its key.
type pooled struct {
	key      identity
	session  *Session                // nil as long as it is starting
	abort    context.CancelCauseFunc // and this ends the start, once that has begun
	users    int
	since    time.Time   // it has had no user
	idle     *time.Timer // will close it
	isEnding bool
}

// Place is a target of which a Pool has the sessions. It is a Caller.
type Place struct {
	pool *Pool

	mutex  sync.RWMutex // held for reading while the files are used
	target Target
	files  []*os.File // folders in /proc of the target's processes
	closed bool
}

// At is a target, for calls. From now on a process that the target names, by its number or a pidfd, is that process:
// when it has ended, calls fail with an error in which errors.Is finds syscall.ESRCH, and never go to another process
// with the number. (For the time before At, see Of and OfPidfd.) Paths and files are looked at with each call. The
// caller closes the Place; a Place that is no longer referred to is closed by the garbage collector.
func (p *Pool) At(t Target) (*Place, error) {
	if p.Proc != nil {
		t = p.Proc.Target.And(t)
	}
	place := &Place{pool: p}
	for _, part := range t.parts {
		if part.folder != nil {
			folder, pid, err := part.folder()
			if err != nil {
				place.Close()
				return nil, err
			}
			place.files = append(place.files, folder)
			part = pin(part.kinds, folder, pid)
		}
		place.target.parts = append(place.target.parts, part)
	}
	return place, nil
}

// pin is namespaces of the process that a folder in /proc is of, which never becomes that of another one.
func pin(kinds Namespaces, folder *os.File, pid int) part {
	return part{kinds: kinds, find: func(kinds Namespaces) ([]namespace, error) {
		return openNamespaces(folder, pid, kinds)
	}}
}

// Close closes what the Place has open. Calls fail with an error in which errors.Is finds fs.ErrClosed. The session
// stays the pool's.
func (l *Place) Close() error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	for _, file := range l.files {
		file.Close()
	}
	return nil
}

// open opens the namespaces of the target, which the caller closes.
func (l *Place) open() ([]namespace, error) {
	l.mutex.RLock()
	defer l.mutex.RUnlock()
	if l.closed {
		return nil, fmt.Errorf("within: the place in the pool: %w", fs.ErrClosed)
	}
	return l.target.open()
}

func (l *Place) call(ctx context.Context, name string, argument message) (message, error) {
	for {
		if ctx.Err() != nil {
			argument.close()
			return message{}, context.Cause(ctx)
		}
		s, err := l.pool.take(ctx, l)
		if err != nil {
			argument.close()
			return message{}, err
		}
		answers, id, err := s.session.begin(name, argument)
		if err == nil {
			defer l.pool.giveBack(s)
			return s.session.finish(ctx, frameCall, answers, id, name, argument)
		}
		ended := s.session.Err() != nil
		l.pool.giveBack(s)
		if !ended {
			argument.close()
			return message{}, err
		}
		// It has ended since it was taken, and nothing of the call has been sent.
	}
}

// take finds or starts the session of a place, and counts its user until giveBack.
func (p *Pool) take(ctx context.Context, l *Place) (*pooled, error) {
	namespaces, err := l.open()
	if err != nil {
		return nil, err
	}
	key, err := identityOf(namespaces)
	if err != nil {
		closeAll(namespaces)
		return nil, err
	}
	for {
		s, wait, err := p.find(key)
		switch {
		case err != nil:
			closeAll(namespaces)
			return nil, err
		case wait == nil && s.session != nil:
			closeAll(namespaces)
			return s, nil
		case wait == nil:
			return p.start(ctx, s, namespaces)
		}
		select {
		case <-wait:
		case <-ctx.Done():
			closeAll(namespaces)
			return nil, context.Cause(ctx)
		}
	}
}

// find returns a session that can be used, or one that the caller is to start, or what the caller has to wait for.
func (p *Pool) find(key identity) (s *pooled, wait <-chan struct{}, err error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.closed {
		return nil, nil, ErrPoolClosed
	}
	if p.changed == nil {
		p.changed = make(chan struct{})
		p.pooled = make(map[identity]*pooled)
	}
	s = p.pooled[key]
	if s != nil && s.session != nil && s.session.Err() != nil {
		p.forget(s)
		s = nil
	}
	switch {
	case s != nil && s.session == nil: // somebody starts it
		return nil, p.changed, nil
	case s != nil:
		p.use(s)
		return s, nil, nil
	case p.number < p.max():
		s = &pooled{key: key, users: 1}
		p.pooled[key] = s
		p.number++
		return s, nil, nil
	}
	p.evict()
	return nil, p.changed, nil
}

func (p *Pool) max() int {
	if p.Max > 0 {
		return p.Max
	}
	return defaultMax
}

func (p *Pool) use(s *pooled) {
	s.users++
	if s.idle != nil {
		s.idle.Stop()
		s.idle = nil
	}
}

// evict closes the session that has been without a call for the longest time, if there is one. As long as one is ending
// already, there will be room without it.
func (p *Pool) evict() {
	if p.ending > 0 {
		return
	}
	var oldest *pooled
	for _, s := range p.pooled {
		if s.users == 0 && (oldest == nil || s.since.Before(oldest.since)) {
			oldest = s
		}
	}
	if oldest != nil {
		p.end(oldest)
	}
}

// end closes a session that nobody finds from now on.
func (p *Pool) end(s *pooled) {
	p.forget(s)
	go s.session.Close()
}

// forget has nobody find a session any more, which is ending.
func (p *Pool) forget(s *pooled) {
	if s.isEnding {
		return
	}
	s.isEnding = true
	p.ending++
	delete(p.pooled, s.key)
	if s.idle != nil {
		s.idle.Stop()
		s.idle = nil
	}
}

// free is for a session that has ended, or has not started: there is room for another one.
func (p *Pool) free(s *pooled) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.forget(s)
	p.ending--
	p.number--
	p.wake()
}

func (p *Pool) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// start starts the session, in the namespaces, which belong to it from now on.
func (p *Pool) start(ctx context.Context, s *pooled, namespaces []namespace) (*pooled, error) {
	// The context of a session ends it. That of the call is for its start only.
	own, abort := context.WithCancelCause(context.Background())
	isStarted := false
	defer func() { // Started may have panicked, too
		if !isStarted {
			abort(nil)
			closeAll(namespaces)
			p.free(s)
		}
	}()
	if err := keepOpen(namespaces); err != nil {
		return nil, err
	}
	var proc Proc
	if p.Proc != nil {
		proc = *p.Proc
	}
	proc.Target = opened(namespaces)
	p.mutex.Lock()
	s.abort = abort
	isClosed := p.closed
	p.mutex.Unlock()
	if isClosed {
		return nil, ErrPoolClosed
	}
	stop := context.AfterFunc(ctx, func() { abort(context.Cause(ctx)) })
	session, err := proc.Start(own)
	if !stop() && err == nil {
		session.Kill()
		<-session.Done()
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	isStarted = true
	go func() {
		<-session.Done()
		abort(nil)
		closeAll(namespaces)
		p.free(s)
	}()
	p.mutex.Lock()
	defer p.mutex.Unlock()
	s.session = session
	if p.closed {
		session.Kill()
		return nil, ErrPoolClosed
	}
	p.wake()
	return s, nil
}

// keepOpen replaces what is the user's, who may close it, by duplicates. Without them the kernel could give a number to
// another namespace.
func keepOpen(namespaces []namespace) error {
	for i, n := range namespaces {
		if !n.lent {
			continue
		}
		fd, err := duplicateDescriptor(n.file)
		if err != nil {
			return fmt.Errorf("within: %v namespace: %w", n.kind, err)
		}
		namespaces[i].file, namespaces[i].lent = os.NewFile(uintptr(fd), n.file.Name()), false
	}
	return nil
}

// opened is namespaces that are open, and stay so.
func opened(namespaces []namespace) (t Target) {
	for _, n := range namespaces {
		n.lent = true
		t.parts = append(t.parts, part{kinds: n.kind, find: func(Namespaces) ([]namespace, error) {
			return []namespace{n}, nil
		}})
	}
	return t
}

// giveBack is the end of a use.
func (p *Pool) giveBack(s *pooled) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if s.users--; s.users > 0 || p.pooled[s.key] != s {
		return
	}
	s.since = time.Now()
	idle := p.Idle
	if idle <= 0 {
		idle = defaultIdle
	}
	var timer *time.Timer
	timer = time.AfterFunc(idle, func() {
		p.mutex.Lock()
		defer p.mutex.Unlock()
		if s.idle == timer { // else it has been used since
			p.end(s)
		}
	})
	s.idle = timer
	p.wake()
}

// Close closes all sessions, as Session.Close does, and returns when they have ended. Calls that are under way fail
// with ErrClosed, later ones, and those that wait, with ErrPoolClosed. The error is that of a session that has not
// ended, or whose output is lost.
func (p *Pool) Close() error {
	p.mutex.Lock()
	isFirst := !p.closed
	p.closed = true
	var sessions []*Session
	for _, s := range p.pooled {
		switch {
		case s.session != nil:
			sessions = append(sessions, s.session)
		case s.abort != nil:
			s.abort(ErrPoolClosed)
		}
	}
	if isFirst && p.changed != nil {
		p.wake()
	}
	p.mutex.Unlock()
	errs := make(chan error, len(sessions))
	for _, s := range sessions {
		go func() { errs <- s.Close() }()
	}
	var first error
	for range sessions {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for p.number > 0 { // those that are starting, or ending for another reason
		changed := p.changed
		p.mutex.Unlock()
		<-changed
		p.mutex.Lock()
	}
	return first
}

// identityOf is the identity of a session that joins these namespaces. In all others it is what the calling thread's
// children are in.
func identityOf(namespaces []namespace) (id identity, err error) {
	joined := make(map[Namespaces]*os.File)
	for _, n := range namespaces {
		joined[n.kind] = n.file
	}
	for i, kind := range All.Each() {
		var st syscall.Stat_t
		if file := joined[kind]; file != nil {
			info, err := file.Stat()
			if err != nil {
				return id, fmt.Errorf("within: %v namespace: %w", kind, err)
			}
			st = *info.Sys().(*syscall.Stat_t)
		} else if err := statOwn(kind, &st); err != nil {
			return id, err
		}
		id[i].device, id[i].inode = uint64(st.Dev), st.Ino
	}
	return id, nil
}

// statOwn looks at the namespace that children of the calling thread are in. Of a kind that the kernel does not have it
// sees nothing.
func statOwn(kind Namespaces, st *syscall.Stat_t) error {
	name := "/proc/thread-self/ns/" + kind.String()
	if kind == PID || kind == Time {
		if children := name + "_for_children"; syscall.Lstat(children, st) == nil { // Linux 4.12, 5.6
			name = children
		}
	}
	switch err := syscall.Stat(name, st); {
	case err == nil:
	case !isKnown(kind):
		*st = syscall.Stat_t{}
	case err == syscall.ENOENT: // unshare(2) has been called, and no process is in it yet
		return fmt.Errorf("within: a pool cannot tell a %v namespace without a process from others: %w", kind, err)
	default:
		return &os.PathError{Op: "stat", Path: name, Err: err}
	}
	return nil
}
