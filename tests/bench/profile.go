// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Where the time of one scenario goes until the reply: what each system call takes, by the kernel's own
// trace events. These cost about half a microsecond each, so the times are for comparing, not for adding up.

const profiledLaunches = 100

var profiledEvents = []string{"raw_syscalls/sys_enter", "raw_syscalls/sys_exit",
	"exceptions/page_fault_user", "task/task_newtask"}

// The calls that are worth a name; others are shown by number. x86-64, as the events are.
var callNames = map[int]string{
	0: "read", 1: "write", 3: "close", 9: "mmap", 11: "munmap", 7: "poll", 13: "rt_sigaction", 14: "rt_sigprocmask",
	39: "getpid", 41: "socket", 45: "recvfrom", 53: "socketpair",
	56: "clone", 61: "wait4", 63: "uname", 72: "fcntl", 107: "geteuid", 110: "getppid", 112: "setsid", 116: "setgroups",
	117: "setresuid", 119: "setresgid", 128: "rt_sigtimedwait", 131: "sigaltstack", 138: "fstatfs",
	157: "prctl", 186: "gettid", 202: "futex", 218: "set_tid_address", 257: "openat", 267: "readlinkat", 272: "unshare",
	273: "set_robust_list", 274: "get_robust_list", 293: "pipe2", 308: "setns", 334: "rseq", 434: "pidfd_open",
}

// Profile prints the table for one scenario.
func (p *programs) profile(name string) error {
	trace, err := newTrace()
	if err != nil {
		return err
	}
	defer trace.remove()
	s := scenario{name: name}
	labels := []string{ours, copying, yardstick}
	if s.hasPeer() {
		labels = append([]string{peer}, labels...)
	}
	for _, label := range labels {
		program := p.small[label]
		text, err := trace.record(func() error {
			_, err := command(buildDir(), nil, p.stopwatch, s.asked(), strconv.Itoa(profiledLaunches), "3", "1",
				label+"="+program.String())
			return err
		})
		if err != nil {
			return err
		}
		launches := splitLaunches(text, filepath.Base(program.path(0)))
		if len(launches) < profiledLaunches/2 {
			return fmt.Errorf("only %d of %d launches of %s were found in the trace", len(launches), profiledLaunches, label)
		}
		fmt.Print(showProfile(label, launches))
	}
	return nil
}

// A trace is an instance of the kernel's tracer that nobody else uses.
type trace struct{ dir string }

func newTrace() (*trace, error) {
	const root = "/sys/kernel/tracing"
	if _, err := os.Stat(filepath.Join(root, "instances")); err != nil {
		if err := unix.Mount("tracefs", root, "tracefs", 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
			return nil, fmt.Errorf("failed to mount tracefs: %w", err)
		}
	}
	t := &trace{filepath.Join(root, "instances", "nsexec-bench-"+strconv.Itoa(os.Getpid()))}
	if err := os.Mkdir(t.dir, 0o700); err != nil {
		return nil, err
	}
	for _, event := range profiledEvents {
		if err := t.set("events/"+event+"/enable", "1"); err != nil {
			t.remove()
			return nil, err
		}
	}
	return t, t.set("buffer_size_kb", "65536")
}

func (t *trace) set(file, value string) error {
	return os.WriteFile(filepath.Join(t.dir, file), []byte(value), 0o600)
}

func (t *trace) remove() { _ = os.Remove(t.dir) }

func (t *trace) record(run func() error) (string, error) {
	if err := errors.Join(t.set("trace", ""), t.set("tracing_on", "1")); err != nil {
		return "", err
	}
	err := errors.Join(run(), t.set("tracing_on", "0"))
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(t.dir, "trace"))
	return string(text), err
}

// A launch, from when the loader is done to when the launched process has replied.
type profiled struct {
	took   float64            // microseconds
	calls  map[string]float64 // what each kind of call took in all
	faults int
}

var (
	traceEvent = regexp.MustCompile(`^\s*(.+)-(\d+)\s+\[\d+\]\s+\S+\s+([\d.]+): (.*)$`)
	callEvent  = regexp.MustCompile(`^sys_(enter|exit): NR (\d+) `)
	cloned     = regexp.MustCompile(`^task_newtask: pid=(\d+) `)
	reply      = regexp.MustCompile(`^sys_exit: NR 1 = ([2-5]\d)$`)
)

type traced struct {
	comm, pid string
	at        float64
	what      string
}

func splitLaunches(text, comm string) []profiled {
	var events []traced
	for _, line := range strings.Split(text, "\n") {
		m := traceEvent.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		seconds, err := strconv.ParseFloat(m[3], 64)
		if err == nil {
			events = append(events, traced{m[1], m[2], seconds * 1e6, m[4]})
		}
	}
	var launches []profiled
	for i, e := range events {
		// A process is shown with its last name, and runc's C code gives the launched one another.
		if (e.comm == comm || e.comm == "runc:[0:PARENT]") && e.what == "sys_exit: NR 59 = 0" {
			if l, ok := followLaunch(events[i+1:], e.pid); ok {
				launches = append(launches, l)
			}
		}
	}
	return launches
}

func followLaunch(events []traced, launched string) (profiled, bool) {
	type entered struct {
		call string
		at   float64
	}
	l := profiled{calls: map[string]float64{}}
	pids := map[string]bool{launched: true}
	inside := map[string]entered{}
	begun := 0.0
	for _, e := range events {
		if !pids[e.pid] {
			continue
		}
		if m := cloned.FindStringSubmatch(e.what); m != nil {
			pids[m[1]] = true
		}
		if strings.HasPrefix(e.what, "page_fault_user") && begun != 0 {
			l.faults++
		}
		m := callEvent.FindStringSubmatch(e.what)
		if m == nil {
			continue
		}
		number, _ := strconv.Atoi(m[2])
		if begun == 0 {
			// The last thing the loader does is to unmap its cache.
			if number == unix.SYS_MUNMAP && m[1] == "exit" {
				begun = e.at
			}
			continue
		}
		if m[1] == "enter" {
			inside[e.pid] = entered{m[2], e.at}
			continue
		}
		if in, ok := inside[e.pid]; ok && in.call == m[2] {
			name := callNames[number]
			if name == "" {
				name = "call " + m[2]
			}
			if e.pid != launched {
				name += ", others"
			}
			l.calls[name] += e.at - in.at
		}
		if e.pid == launched && reply.MatchString(e.what) {
			l.took = e.at - begun
			return l, true
		}
	}
	return l, false
}

func showProfile(label string, launches []profiled) string {
	over := func(of func(profiled) float64) float64 {
		var all []float64
		for _, l := range launches {
			all = append(all, of(l))
		}
		return median(all)
	}
	names := map[string]float64{}
	for _, l := range launches {
		for name := range l.calls {
			names[name] = over(func(l profiled) float64 { return l.calls[name] })
		}
	}
	var sorted []string
	for name, took := range names {
		if took >= 1 {
			sorted = append(sorted, name)
		}
	}
	sort.Slice(sorted, func(i, j int) bool { return names[sorted[i]] > names[sorted[j]] })
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %.0f us from the loader to the reply, %.0f page faults (medians of %d launches)\n", label,
		over(func(l profiled) float64 { return l.took }), over(func(l profiled) float64 { return float64(l.faults) }),
		len(launches))
	for _, name := range sorted {
		fmt.Fprintf(&b, "  %6.0f us  %s\n", names[name], name)
	}
	return b.String()
}
