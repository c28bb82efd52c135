// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"math"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// monotonic is CLOCK_MONOTONIC in nanoseconds. All processes have the same, but for those in other time namespaces.
func monotonic() int64 {
	const clockMonotonic = 1
	var now syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&now)), 0)
	return now.Nano()
}

// pointAfter is a point on CLOCK_MONOTONIC, and never 0.
func pointAfter(now int64, left time.Duration) int64 {
	return max(1, now+min(int64(left), math.MaxInt64-now))
}

// isClockShifted tells whether a child of the calling thread that joins or creates these namespaces can have another
// CLOCK_MONOTONIC.
func isClockShifted(kinds Namespaces) bool {
	own, _ := os.Readlink("/proc/thread-self/ns/time") // none before Linux 5.6
	childrens, _ := os.Readlink("/proc/thread-self/ns/time_for_children")
	return kinds.Has(Time) || own != childrens
}

// callerClock is the caller's CLOCK_MONOTONIC, as the child knows it.
type callerClock struct {
	isShifted bool // ours is another one
	isKnown   bool // by how much, about
	ahead     int64
}

// learn is told when a frame was sent and when it was read. Our clock is ahead by the difference, less the time that
// was in between. So the smallest that was ever seen is the best, and deadlines come too late by that time, never too
// early. Before our first frame was sent nothing can be known, so a process that is stopped before it has read any
// allows later calls the time that it stood still.
func (c *callerClock) learn(sent, read int64) {
	if ahead := read - sent; c.isShifted && (!c.isKnown || ahead < c.ahead) {
		c.isKnown, c.ahead = true, ahead
	}
}

// left is the time from now, by our clock, until a deadline by the caller's.
func (c *callerClock) left(deadline, now int64) time.Duration {
	return time.Duration(deadline - (now - c.ahead))
}
