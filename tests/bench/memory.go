// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// What it brings that the init process has the launched process's memory, and not a copy.

// A launch of a program that writes to 64 MB takes ten times as long as others.
const memoryRoundsDivisor = 5

var memoryScenarios = []scenario{
	{"empty" + touchedSuffix, "nothing to create or join"},
	{"create" + touchedSuffix, "create mnt uts ipc pid"},
	{"user-1" + touchedSuffix, "create with user, 1 map line"},
	{"join-5" + touchedSuffix, "join 5 of one process"},
}

var memoryContestants = []string{peer, copying, ours}

// Memory is what was measured.
type memory struct {
	scenarios  []*outcome
	pageTables []map[string]int // KiB, for each of memoryPrograms
	limits     []map[string]limited
	controller string // which cgroups limited it
	unlimited  error  // why they did not
}

// Limited is how a program fares in a cgroup.
type limited struct {
	peak     int64 // bytes, where it has all it wants
	smallest int64 // bytes, of those tried, with which it starts; 0 if with none
}

var memoryPrograms = []struct {
	title string
	of    func(*programs) map[string]program
}{
	{"small", func(p *programs) map[string]program { return p.small }},
	{"64 MB written", func(p *programs) map[string]program { return p.touched }},
}

// The container of the question, and smaller ones.
const (
	askedLimit = 16 << 20
	leastLimit = 256 << 10
)

// MemorySteps is how often measureMemory tells its progress.
func memorySteps() int { return 2*len(memoryPrograms) + len(memoryScenarios) }

func (p *programs) measureMemory(rounds, seed int) (*memory, error) {
	m := &memory{}
	for _, kind := range memoryPrograms {
		progress("memory: page tables, " + kind.title)
		tables := map[string]int{}
		for _, label := range memoryContestants {
			kib, err := p.pageTables(label, kind.of(p)[label])
			if err != nil {
				return nil, err
			}
			tables[label] = kib
		}
		m.pageTables = append(m.pageTables, tables)
	}
	if group, err := newCgroup(); err != nil {
		m.unlimited = err
		steps.all -= len(memoryPrograms)
	} else {
		defer group.remove()
		m.controller = group.version
		for _, kind := range memoryPrograms {
			progress("memory: limits, " + kind.title)
			limits := map[string]limited{}
			for _, label := range memoryContestants {
				if limits[label], err = p.limits(group, label, kind.of(p)[label]); err != nil {
					return nil, err
				}
			}
			m.limits = append(m.limits, limits)
		}
	}
	for _, s := range memoryScenarios {
		progress(fmt.Sprintf("memory: scenario %q, %d rounds", s.title, rounds))
		result, err := p.measure(s, rounds, seed)
		if err != nil {
			return nil, err
		}
		m.scenarios = append(m.scenarios, result)
	}
	return m, nil
}

// Observe runs one of the stopwatch's commands that look at a single launch.
func (p *programs) observe(label string, program program, args ...string) (string, error) {
	program.layouts = 1
	text, err := command(buildDir(), nil, p.stopwatch, append(args, label+"="+program.String())...)
	return strings.TrimSpace(text), err
}

// PageTables are those of all processes at the moment at which the init process has been created.
func (p *programs) pageTables(label string, program program) (int, error) {
	text, err := p.observe(label, program, "--page-tables", "create")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

// Limits launches a program in ever smaller cgroups.
func (p *programs) limits(group *cgroup, label string, program program) (limited, error) {
	starts := func(limit int64) (bool, error) {
		if err := group.reset(limit); err != nil {
			return false, err
		}
		text, err := p.observe(label, program, "--start-in", group.dir, "create")
		return text == "starts", err
	}
	var l limited
	const unlimited = 1 << 30
	if ok, err := starts(unlimited); err != nil || !ok {
		return l, errors.Join(err, fmt.Errorf("%s does not start in a cgroup", label))
	}
	var err error
	if l.peak, err = group.peak(); err != nil {
		return l, err
	}
	for limit := int64(askedLimit); limit >= leastLimit; limit /= 2 {
		for range 3 {
			if ok, err := starts(limit); err != nil || !ok {
				return l, err
			}
		}
		l.smallest = limit
	}
	return l, nil
}

// A cgroup limits memory.
type cgroup struct {
	dir, version            string
	limit, swapLimit, usage string // names of files
}

var cgroups = []struct {
	parent string
	cgroup
}{
	{"/sys/fs/cgroup/memory", cgroup{"", "v1", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes",
		"memory.max_usage_in_bytes"}},
	{"/sys/fs/cgroup", cgroup{"", "v2", "memory.max", "memory.swap.max", "memory.peak"}},
}

// NewCgroup makes one, below whichever controller of memory lets us.
func newCgroup() (*cgroup, error) {
	var all error
	for _, candidate := range cgroups {
		group := candidate.cgroup
		group.dir = filepath.Join(candidate.parent, fmt.Sprintf("nsexec-bench-%d", os.Getpid()))
		if err := os.Mkdir(group.dir, 0o755); err != nil {
			all = errors.Join(all, err)
			continue
		}
		if err := group.reset(askedLimit); err != nil {
			all = errors.Join(all, err, os.Remove(group.dir))
			continue
		}
		return &group, nil
	}
	return nil, fmt.Errorf("no controller of memory is writable here: %w", all)
}

func (g *cgroup) remove() { _ = os.Remove(g.dir) }

// Reset makes it anew: what one program leaves must not count for the next.
func (g *cgroup) reset(limit int64) error {
	var err error
	for range 100 { // what has ended in it may not be gone yet
		if err = os.Remove(g.dir); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		return err
	}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(g.dir, g.limit), []byte(strconv.FormatInt(limit, 10)), 0); err != nil {
		return err
	}
	swap := strconv.FormatInt(limit, 10) // of both together
	if g.version == "v2" {
		swap = "0"
	}
	err = os.WriteFile(filepath.Join(g.dir, g.swapLimit), []byte(swap), 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return nil // a kernel that does not account for swap
	}
	return err
}

func (g *cgroup) peak() (int64, error) {
	text, err := os.ReadFile(filepath.Join(g.dir, g.usage))
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}

func (r *report) memoryMarkdown() string {
	var b strings.Builder
	m := r.memory
	fmt.Fprintf(&b, "# What sharing memory brings\n\n")
	fmt.Fprintf(&b, "Written by `%s` on: %s.\n\n", r.command, r.machine)
	fmt.Fprintf(&b, "*Ours* shares the launched process's memory with the init process, *copying* is the same built "+
		"with NSEXEC_COPY_MEMORY, "+
		"*runc* is the C code of runc 1.5.2's nsenter, which copies it twice.\n\n")
	fmt.Fprintf(&b, "## A program that has written to 64 MB before nsexec runs\n\n")
	fmt.Fprintf(&b, "Added to its start: medians of %d rounds with 95%% intervals; microseconds and page "+
		"faults of all processes. "+
		"(What that costs a small program: [results.md](results.md).)\n\n", r.rounds/memoryRoundsDivisor)
	b.WriteString(m.times())
	fmt.Fprintf(&b, "\n## Page tables\n\nOf all processes of a launch together, KiB, when the init process has just "+
		"been created (create mnt uts ipc pid).\n\n")
	b.WriteString(m.tables())
	fmt.Fprintf(&b, "\n## A container with little memory\n\n")
	if m.unlimited != nil {
		fmt.Fprintf(&b, "Not measured here: %s.\n", m.unlimited)
		return b.String()
	}
	fmt.Fprintf(&b, "A cgroup (%s) that the launched process is put into when it waits for its message, as runc does "+
		"it. *Peak* is what was charged to the "+
		"cgroup at most, until the Go program had ended, without a limit (the kernel charges in steps of up to 256 KiB for "+
		"each CPU). Limits of 16 MiB and each half of the one before, down to 256 KiB, were tried three times each.\n\n",
		m.controller)
	b.WriteString(m.limited())
	return b.String()
}

func (m *memory) times() string {
	var t table
	head := []string{"scenario", "program", "reply", "to runc", "total", "to runc", "page faults"}
	t.head(head...)
	for _, o := range m.scenarios {
		for _, label := range memoryContestants {
			cells := []string{o.scenario.title, label}
			for _, quantity := range []string{"reply_ns", "total_ns"} {
				cells = append(cells, showMicroseconds(o.added(label, quantity)))
				if o.added(peer, quantity).contains(0) {
					cells = append(cells, "-")
				} else {
					cells = append(cells, showRatio(o.ratio(label, peer, quantity, confidence)))
				}
			}
			t.row(append(cells, fmt.Sprintf("%+.0f", o.median(label, "faults")-o.median(none, "faults")))...)
		}
	}
	return t.text.String()
}

// ForEachProgram makes a table with a row for each kind of program and a column for each contestant.
func forEachProgram(cell func(program int, label string) string) string {
	var t table
	t.head(append([]string{"program"}, memoryContestants...)...)
	for i, kind := range memoryPrograms {
		cells := []string{kind.title}
		for _, label := range memoryContestants {
			cells = append(cells, cell(i, label))
		}
		t.row(cells...)
	}
	return t.text.String()
}

func (m *memory) tables() string {
	return forEachProgram(func(program int, label string) string { return fmt.Sprint(m.pageTables[program][label]) })
}

func (m *memory) limited() string {
	return forEachProgram(func(program int, label string) string {
		l := m.limits[program][label]
		if l.smallest == 0 {
			return fmt.Sprintf("peak %d KiB, does not start with 16 MiB", l.peak>>10)
		}
		return fmt.Sprintf("peak %d KiB, starts with 16 MiB, and with %d KiB", l.peak>>10, l.smallest>>10)
	})
}
