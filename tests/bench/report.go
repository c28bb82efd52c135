// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A report is what a run has found.
type report struct {
	machine   string
	command   string
	rounds    int
	took      time.Duration
	scenarios []*outcome
	costs     []buildCost
	memory    *memory
	whole     *whole
}

func thisMachine() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err.Error()
	}
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for _, line := range strings.Split(string(text), "\n") {
			if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	load := ""
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		load = strings.Fields(string(text))[0]
	}
	release, _, _ := strings.Cut(unix.ByteSliceToString(name.Release[:]), "-") // what follows is the builder's
	return fmt.Sprintf("%s, %d CPUs, Linux %s, %s, load average at the start %s",
		model, runtime.NumCPU(), release, runtime.Version(), load)
}

// Crossed is the same program against itself, which has to make no difference.
func (o *outcome) crossed(quantity string) estimate {
	return o.ratio(peerAgain, peer, quantity, crossedConfidence)
}

// Void tells why the run is worth nothing, if it is not.
func (r *report) void() error {
	outcomes := slices.Clone(r.scenarios)
	if r.memory != nil {
		outcomes = append(outcomes, r.memory.scenarios...)
	}
	for _, o := range outcomes {
		for _, quantity := range []string{"reply_ns", "total_ns"} {
			// Where next to nothing is added there is nothing to divide by.
			if !o.scenario.replies() {
				continue
			}
			if e := o.crossed(quantity); e.known() && !e.contains(1) {
				return fmt.Errorf("the run is void: in %q, %s, runc's C code against itself gives %s",
					o.scenario.name, quantity, showRatio(e))
			}
		}
	}
	return nil
}

func showRatio(e estimate) string {
	if !e.known() {
		return "-"
	}
	return fmt.Sprintf("%.2f (%.2f-%.2f)", e.value, e.low, e.high)
}

// ShowMicroseconds shows nanoseconds.
func showMicroseconds(e estimate) string {
	if !e.known() {
		return "-"
	}
	return fmt.Sprintf("%.0f (%.0f to %.0f)", e.value/1000, e.low/1000, e.high/1000)
}

func showMilliseconds(e estimate) string {
	if !e.known() {
		return "-"
	}
	return fmt.Sprintf("%.1f (%.1f to %.1f)", e.value, e.low, e.high)
}

type table struct{ text strings.Builder }

func (t *table) head(cells ...string) {
	t.row(cells...)
	t.row(append([]string{"---"}, strings.Split(strings.Repeat("---: ", len(cells)-1), " ")[:len(cells)-1]...)...)
}

func (t *table) row(cells ...string) {
	t.text.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// The contestants that a table shows.
func (o *outcome) shown() []string {
	labels := []string{peer, ours, copying, yardstick}
	if o.also != "" {
		labels = append(labels, o.also)
	}
	return labels
}

// Headings above the tables that plots are drawn from.
const (
	totalHeading    = "Total: added microseconds"
	replyHeading    = "Time to the reply: added microseconds"
	commandsHeading = "Whole commands"
)

func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# What nsexec adds to the start of a Go program\n\n")
	fmt.Fprintf(&b, "Written by `%s` in %v on: %s.\n\n", r.command, r.took.Round(time.Second), r.machine)
	fmt.Fprintf(&b, "%d rounds, in each of which every program was started once in random order; medians, "+
		"with 95%% intervals in "+
		"parentheses. Each program was linked %d times (the large ones %d times), with Go's functions in another order and "+
		"part of its data elsewhere each time, and the "+
		"layouts take turns: where code and data happen to lie makes more difference than some of what is measured. *runc* "+
		"is the C code of runc 1.5.2's nsenter, *yardstick* does the same kernel work in as few system calls "+
		"as we know how to and checks nothing (tests/bench/yardstick), *copying* is ours built with NSEXEC_COPY_MEMORY, "+
		"where processes have copies of the launched process's memory (docs/decisions/0010). Added is what a program "+
		"takes more than the same program "+
		"without a constructor, or, up to the reply, than one whose constructor replies at once. *Total* "+
		"is until all processes "+
		"have been reaped. *Itself* is runc's C code measured a second time: 1 within its 99.9%% "+
		"interval, or the run is void.\n",
		r.rounds, smallLayouts, largeLayouts)
	b.WriteString("\n## In short\n\nThere is no ratio where an interval contains zero.\n\n" + r.summary())

	for _, quantity := range []struct{ name, title, plot string }{
		{"total_ns", totalHeading, "total.svg"}, {"reply_ns", replyHeading, "reply.svg"},
	} {
		short, _, _ := strings.Cut(quantity.title, ":")
		fmt.Fprintf(&b, "\n## %s\n\n![%s](%s)\n\n", quantity.title, short, quantity.plot)
		b.WriteString(r.times(quantity.name))
	}
	b.WriteString("\n## Other costs of a launch\n\n")
	b.WriteString("Added by all processes together: page faults, context switches (of which Go's start has some " +
		"too), processor time, " +
		"sum of the peaks of resident memory (what processes share counts for each of them).\n\n")
	b.WriteString(r.counts())
	if r.memory != nil {
		b.WriteString("\nWhat sharing memory saves a program that has much of it: [memory.md](memory.md).\n")
	}
	if len(r.costs) != 0 {
		b.WriteString("\n## The program\n\n")
		b.WriteString(r.builds())
	}
	if r.whole != nil {
		fmt.Fprintf(&b, "\n## %s\n\n![%s](commands.svg)\n\n", commandsHeading, commandsHeading)
		b.WriteString(r.commands())
	}
	return b.String()
}

func (r *report) times(quantity string) string {
	var t table
	t.head("scenario", "runc", "ours", "copying", "yardstick", "ours/runc", "copying/runc", "yardstick/runc",
		"ours/yardstick", "itself")
	for _, o := range r.scenarios {
		if quantity == "reply_ns" && !o.scenario.replies() {
			continue
		}
		ratio := func(label, to string) string {
			if !o.scenario.replies() || o.added(to, quantity).contains(0) {
				return "-"
			}
			return showRatio(o.ratio(label, to, quantity, confidence))
		}
		crossed := "-"
		if o.scenario.replies() {
			crossed = showRatio(o.crossed(quantity))
		}
		t.row(o.scenario.title, showMicroseconds(o.added(peer, quantity)), showMicroseconds(o.added(ours, quantity)),
			showMicroseconds(o.added(copying, quantity)), showMicroseconds(o.added(yardstick, quantity)), ratio(ours, peer),
			ratio(copying, peer), ratio(yardstick, peer), ratio(ours, yardstick), crossed)
		if o.also != "" {
			t.row("with "+o.also, "", showMicroseconds(o.added(o.also, quantity)), "", "", ratio(o.also, peer), "", "",
				ratio(o.also, yardstick), "")
		}
	}
	return t.text.String()
}

func (r *report) counts() string {
	var t table
	t.head("scenario", "program", "processes", "faults", "voluntary switches", "involuntary switches", "CPU us",
		"peak KiB")
	for _, o := range r.scenarios {
		for _, label := range o.shown() {
			if o.by[label] == nil {
				continue
			}
			more := func(quantity string) string {
				return fmt.Sprintf("%+.0f", o.median(label, quantity)-o.median(none, quantity))
			}
			t.row(o.scenario.title, label, fmt.Sprintf("%.0f", o.median(label, "processes")), more("faults"),
				more("voluntary_switches"), more("involuntary_switches"), more("cpu_us"), more("peak_kb"))
		}
	}
	return t.text.String()
}

func (r *report) builds() string {
	var t table
	t.head("program", "bytes added, stripped", "build time added")
	for _, cost := range r.costs[1:] {
		t.row(cost.name, fmt.Sprint(cost.size-r.costs[0].size),
			(cost.compile - r.costs[0].compile).Round(10*time.Millisecond).String())
	}
	return t.text.String()
}

func (r *report) commands() string {
	var b strings.Builder
	var t table
	w := r.whole
	t.head("milliseconds", "run /bin/true", "to stock runc", "exec /bin/true", "to stock runc")
	for _, label := range []string{stockRunc, ourRunc, crun, utilLinux} {
		t.row(label, showMilliseconds(w.median(w.run, label)), showRatio(w.ratio(w.run, label, stockRunc)),
			showMilliseconds(w.median(w.exec, label)), showRatio(w.ratio(w.exec, label, stockRunc)))
	}
	b.WriteString(t.text.String())
	if w.withoutCrun != "" {
		fmt.Fprintf(&b, "\nCrun takes no part: %s.\n", w.withoutCrun)
	}
	fmt.Fprintf(&b, "\nThroughput of exec, commands a second, medians of %d blocks of %d:\n\n", blocks, blockSize)
	t = table{}
	t.head("at once", stockRunc, ourRunc, "ratio")
	for _, n := range concurrencies {
		stock, mine := median(w.throughput[stockRunc][n]), median(w.throughput[ourRunc][n])
		t.row(fmt.Sprint(n), fmt.Sprintf("%.1f", stock), fmt.Sprintf("%.1f", mine), fmt.Sprintf("%.2f", mine/stock))
	}
	b.WriteString(t.text.String())
	return b.String()
}

// Write puts the report and its plots into a folder.
func (r *report) write(dir, text string) error {
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(repoRoot(), dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, results), []byte(text), 0o644); err != nil {
		return err
	}
	if err := redraw(dir); err != nil {
		return err
	}
	if r.memory != nil {
		if err := os.WriteFile(filepath.Join(dir, "memory.md"), []byte(r.memoryMarkdown()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Summary is the short form of the report.
func (r *report) summary() string {
	var t table
	t.head("added to a Go program's start, us", "runc: reply", "ours", "ratio", "copying: ratio", "runc: total", "ours",
		"ratio", "copying: ratio")
	for _, o := range r.scenarios {
		if !o.scenario.replies() || o.by[peer] == nil {
			continue
		}
		cells := []string{o.scenario.title}
		for _, quantity := range []string{"reply_ns", "total_ns"} {
			theirs, mine := o.added(peer, quantity), o.added(ours, quantity)
			if theirs.contains(0) || mine.contains(0) { // the complete table says how little is known
				cells = append(cells, showMicroseconds(theirs), showMicroseconds(mine), "-", "-")
				continue
			}
			ratio := func(label string) string {
				return fmt.Sprintf("%.2f", o.ratio(label, peer, quantity, confidence).value)
			}
			cells = append(cells, fmt.Sprintf("%.0f", theirs.value/1000), fmt.Sprintf("%.0f", mine.value/1000),
				ratio(ours), ratio(copying))
		}
		t.row(cells...)
	}
	if w := r.whole; w != nil {
		t.text.WriteString("\n")
		t.head("whole commands", stockRunc, ourRunc, "ratio")
		for _, c := range []struct {
			name  string
			times map[string][]float64
		}{{"run /bin/true, ms", w.run}, {"exec /bin/true, ms", w.exec}} {
			t.row(c.name, fmt.Sprintf("%.1f", w.median(c.times, stockRunc).value),
				fmt.Sprintf("%.1f", w.median(c.times, ourRunc).value),
				showRatio(w.ratio(c.times, ourRunc, stockRunc)))
		}
		for _, n := range concurrencies {
			stock, mine := median(w.throughput[stockRunc][n]), median(w.throughput[ourRunc][n])
			t.row(fmt.Sprintf("exec, %d at once, a second", n), fmt.Sprintf("%.1f", stock), fmt.Sprintf("%.1f", mine),
				fmt.Sprintf("%.2f", mine/stock))
		}
	}
	return t.text.String()
}
