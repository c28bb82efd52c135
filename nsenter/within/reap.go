// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

const wNoThread = 0x20000000 // __WNOTHREAD

// reapOrphans is pid 1's duty: it waits for processes whose parents have ended. It must not wait for
// those that a function has started itself, since os/exec does, and cannot tell them by their parent,
// which is pid 1 for both. But the kernel keeps children by thread (__WNOTHREAD, wait(2)): one that was
// forked here is the forking thread's, an orphan is given to the main thread. That one forks nothing,
// since the goroutine that is locked to it does nothing but this.
func reapOrphans() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	for range ended {
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG|wNoThread, nil)
			if pid <= 0 && err != syscall.EINTR {
				break
			}
		}
	}
}

// outliveChildren is called before a call's thread ends, in pid 1, and returns when nobody is left to be waited for
// that was forked there: the main thread would inherit them, and their ends be lost to who waits. They need not be
// of this call. Go runs a goroutine on any thread that is free, and chooses one of those for the next call.
func outliveChildren() {
	const most = 100 * time.Millisecond
	for pause := time.Millisecond; hasChildren(); pause = min(2*pause, most) {
		time.Sleep(pause)
	}
}

// hasChildren tells whether the calling thread has children, ended or not.
func hasChildren() bool {
	const all, wNoWait = 0, 0x01000000
	const options = syscall.WNOHANG | syscall.WEXITED | wNoWait | wNoThread
	_, _, errno := syscall.RawSyscall6(syscall.SYS_WAITID, all, 0, 0, options, 0, 0)
	return errno == 0
}
