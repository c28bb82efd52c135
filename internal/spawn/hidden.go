// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package spawn

import (
	"sync"
	"syscall"
)

// hidden is this program while others share its memory: not dumpable. To look at it, or at them, a process needs
// CAP_SYS_PTRACE in the user namespace that this program was executed in (PR_SET_DUMPABLE(2const)). The flag is a
// property of the memory, so of all who share it and of all threads.
var hidden struct {
	mutex  sync.Mutex
	calls  int // that need it
	before uintptr
	score  string // oom_score_adj, or empty
}

const (
	prGetDumpable = 3
	prSetDumpable = 4
	dumpable      = 1 // SUID_DUMP_USER
)

// hide hides this program until show. Root of a container that sees a process can write to one file of
// it that is not hidden: /proc/PID/oom_score_adj, which is one for all who share memory.
func hide(isSeen bool) {
	hidden.mutex.Lock()
	defer hidden.mutex.Unlock()
	if hidden.calls == 0 {
		hidden.before, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prGetDumpable, 0, 0)
	}
	if isSeen && hidden.score == "" {
		hidden.score = readScore()
	}
	hidden.calls++
	// Each time: somebody else may have shown it.
	if !leaveDumpable {
		syscall.RawSyscall(syscall.SYS_PRCTL, prSetDumpable, 0, 0)
	}
}

// show is for when nobody shares the memory any more on behalf of a call.
func show() {
	hidden.mutex.Lock()
	defer hidden.mutex.Unlock()
	hidden.calls--
	if hidden.score != "" && readScore() != hidden.score {
		writeScore(hidden.score)
	}
	if hidden.calls > 0 {
		return
	}
	hidden.score = ""
	// A program that was hidden before has its own reason for it, and the kernel's third value cannot be set.
	if hidden.before == dumpable {
		syscall.RawSyscall(syscall.SYS_PRCTL, prSetDumpable, dumpable, 0)
	}
}

const scorePath = "/proc/self/oom_score_adj"

func readScore() string {
	fd, err := syscall.Open(scorePath, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer syscall.Close(fd)
	var text [16]byte
	n, _ := syscall.Read(fd, text[:])
	return string(text[:max(n, 0)])
}

func writeScore(score string) {
	if fd, err := syscall.Open(scorePath, syscall.O_WRONLY|syscall.O_CLOEXEC, 0); err == nil {
		syscall.Write(fd, []byte(score))
		syscall.Close(fd)
	}
}

// leaveDumpable is set by the test that shows what would happen.
var leaveDumpable bool
