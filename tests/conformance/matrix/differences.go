// SPDX-License-Identifier: Apache-2.0

//go:build linux

package matrix

import (
	"fmt"
	"os"
	"sort"
	"strings"

	"nsenter-cpp.example/tests/internal/vectors"
)

const (
	differencesFile = "differences.txt"

	// missingReason is what -update writes for somebody to replace.
	missingReason = "TODO"
)

// entry is a section of the list: one difference, and the combinations that have it.
type entry struct {
	name, where, reason string
	difference          string
	combinations        map[string]bool
}

// show renders a difference as the list has it.
func show(list []vectors.Difference) string {
	var lines []string
	for _, d := range list {
		lines = append(lines, fmt.Sprintf("field: %s\nours: %s\nrunc: %s", d.Field, d.Want, d.Got))
	}
	return strings.Join(lines, "\n")
}

func readDifferences(update bool) ([]entry, error) {
	sections, err := vectors.ReadSections(differencesFile)
	if err != nil {
		return nil, err
	}
	var entries []entry
	where := make(map[string]string)
	for i := range sections {
		s := &sections[i]
		e := entry{name: s.Name, where: s.Where, reason: s.Get("reason", missingReason), combinations: make(map[string]bool)}
		if e.reason == missingReason && !update {
			return nil, fmt.Errorf("%s: [%s] gives no reason", s.Where, s.Name)
		}
		fields, ours, theirs := s.All("field"), s.All("ours"), s.All("runc")
		if len(fields) == 0 || len(ours) != len(fields) || len(theirs) != len(fields) {
			return nil, fmt.Errorf("%s: [%s] wants field, ours and runc, one after the other", s.Where, s.Name)
		}
		var list []vectors.Difference
		for i, field := range fields {
			list = append(list, vectors.Difference{Field: field, Want: ours[i], Got: theirs[i]})
		}
		e.difference = show(list)
		for _, name := range s.All("combination") {
			if where[name] != "" {
				return nil, fmt.Errorf("%s: %s stands at %s already", s.Where, name, where[name])
			}
			where[name] = s.Where
			e.combinations[name] = true
		}
		if len(e.combinations) == 0 {
			return nil, fmt.Errorf("%s: [%s] names no combination", s.Where, s.Name)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// writeDifferences writes the list anew. Names and reasons of differences that stand in it already are
// kept.
func writeDifferences(seen map[string]string, order []string, old []entry) error {
	text, err := os.ReadFile(differencesFile)
	if err != nil {
		return err
	}
	known := make(map[string]*entry)
	for i := range old {
		known[old[i].difference] = &old[i]
	}
	combinations := make(map[string][]string)
	var differences []string
	for _, name := range order {
		difference, there := seen[name]
		if !there {
			continue
		}
		if combinations[difference] == nil {
			differences = append(differences, difference)
		}
		combinations[difference] = append(combinations[difference], name)
	}
	var out strings.Builder
	for _, line := range strings.SplitAfter(string(text), "\n") {
		if !strings.HasPrefix(line, "#") {
			break
		}
		out.WriteString(line)
	}
	for i, difference := range differences {
		name, reason := fmt.Sprintf("difference-%d", i+1), missingReason
		if e := known[difference]; e != nil {
			name, reason = e.name, e.reason
		}
		fmt.Fprintf(&out, "\n[%s]\nreason: %s\n%s\n", name, reason, difference)
		for _, name := range combinations[difference] {
			fmt.Fprintf(&out, "combination: %s\n", name)
		}
	}
	return os.WriteFile(differencesFile, []byte(out.String()), 0o644)
}

// check holds what was seen to the list, and returns what is wrong.
func check(seen map[string]string, entries []entry) []string {
	var wrong []string
	listed := make(map[string]*entry)
	for i := range entries {
		for name := range entries[i].combinations {
			listed[name] = &entries[i]
		}
	}
	for name, difference := range seen {
		e := listed[name]
		if e == nil {
			wrong = append(wrong, fmt.Sprintf("%s: a difference that %s does not list:\n%s", name, differencesFile, difference))
		} else if e.difference != difference {
			wrong = append(wrong, fmt.Sprintf("%s: [%s] %s: the difference is another one now:\n%s", e.where,
				e.name, name, difference))
		}
	}
	for name, e := range listed {
		if _, there := seen[name]; !there {
			wrong = append(wrong, fmt.Sprintf("%s: [%s] %s: no longer differs", e.where, e.name, name))
		}
	}
	sort.Strings(wrong)
	return wrong
}
