// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Counts are what does not depend on how busy the machine is.
type counts struct {
	syscalls  int // of all processes, until the Go runtime starts or they end
	processes int
}

// GoStarts is the first thing that the Go runtime asks the kernel for.
const goStarts = "sched_getaffinity(0, 8192"

// Count traces one launch, which is also checked.
func (p *programs) count(s scenario, label string) (counts, error) {
	program := p.small[label]
	program.layouts = 1
	trace := filepath.Join(buildDir(), fmt.Sprintf("%s-%s.strace", s.name, label))
	_, err := command(buildDir(), nil, "strace", "-f", "-qq", "-o", trace,
		p.stopwatch, s.asked(), "1", "0", "1", label+"="+program.String())
	if err != nil {
		return counts{}, err
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		return counts{}, err
	}
	return countTrace(string(text), program.path(0))
}

var (
	traceLine = regexp.MustCompile(`^(\d+) +(.*)$`)
	created   = regexp.MustCompile(`^(?:(?:clone3?|v?fork)\(|<\.\.\. (?:clone3?|v?fork) resumed>).* = (\d+)(?: .*)?$`)
)

// CountTrace counts in what strace has written: the calls of the process that has executed path, from then
// on, and of those that it and its like have made, up to where Go starts.
func countTrace(text, path string) (counts, error) {
	calls := map[string][]string{} // pid to lines
	for _, line := range strings.Split(text, "\n") {
		match := traceLine.FindStringSubmatch(line)
		if match == nil || strings.HasPrefix(match[2], "---") || strings.HasPrefix(match[2], "+++") {
			continue
		}
		calls[match[1]] = append(calls[match[1]], match[2])
	}
	launched := ""
	for pid, lines := range calls {
		for i, line := range lines {
			if strings.HasPrefix(line, `execve("`+path+`"`) {
				launched = pid
				calls[pid] = lines[i+1:]
				break
			}
		}
	}
	if launched == "" {
		return counts{}, fmt.Errorf("the trace has no execve of %s", path)
	}
	c := counts{}
	for followed := []string{launched}; len(followed) > 0; {
		pid := followed[0]
		followed = followed[1:]
		c.processes++
		for _, line := range calls[pid] {
			if strings.HasPrefix(line, goStarts) {
				break
			}
			if !strings.HasPrefix(line, "<... ") {
				c.syscalls++
			}
			if match := created.FindStringSubmatch(line); match != nil {
				followed = append(followed, match[1])
			}
		}
	}
	return c, nil
}
