// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"math"
	"math/rand"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// The short form of the benchmark: what can be counted on a busy machine. Times are not looked at.

var build = sync.OnceValues(func() (*programs, error) { return buildSmall(1) })

func requirePrograms(t *testing.T) *programs {
	t.Helper()
	missing := ""
	if os.Geteuid() != 0 {
		missing = "root"
	} else if _, err := exec.LookPath("strace"); err != nil {
		missing = "strace"
	}
	if missing != "" {
		if os.Getenv("REQUIRE_ALL") == "1" {
			t.Fatalf("needs %s", missing)
		}
		t.Skipf("needs %s", missing)
	}
	p, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What a launch may cost more than that of a program without a constructor. A change that needs more has to
// say so here.
var bounds = []struct {
	scenario  string
	processes int
	syscalls  int
}{
	{"nothing", 1, 0},
	{"empty", 2, 32},
	{"create", 2, 33},
	{"create-net", 2, 33},
	{"create-all", 2, 30},
	{"user-1", 3, 66},
	{"user-5", 3, 66},
	{"user-340", 3, 68},
	{"join-1", 2, 37},
	{"join-5", 2, 39},
	{"join-7", 2, 39},
	{"join-two", 2, 49},
	{"classic", 2, 30},
}

func TestSystemCallsAndProcesses(t *testing.T) {
	p := requirePrograms(t)
	for _, bound := range bounds {
		t.Run(bound.scenario, func(t *testing.T) {
			s := scenario{name: bound.scenario}
			base, err := p.count(s, none)
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.count(s, ours)
			if err != nil {
				t.Fatal(err)
			}
			added := got.syscalls - base.syscalls
			t.Logf("%d processes, %d system calls more than %d", got.processes, added, base.syscalls)
			if got.processes != bound.processes {
				t.Errorf("%d processes, want %d", got.processes, bound.processes)
			}
			if added > bound.syscalls {
				t.Errorf("%d system calls added, the bound is %d", added, bound.syscalls)
			}
			if !s.hasPeer() || !s.replies() {
				return
			}
			theirs, err := p.count(s, peer)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d system calls, runc's C code makes %d", got.syscalls, theirs.syscalls)
			// Where there is a helper, the pipes between it and the launched process take more calls than they save in time.
			if got.syscalls >= theirs.syscalls && got.processes == 2 {
				t.Errorf("not fewer than runc's C code")
			}
		})
	}
}

// Page faults are counted by the kernel; where memory lies varies them a little.
func TestPageFaults(t *testing.T) {
	p := requirePrograms(t)
	for _, name := range []string{"empty", "create", "user-340", "join-5"} {
		t.Run(name, func(t *testing.T) {
			o, err := p.measure(scenario{name: name}, 15, 1)
			if err != nil {
				t.Fatal(err)
			}
			base := o.median(none, "faults")
			theirs, added := o.median(peer, "faults")-base, o.median(ours, "faults")-base
			t.Logf("added faults: %.0f, with runc's C code %.0f", added, theirs)
			if added > 0.70*theirs {
				t.Errorf("%.0f page faults added, runc's C code adds %.0f, and 0.70 of that is the bound", added, theirs)
			}
		})
	}
}

func TestBootstrapFindsTheRatioThatSamplesWereMadeWith(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	series := func(median float64) []float64 {
		values := make([]float64, 500)
		for i := range values {
			values[i] = median + 50*random.NormFloat64() + 100*math.Abs(random.NormFloat64())
		}
		return values
	}
	o := &outcome{by: map[string]samples{
		none: {"total_ns": series(1000), "layout": layoutsInTurn(500, 10)},
		peer: {"total_ns": series(1800)}, peerAgain: {"total_ns": series(1800)}, ours: {"total_ns": series(1200)},
	}}
	for _, c := range []struct {
		label, to string
		want      float64
	}{{ours, peer, 0.25}, {peerAgain, peer, 1}} {
		e := o.ratio(c.label, c.to, "total_ns", crossedConfidence)
		if !e.contains(c.want) || !e.contains(e.value) || e.high-e.low > 0.1 || e.high <= e.low {
			t.Errorf("%s to %s: %+v, want about %v", c.label, c.to, e, c.want)
		}
	}
	if e := o.ratio(yardstick, peer, "total_ns", confidence); e.known() {
		t.Errorf("%+v for a contestant that was not measured", e)
	}
}

func layoutsInTurn(rounds, layouts int) []float64 {
	turns := make([]float64, rounds)
	for i := range turns {
		turns[i] = float64(i % layouts)
	}
	return turns
}

// As many rounds as one likes do not tell what a program needs that was only seen in few layouts.
func TestBootstrapKnowsThatAFewLayoutsAreFew(t *testing.T) {
	const rounds, layouts = 600, 6
	random := rand.New(rand.NewSource(1))
	turns := layoutsInTurn(rounds, layouts)
	base, with := make([]float64, rounds), make([]float64, rounds)
	for i := range base {
		base[i] = 1000 + random.NormFloat64()
		with[i] = 1000 + 40*(turns[i]-2.5) + random.NormFloat64() // no more, but by layout 100 more or less
	}
	o := &outcome{by: map[string]samples{none: {"total_ns": base, "layout": turns}, ours: {"total_ns": with}}}
	if e := o.added(ours, "total_ns"); !e.contains(0) || e.high-e.low < 40 {
		t.Errorf("%+v, want an interval that contains 0 and knows of the layouts", e)
	}
}

func TestCrossedCheckVoidsARunThatFavoursOneOfTwoEqualPrograms(t *testing.T) {
	series := func(value float64) []float64 {
		values := make([]float64, 100)
		for i := range values {
			values[i] = value + float64(i%7)
		}
		return values
	}
	for _, c := range []struct {
		again float64
		void  bool
	}{{1800, false}, {1900, true}} {
		o := &outcome{scenario: scenario{name: "empty"}, by: map[string]samples{
			none: {"total_ns": series(1000), "layout": layoutsInTurn(100, 1)},
			peer: {"total_ns": series(1800)}, peerAgain: {"total_ns": series(c.again)},
		}}
		err := (&report{scenarios: []*outcome{o}}).void()
		if (err != nil) != c.void {
			t.Errorf("second measurement %v, first 1800: %v", c.again, err)
		}
	}
}

func TestCountTraceCountsUpToTheStartOfGo(t *testing.T) {
	const trace = `100 vfork( <unfinished ...>
101 execve("/x/ours", ["/x/ours"], 0x7ffd /* 1 var */ <unfinished ...>
100 <... vfork resumed>)              = 101
101 <... execve resumed>)             = 0
101 brk(NULL)                         = 0x1000
101 clone(child_stack=NULL, flags=CLONE_PARENT <unfinished ...>
102 set_robust_list(0x7f4e, 24 <unfinished ...>
101 <... clone resumed>, child_tidptr=0x7f) = 102
102 <... set_robust_list resumed>)    = 0
102 sched_getaffinity(0, 8192, [0, 1]) = 8
102 clone3({flags=CLONE_THREAD}, 88)  = 103
103 gettid()                          = 103
101 --- SIGCHLD {si_signo=SIGCHLD} ---
101 exit_group(0)                     = ?
101 +++ exited with 0 +++
100 wait4(-1, 0x7ffd, 0, NULL)        = 101
`
	got, err := countTrace(trace, "/x/ours")
	if err != nil {
		t.Fatal(err)
	}
	if want := (counts{syscalls: 4, processes: 2}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got, err := countTrace(trace, "/x/other"); err == nil {
		t.Errorf("%+v for a program that was not launched", got)
	}
}
