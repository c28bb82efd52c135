// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A scenario is something that programs are asked to do.
type scenario struct {
	name  string // as the stopwatch knows it, with one of the suffixes below for other programs
	title string
}

const (
	largeSuffix   = "-large"   // programs whose files are large
	touchedSuffix = "-touched" // programs that have written to much memory before
)

// Asked is the stopwatch's name of the scenario.
func (s scenario) asked() string {
	return strings.TrimSuffix(strings.TrimSuffix(s.name, largeSuffix), touchedSuffix)
}
func (s scenario) large() bool   { return strings.HasSuffix(s.name, largeSuffix) }
func (s scenario) touched() bool { return strings.HasSuffix(s.name, touchedSuffix) }

// Whether there is a reply to wait for.
func (s scenario) replies() bool { return s.asked() != "nothing" }

// Whether runc's C code can do it: it knows the classic protocol no more.
func (s scenario) hasPeer() bool { return s.asked() != "classic" }

var allScenarios = []scenario{
	{"nothing", "nothing asked"},
	{"empty", "nothing to create or join"},
	{"create", "create mnt uts ipc pid"},
	{"create-net", "create the same and net"},
	{"create-all", "create the same, net, cgroup and time"},
	{"user-1", "create with user, 1 map line"},
	{"user-5", "create with user, 5 map lines"},
	{"user-340", "create with user, 340 map lines"},
	{"join-1", "join 1 namespace"},
	{"join-5", "join 5 of one process"},
	{"join-7", "join 7 of one process (time too)"},
	{"join-two", "join 5 of two processes"},
	{"classic", "classic join of 5"},
	{"create-log", "create, with a debug log"},
	{"nothing-large", "nothing asked, 15 MB PIE"},
	{"create-large", "create, 15 MB PIE"},
	{"join-5-large", "join 5, 15 MB PIE"},
}

// ChooseScenarios takes those of a comma-separated list; all if it is empty.
func chooseScenarios(list string) ([]scenario, error) {
	if list == "" {
		return allScenarios, nil
	}
	var chosen []scenario
	for _, name := range strings.Split(list, ",") {
		i := slices.IndexFunc(allScenarios, func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no scenario is called %q", name)
		}
		chosen = append(chosen, allScenarios[i])
	}
	return chosen, nil
}

// Contestants are the labels and programs that the stopwatch is given.
func (p *programs) contestants(s scenario) []string {
	labels := []string{none, yardstick, ours, copying}
	if s.replies() {
		labels = append(labels, started)
	}
	if s.hasPeer() {
		labels = append(labels, peer, peerAgain)
	}
	programs := p.small
	if s.large() {
		programs = p.large
	} else if s.touched() {
		programs = p.touched
	} else if p.also != "" {
		labels = append(labels, p.also)
	}
	for i, label := range labels {
		labels[i] = label + "=" + programs[label].String()
	}
	return labels
}

// Samples are the launches of one contestant in one scenario, a value for each round.
type samples map[string][]float64

// Outcome is what was measured in one scenario.
type outcome struct {
	scenario scenario
	by       map[string]samples // contestant, quantity
	also     string
	seed     int
}

const warmUp = smallLayouts // so that each file has been executed

// Measure runs the stopwatch and reads what it has to say.
func (p *programs) measure(s scenario, rounds, seed int) (*outcome, error) {
	args := []string{s.asked(), strconv.Itoa(rounds), strconv.Itoa(warmUp), strconv.Itoa(seed)}
	// The stopwatch leads a process group of its own, so that nothing of it is left if it is killed.
	text, err := command(buildDir(), nil, p.stopwatch, append(args, p.contestants(s)...)...)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(buildDir(), s.name+".csv"), []byte(text), 0o644); err != nil {
		return nil, err
	}
	o, err := parseSamples(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	o.scenario, o.also, o.seed = s, p.also, seed
	return o, nil
}

func parseSamples(text string) (*outcome, error) {
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) < 2 {
		return nil, fmt.Errorf("no samples")
	}
	o := &outcome{by: map[string]samples{}}
	for _, row := range rows[1:] {
		label := row[2]
		if o.by[label] == nil {
			o.by[label] = samples{}
		}
		for i := 3; i < len(row); i++ {
			value, err := strconv.ParseFloat(row[i], 64)
			if err != nil {
				return nil, err
			}
			quantity := rows[0][i]
			o.by[label][quantity] = append(o.by[label][quantity], value)
		}
	}
	// The bootstrap draws layouts and whole rounds.
	rounds := 0
	for label, s := range o.by {
		n := len(s["total_ns"])
		if rounds == 0 {
			rounds = n
		}
		if n != rounds {
			return nil, fmt.Errorf("%s has %d samples, others have %d", label, n, rounds)
		}
	}
	return o, nil
}

// Layouts are the rounds of each layout. In one round all programs have the same.
func (o *outcome) layouts() [][]int {
	of := map[float64]int{}
	var layouts [][]int
	for round, layout := range o.by[none]["layout"] {
		i, known := of[layout]
		if !known {
			i = len(layouts)
			of[layout] = i
			layouts = append(layouts, nil)
		}
		layouts[i] = append(layouts[i], round)
	}
	return layouts
}

// Base is the contestant that a quantity's zero comes from.
func base(quantity string) string {
	if quantity == "reply_ns" {
		return started
	}
	return none
}

// Added is by how much the median of a contestant is above that of the base.
func (o *outcome) added(label, quantity string) estimate {
	x, a := o.by[label][quantity], o.by[base(quantity)][quantity]
	if x == nil || a == nil {
		return missing
	}
	return bootstrap(o.seed, confidence, o.layouts(), func(m medians) float64 { return m(x) - m(a) }, x, a)
}

// Ratio is what a contestant adds, divided by what another one adds.
func (o *outcome) ratio(label, to, quantity string, confidence float64) estimate {
	x, y, a := o.by[label][quantity], o.by[to][quantity], o.by[base(quantity)][quantity]
	if x == nil || y == nil || a == nil {
		return missing
	}
	return bootstrap(o.seed, confidence, o.layouts(), func(m medians) float64 {
		return (m(x) - m(a)) / (m(y) - m(a))
	}, x, y, a)
}

// Median of a contestant itself.
func (o *outcome) median(label, quantity string) float64 { return median(o.by[label][quantity]) }
