// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

// child is not nil in a process that this package has started.
var child = newChild()

// isChild tells whether this package has started this process.
func isChild() bool { return child != nil }

// childProcess is the child's side. It is made when this package is initialised, before packages that
// import it are.
type childProcess struct {
	conn   *os.File     // INITPIPE, for answers
	frames *frameReader // of the socket for requests
	joined Namespaces
	limit  int
	reuse  bool
	clock  callerClock // of whoever reads
	attr   *sentAttr   // of the program to come, or nil
	reaps  bool        // it is pid 1
	// forProgram is what the program to come has in its environment, and this process has not.
	forProgram []string
	write      sync.Mutex

	mutex sync.Mutex
	calls map[uint64]context.CancelFunc
}

// For close_range(2), Linux 5.11.
const closeRangeCloexec = 0x4

// newChild finds out whether this process is a child. If it is, the variables that say so are removed,
// and all descriptors that are this package's closed, or kept from what the function executes.
func newChild() *childProcess {
	var first, count, initpipe int
	var joined, created Namespaces
	setting := os.Getenv(envInternal)
	pipe := os.Getenv("_LIBCONTAINER_INITPIPE")
	if _, err := fmt.Sscanf(setting, "%d,%d,%d,%d", &first, &count, &joined, &created); err != nil {
		return nil
	}
	// Without a launch the two do not agree: the variable is one that somebody has left behind.
	if _, err := fmt.Sscan(pipe, &initpipe); err != nil || initpipe != first+count || count == 0 {
		os.Unsetenv(envInternal)
		return nil
	}
	for _, setting := range os.Environ() {
		if name, _, _ := strings.Cut(setting, "="); isInternal(name) {
			os.Unsetenv(name)
		}
	}
	dropExitSleep()
	if joined.Has(User) || created.Has(User) {
		// The groups of the caller are nobody in there, and would still open files. A user namespace in which
		// groups cannot be set is one of somebody who has no right to drop them: then they stay. (The core drops those
		// of root.)
		syscall.Setgroups(nil)
	}
	for fd := first; fd < initpipe; fd++ {
		syscall.CloseOnExec(fd) // see envInternal
	}
	syscall.Close(initpipe + 1) // LOGPIPE: nothing more is to be said
	syscall.CloseOnExec(initpipe)
	// What another thread of the caller's opened without close-on-exec while this process was forked may be here too
	// (CVE-2024-21626). It cannot be told from what the Go runtime has opened by now, but what is executed shall not have
	// it.
	syscall.Syscall(sysCloseRange, uintptr(initpipe)+2, uintptr(^uint32(0)), closeRangeCloexec)
	// The main goroutine stays on the main thread, see reapOrphans.
	runtime.LockOSThread()
	// While this process is stopped it does not read that the caller has ended. That one of the caller's threads has ended
	// is no harm.
	signalAtParentsDeath(syscall.SIGCONT)
	// Both are in blocking mode, and stay so: serve says why.
	requests := os.NewFile(uintptr(initpipe)-1, "requests")
	return &childProcess{
		conn: os.NewFile(uintptr(initpipe), "INITPIPE"),
		frames: newFrameReader(func(take func(files []int)) io.Reader {
			control := make([]byte, controlSize)
			return readerFunc(func(b []byte) (int, error) {
				n, err := receive(int(requests.Fd()), b, control, take)
				if n == 0 && err == nil && len(b) > 0 {
					err = io.EOF
				}
				return n, err
			})
		}),
		joined: joined,
		calls:  make(map[uint64]context.CancelFunc),
	}
}

// Init is to be called first in main, or TestMain. In a process that this package has started it runs
// functions and does not return. In any other it returns at once, and from then on functions can be
// called, and no longer be registered.
func Init() {
	functions.freeze(callSite(2))
	if child == nil {
		return
	}
	if child.joined.Has(Mount) {
		keepToFiles()
	}
	child.limit = 4096 // of what comes before the limit is known
	child.reaps = os.Getpid() == 1
	go child.serve()
	if child.reaps {
		reapOrphans()
	}
	select {}
}

// serve takes the next call and runs it, while another thread waits for the one after it. So a call runs on the
// thread that has read it: nobody has to be woken up in between, which would take longer than everything else.
func (c *childProcess) serve() {
	// Not unlocked, so the thread ends with the goroutine, and with it whatever the function has done to
	// it.
	runtime.LockOSThread()
	for {
		f, err := readFrame(c.frames, c.limit)
		if err != nil {
			c.parentEnded(err)
		}
		switch f.kind {
		case frameSetup:
			c.setUp(f)
		case frameCall, frameLast:
			ctx, inTime := c.enter(f) // before anybody can read that it is cancelled
			if !inTime {
				closeDescriptors(f.files)
				c.failCall(f.id, context.DeadlineExceeded)
				continue
			}
			go c.serve()
			if c.reuse {
				defer runtime.UnlockOSThread() // does nothing for a thread that the function has locked too
			}
			if c.reaps {
				defer outliveChildren()
			}
			c.answerCall(ctx, f)
			return
		case frameCancel:
			c.cancel(f.id)
		case frameEnv:
			c.takeEnvironment(f.body)
		case frameExec:
			c.becomeProgram(f)
		case frameBefore:
			runFunction(context.Background(), f.name, message{body: f.body}, func(result message, err error) {
				result.close()
				if err != nil {
					c.failProcess(err)
					os.Exit(1)
				}
			})
		case frameAttr:
			if c.attr, err = attrOf(f.body); err != nil {
				c.failProcess(err)
				os.Exit(1)
			}
		case frameBye:
			os.Exit(0)
		}
	}
}

// dieWithCaller has what this thread executes killed when the caller ends. The kernel promises that for the time to
// come. That the caller has not ended before is what his answer says.
func (c *childProcess) dieWithCaller() error {
	if err := signalAtParentsDeath(syscall.SIGKILL); err != nil {
		return err
	}
	c.send(frame{kind: frameReady})
	if _, err := readFrame(c.frames, c.limit); err != nil {
		c.parentEnded(err)
	}
	return nil
}

// signalAtParentsDeath is for the calling thread and what it executes. The parent is a thread, too: the one that has
// started this process, and then any other of the caller's (PR_SET_PDEATHSIG(2const)).
func signalAtParentsDeath(signal syscall.Signal) error {
	_, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_PDEATHSIG, uintptr(signal), 0)
	if errno != 0 {
		return os.NewSyscallError("prctl", errno)
	}
	return nil
}

// parentEnded ends this process and what it has started: all that has stayed in its process group.
func (c *childProcess) parentEnded(err error) {
	if errors.Is(err, ErrTooLarge) {
		c.failProcess(err)
	}
	syscall.Kill(0, syscall.SIGKILL)
	os.Exit(1)
}

func (c *childProcess) setUp(f frame) {
	c.limit = int(f.limit)
	c.reuse = f.reuseThreads
	c.clock.isShifted = f.isShifted
	c.clock.learn(f.sent, monotonic())
	if len(f.body) == 0 {
		return
	}
	if err := os.Chdir(string(f.body)); err != nil {
		c.failProcess(err)
		os.Exit(1)
	}
}

func (c *childProcess) send(f frame) error {
	c.write.Lock()
	defer c.write.Unlock()
	// An error that is not about files is the parent's end, which the reader sees.
	return sendAll(int(c.conn.Fd()), f.bytes(), f.files)
}

// failCall ends a call with an error, failProcess all of them.
func (c *childProcess) failCall(id uint64, err error) {
	c.send(frame{kind: frameError, id: id, body: encodeError(err, c.limit)})
}

func (c *childProcess) failProcess(err error) {
	c.send(frame{kind: frameFailure, body: encodeError(err, c.limit)})
}

// enter makes the context of a call, if its time is not over: its caller has been told then that it is, and
// may have done something else by now.
func (c *childProcess) enter(f frame) (ctx context.Context, inTime bool) {
	var cancel context.CancelFunc
	if f.deadline == 0 {
		ctx, cancel = context.WithCancel(context.Background())
	} else {
		now := monotonic()
		c.clock.learn(f.sent, now)
		left := c.clock.left(f.deadline, now)
		if left <= 0 {
			return nil, false
		}
		ctx, cancel = context.WithTimeout(context.Background(), left)
	}
	c.mutex.Lock()
	c.calls[f.id] = cancel
	c.mutex.Unlock()
	return ctx, true
}

// answerCall runs the function that is called and answers.
func (c *childProcess) answerCall(ctx context.Context, f frame) {
	runFunction(ctx, f.name, message{f.body, f.files}, func(result message, err error) {
		result, err = sendableResult(f.name, result, err, c.limit)
		if err == nil || len(result.body) > 0 {
			answer := frame{kind: frameResult, id: f.id, withError: err != nil, body: result.body, files: result.files}
			sendErr := c.send(answer)
			if len(result.files) > 0 && isAboutFiles(sendErr) && err == nil {
				err = sendErr
			}
		}
		result.close()
		if err != nil {
			c.failCall(f.id, err)
		}
		c.cancel(f.id)
		if f.kind == frameLast {
			os.Exit(0)
		}
	})
}

func (c *childProcess) cancel(id uint64) {
	c.mutex.Lock()
	cancel := c.calls[id]
	delete(c.calls, id)
	c.mutex.Unlock()
	if cancel != nil {
		cancel()
	}
}
