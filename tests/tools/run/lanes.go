// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// RunSuites runs two suites at a time, and prints what there is to say about each when it ends. One lane takes them
// from the beginning, where compilers and checkers keep processors busy, the other one from the end, where tests often
// wait for processes. Those that are run alone come last. The rows are in the order of the suites.
func runSuites(w io.Writer, suites []suite) []row {
	var beside, alone []int
	for i, s := range suites {
		if s.alone {
			alone = append(alone, i)
		} else {
			beside = append(beside, i)
		}
	}

	rows := make([][]row, len(suites))
	var mutex sync.Mutex // of w
	run := func(index int) {
		s, start := suites[index], time.Now()
		ran := requireTests(s.run(s.name), s.expected...)
		took := time.Since(start)
		if len(ran) == 1 {
			ran[0].duration = took
		}
		rows[index] = ran
		mutex.Lock()
		defer mutex.Unlock()
		var processor time.Duration
		for _, r := range ran {
			processor += r.processor
		}
		fmt.Fprintf(w, "== %s, %.1f s, %.1f s of a processor\n", s.name, took.Seconds(), processor.Seconds())
		for _, r := range ran {
			for _, remark := range r.result.remarks {
				fmt.Fprintln(w, strings.TrimRight(remark, "\n"))
			}
		}
	}

	twoAtATime(len(beside), func(i int) { run(beside[i]) })
	for _, index := range alone {
		run(index)
	}

	var all []row
	for _, r := range rows {
		all = append(all, r...)
	}
	return all
}

// TwoAtATime calls a function with each number below count: one lane from the first one up, another from the last one
// down.
func twoAtATime(count int, call func(i int)) {
	var mutex sync.Mutex
	first, last := 0, count-1
	next := func(up bool) (i int, found bool) {
		mutex.Lock()
		defer mutex.Unlock()
		if first > last {
			return 0, false
		}
		if up {
			first++
			return first - 1, true
		}
		last--
		return last + 1, true
	}
	var lanes sync.WaitGroup
	for _, up := range []bool{true, false} {
		up := up
		lanes.Add(1)
		go func() {
			defer lanes.Done()
			for {
				i, found := next(up)
				if !found {
					return
				}
				call(i)
			}
		}()
	}
	lanes.Wait()
}
