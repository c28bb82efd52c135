// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
)

// Equivalents are mutants that no test can notice, each with its reason, by file and key. A key may be
// there more than once, for as many mutants.
type equivalents map[string][]string

func readEquivalents() (equivalents, error) {
	list, err := os.ReadFile(equivalentList)
	if err != nil {
		return nil, err
	}
	return parseEquivalents(string(list))
}

// ParseEquivalents reads blocks of two lines: "FILE | KEY", and the reason, indented.
func parseEquivalents(list string) (equivalents, error) {
	found := equivalents{}
	key := ""
	for i, line := range strings.Split(list, "\n") {
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "    ") && key != "":
			found[key] = append(found[key], strings.TrimSpace(line))
			key = ""
		case key == "" && strings.Contains(line, " | "):
			key = line
		default:
			return nil, fmt.Errorf("%s:%d: neither FILE | MUTANT nor, below that, a reason", equivalentList, i+1)
		}
	}
	if key != "" {
		return nil, fmt.Errorf("%s: no reason for %s", equivalentList, key)
	}
	return found, nil
}

// A scope is what a run was asked to judge.
type scope struct {
	complete bool     // every mutant of the files, not some
	files    []string // none is all
}

func (s scope) has(file string) bool { return len(s.files) == 0 || contains(s.files, file) }

// Summarize prints the table and the survivors. Where all mutants of some files were judged it fails if one survived
// that is not listed, or if one that is listed has been noticed or is gone; of all files also if there were too few
// mutants, or too few were noticed.
func summarize(w io.Writer, mutants []mutant, results []result, known equivalents, asked scope) error {
	type count struct{ built, noticed, equivalent, survived int }
	files, all := map[string]*count{}, &count{}
	layers := map[layer]int{}
	invalid, identical, hung := 0, 0, 0
	var left []string
	for i, m := range mutants {
		r := results[i]
		c := files[m.file]
		if c == nil {
			c = &count{}
			files[m.file] = c
		}
		switch r.verdict {
		case noBuild:
			invalid++
			continue
		case same:
			identical++
			continue
		}
		c.built++
		all.built++
		if r.hung {
			hung++
		}
		if r.verdict == noticed {
			c.noticed++
			all.noticed++
			layers[r.layer]++
			continue
		}
		key := m.file + " | " + m.key
		if reasons := known[key]; len(reasons) > 0 {
			known[key] = reasons[1:]
			c.equivalent++
			all.equivalent++
			continue
		}
		c.survived++
		all.survived++
		left = append(left, fmt.Sprintf("%s:%d: %s", m.file, m.line, m.key))
	}

	var names []string
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	fmt.Fprintf(w, "\n%-24s %8s %8s %10s %8s\n", "", "mutants", "noticed", "equivalent", "survived")
	for _, name := range names {
		c := files[name]
		fmt.Fprintf(w, "%-24s %8d %8d %10d %8d\n", name, c.built, c.noticed, c.equivalent, c.survived)
	}
	fmt.Fprintf(w, "%-24s %8d %8d %10d %8d\n\n", "all", all.built, all.noticed, all.equivalent, all.survived)
	fmt.Fprintf(w, "not counted: %d that do not compile, %d of which the compiler (%s) makes the same machine code\n",
		invalid, identical, optimised)
	for _, l := range []layer{unitLayer, protocolLayer, sweepLayer} {
		fmt.Fprintf(w, "noticed first by %s: %d\n", l, layers[l])
	}
	fmt.Fprintf(w, "of these, because a deadline was not met: %d\n", hung)
	percent := 100 * float64(all.noticed) / float64(max(all.built, 1))
	fmt.Fprintf(w, "%.1f %% of all mutants were noticed, %.1f %% of those that are not equivalent\n", percent,
		100*float64(all.noticed)/float64(max(all.built-all.equivalent, 1)))
	if len(left) > 0 {
		fmt.Fprintf(w, "\nsurvived, and not in %s:\n%s\n", equivalentList, strings.Join(left, "\n"))
	}

	if !asked.complete {
		return nil
	}
	var wrong []string
	for key, reasons := range known {
		if file, _, _ := strings.Cut(key, " | "); !asked.has(file) {
			continue
		}
		for range reasons {
			wrong = append(wrong, "noticed or gone, but in "+equivalentList+": "+key)
		}
	}
	sort.Strings(wrong)
	least := 1
	if len(asked.files) == 0 {
		least = leastMutants
	}
	if all.built < least {
		wrong = append(wrong, fmt.Sprintf("only %d mutants compile, %d are wanted", all.built, least))
	}
	if len(asked.files) == 0 && percent < leastPercent {
		wrong = append(wrong, fmt.Sprintf("%.1f %% noticed, %.0f %% are wanted", percent, leastPercent))
	}
	if len(left) > 0 {
		wrong = append(wrong, fmt.Sprintf("%d survivors are not in %s", len(left), equivalentList))
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%s", strings.Join(wrong, "\n"))
	}
	return nil
}

func max(a, b int) int {
	if a > b {
		return a
	}
	return b
}
