// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package within

import (
	"os"
	"os/signal"
	"syscall"
)

// reapOrphans is pid 1's duty: it waits for processes whose parents have ended. It must not wait for
// those that a function has started itself, since os/exec does, and cannot tell them by their parent,
// which is pid 1 for both. But the kernel keeps children by thread (__WNOTHREAD, wait(2)): one that was
// forked here is the forking thread's, an orphan is given to the main thread. That one forks nothing,
// since the goroutine that is locked to it does nothing but this.
//
// (What a thread has not waited for when it ends goes to the main thread too. So what a call starts it
// has to wait for before it returns.)
func reapOrphans() {
	const wNoThread = 0x20000000
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
