// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"sync"
	"time"
)

// ending is the end of a process, for which nobody waits much longer than until the process has been killed.
type ending struct {
	ended chan struct{} // closed when the process has ended, before it is reaped
	left  chan struct{} // closed when it has been killed, and does not end

	killing sync.Once
}

// isKilled gives the process patienceForKernel from now on. If it does not end in that time, it is left, and then calls
// whenLeft.
func (e *ending) isKilled(whenLeft func()) {
	e.killing.Do(func() {
		timer := time.AfterFunc(patienceForKernel, func() {
			close(e.left)
			whenLeft()
		})
		go func() {
			<-e.ended
			timer.Stop()
		}()
	})
}

// await returns when the process has ended, or is left. Nobody waits for its number then that may be another's.
func (e *ending) await() {
	select {
	case <-e.ended:
	case <-e.left:
	}
}

// isLeft tells whether the process has been killed and does not end.
func (e *ending) isLeft() bool {
	select {
	case <-e.ended:
		return false
	default:
	}
	select {
	case <-e.left:
		return true
	default:
		return false
	}
}
