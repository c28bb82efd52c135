// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"io"
	"sort"
	"strings"
)

// A share is how many of some things were reached.
type share struct{ reached, all int }

func (s *share) add(reached bool) {
	s.all++
	if reached {
		s.reached++
	}
}

func (s share) percent() float64 {
	if s.all == 0 {
		return 100
	}
	return 100 * float64(s.reached) / float64(s.all)
}

func (s share) String() string {
	if s.all == 0 {
		return fmt.Sprintf("%20s", "-")
	}
	return fmt.Sprintf("%5d of %5d %5.1f %%", s.reached, s.all, s.percent())
}

// An unreached line is known by its text and not by its number, so that edits elsewhere do not matter.
type unreached struct{ file, text string }

// Report prints the table, and the lines that nothing reaches with their reasons. It tells whether enough
// is reached, and the list is right.
func report(w io.Writer, lines reachedLines, branches reachedBranches,
	readFile func(string) ([]byte, error), list string) (bool, error) {
	reasons, err := parseList(list)
	if err != nil {
		return false, err
	}
	lineShares, branchShares := map[string]*share{}, map[string]*share{}
	var allLines, allBranches share
	of := func(shares map[string]*share, file string) *share {
		if shares[file] == nil {
			shares[file] = &share{}
		}
		return shares[file]
	}
	for at, reached := range lines {
		of(lineShares, at.file).add(reached)
		allLines.add(reached)
	}
	for b, reached := range branches {
		of(branchShares, b.file).add(reached)
		allBranches.add(reached)
		of(lineShares, b.file)
	}
	var files []string
	for file := range lineShares {
		files = append(files, file)
	}
	sort.Strings(files)
	fmt.Fprintf(w, "\n%-24s %22s  %22s\n", "", "lines (gcc)", "branches (clang)")
	for _, file := range files {
		fmt.Fprintf(w, "%-24s %s  %s\n", file, lineShares[file], of(branchShares, file))
	}
	fmt.Fprintf(w, "%-24s %s  %s\n", "all", allLines, allBranches)

	ok := true
	fmt.Fprintf(w, "\nlines that nothing reaches:\n")
	for _, file := range files {
		text, err := readFile(file)
		if err != nil {
			return false, err
		}
		for i, line := range strings.Split(string(text), "\n") {
			if reached, exists := lines[place{file, i + 1}]; reached || !exists {
				continue
			}
			key := unreached{file, strings.TrimSpace(line)}
			reason := "NOT IN " + unreachedList
			if left := reasons[key]; len(left) > 0 {
				reason, reasons[key] = left[0], left[1:]
			} else {
				ok = false
			}
			fmt.Fprintf(w, "%s:%d: %s\n    %s\n", file, i+1, key.text, reason)
		}
	}
	fmt.Fprintf(w, "\nbranches that nothing takes:\n")
	for _, file := range files {
		text, err := readFile(file)
		if err != nil {
			return false, err
		}
		for i, line := range strings.Split(string(text), "\n") {
			var ways []string
			for b, reached := range branches {
				if b.place == (place{file, i + 1}) && !reached {
					ways = append(ways, fmt.Sprint(b.taken))
				}
			}
			sort.Strings(ways)
			if len(ways) > 0 {
				fmt.Fprintf(w, "%s:%d: never %s: %s\n", file, i+1, strings.Join(ways, ", "), strings.TrimSpace(line))
			}
		}
	}
	for key, left := range reasons {
		for range left {
			ok = false
			fmt.Fprintf(w, "%s: stale: %s | %s\n", unreachedList, key.file, key.text)
		}
	}
	if allLines.percent() < leastPercent {
		ok = false
		fmt.Fprintf(w, "less than %.0f %% of the lines are reached\n", leastPercent)
	}
	return ok, nil
}

// ParseList reads "FILE | TEXT | REASON" lines. A text may be there more than once, for as many lines.
func parseList(list string) (map[unreached][]string, error) {
	reasons := map[unreached][]string{}
	for i, line := range strings.Split(list, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		first, last := strings.Index(line, " | "), strings.LastIndex(line, " | ")
		if first < 0 || first == last || last+3 == len(line) {
			return nil, fmt.Errorf("%s:%d: not FILE | TEXT | REASON", unreachedList, i+1)
		}
		key := unreached{line[:first], line[first+3 : last]}
		reasons[key] = append(reasons[key], line[last+3:])
	}
	return reasons, nil
}
