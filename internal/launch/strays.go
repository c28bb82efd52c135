// SPDX-License-Identifier: Apache-2.0

//go:build linux

package launch

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// known are the init processes that have been reported and that nobody has waited for.
var known = struct {
	sync.Mutex
	pids map[int]bool
}{pids: make(map[int]bool)}

func know(pid int) {
	known.Lock()
	defer known.Unlock()
	known.pids[pid] = true
}

// Forget is called when an init process has been waited for: its number may be another's.
func Forget(pid int) {
	known.Lock()
	defer known.Unlock()
	delete(known.pids, pid)
}

func isKnown(pid int) bool {
	known.Lock()
	defer known.Unlock()
	return known.pids[pid]
}

// stat is what /proc/PID/stat (proc(5)) says of a child, zombies included.
type stat struct {
	name           string
	state          byte
	group, session int
	flags, started uint64
}

func readStat(pid int) (s stat, ok bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	first, last := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if err != nil || first < 0 || last < first {
		return s, false
	}
	fields := strings.Fields(string(text[last+1:])) // from the third on
	if len(fields) < 20 {
		return s, false
	}
	s.name, s.state = string(text[first+1:last]), fields[0][0]
	s.group, _ = strconv.Atoi(fields[2])
	s.session, _ = strconv.Atoi(fields[3])
	s.flags, _ = strconv.ParseUint(fields[6], 10, 64)
	s.started, _ = strconv.ParseUint(fields[19], 10, 64)
	return s, true
}

// ends says whether it is dead or about to be. A process that is about to end has no descriptors any more, a moment
// before it is a zombie.
func (s stat) ends() bool {
	const exiting = 0x4 // PF_EXITING
	return s.state == 'Z' || s.state == 'X' || s.flags&exiting != 0
}

// childPids lists the children of this process, zombies included. Where the kernel has no such list
// (CONFIG_PROC_CHILDREN) it is empty.
func childPids() []int {
	paths, _ := filepath.Glob("/proc/self/task/*/children")
	var list []int
	for _, path := range paths {
		text, _ := os.ReadFile(path) // nothing of a thread that has ended
		for _, word := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(word); err == nil {
				list = append(list, pid)
			}
		}
	}
	return list
}

// reapStrays ends and reaps an init process that had left the launched process's group before it was reported: one that
// takes its console has a session of its own by then. The group has been reaped. launched is the state of the launched
// process before that.
func (l *Launch) reapStrays(launched stat) {
	for _, pid := range childPids() {
		if !l.isStray(pid, launched) {
			continue
		}
		const patience = time.Second
		syscall.Kill(pid, syscall.SIGKILL)
		for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			got, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
			if got != 0 && err != syscall.EINTR || !time.Now().Before(end) {
				break
			}
		}
	}
}

// isStray tells an init process of this launch from other children, which are not ours to wait for. It was cloned from
// the launched process and has its name; it has executed nothing; it is younger; it leads a session; and nobody has
// heard of it. If it lives, it has this launch's INITPIPE. (It may be a zombie of another launch that has failed in the
// same way, which does no harm.)
func (l *Launch) isStray(pid int, launched stat) bool {
	const forkNoExec = 0x40 // PF_FORKNOEXEC
	s, ok := readStat(pid)
	if !ok || s.name != launched.name || s.flags&forkNoExec == 0 || s.session != pid || s.group != pid ||
		s.started < launched.started || isKnown(pid) {
		return false
	}
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, l.Initpipe))
	if err == nil {
		return link == l.theirs
	}
	// It has none if it ends. Looked at now: it may have begun to since. (Or has executed something, and is another's.)
	s, ok = readStat(pid)
	return ok && s.ends() && s.flags&forkNoExec != 0
}
