// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command mutate changes the core in one place after the other, and looks whether a test notices. See
// README.md; needs root.
//
//	go run ./tests/tools/mutate                       all of it
//	go run ./tests/tools/mutate helper.cc text.h      mutants of these files
//	go run ./tests/tools/mutate -again                only those that were not noticed the last time, or not made
//	go run ./tests/tools/mutate -list                 prints the mutants and does nothing
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"
)

const (
	buildFolder    = "_build/mutate"
	resultsFile    = buildFolder + "/results"
	equivalentList = "tests/tools/mutate/equivalent.txt"
	leastMutants   = 300
	leastPercent   = 95.0
)

func main() {
	again := flag.Bool("again", false, "only what was not noticed the last time, or not made")
	list := flag.Bool("list", false, "print the mutants")
	jobs := flag.Int("jobs", 2, "how many at a time")
	every := flag.Int("every", 1, "one mutant in so many")
	flag.Parse()
	if err := run(flag.Args(), *again, *list, *jobs, *every); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run(files []string, again, list bool, jobs, every int) error {
	var asked scope
	if every == 1 {
		asked = scope{complete: true, files: append([]string(nil), files...)}
	}
	mutants, err := allMutants(files)
	if err != nil {
		return err
	}
	if list {
		for _, m := range mutants {
			fmt.Printf("%s:%d: %s\n", m.file, m.line, m.key)
		}
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("root is needed")
	}
	equivalents, err := readEquivalents()
	if err != nil {
		return err
	}
	known := readResults()
	var before, chosen []mutant
	var results []result
	for i, m := range mutants {
		if i%every != 0 {
			continue
		}
		if r, ok := known[m.file+" | "+m.key]; again && ok && r.verdict != survived {
			before = append(before, m)
			results = append(results, r)
			continue
		}
		chosen = append(chosen, m)
	}
	base, err := buildBase()
	if err != nil {
		return err
	}
	now, err := judgeAll(base, chosen, jobs)
	if err != nil {
		return err
	}
	return summarize(os.Stdout, append(before, chosen...), append(results, now...), equivalents, asked)
}

// AllMutants makes those of all sources of the core, or of some.
func allMutants(files []string) ([]mutant, error) {
	if len(files) == 0 {
		for _, pattern := range []string{"cpp/*.cc", "cpp/*.h"} {
			found, err := filepath.Glob(pattern)
			if err != nil {
				return nil, err
			}
			for _, file := range found {
				files = append(files, filepath.Base(file))
			}
		}
		sort.Strings(files)
	}
	var mutants []mutant
	for _, file := range files {
		source, err := os.ReadFile(filepath.Join("cpp", file))
		if err != nil {
			return nil, err
		}
		mutants = append(mutants, mutate(file, string(source))...)
	}
	return mutants, nil
}

// JudgeAll shares the mutants out. Mutants that take long begin at once in both halves: neighbours are alike.
func judgeAll(base *base, mutants []mutant, jobs int) ([]result, error) {
	results := make([]result, len(mutants))
	errs := make([]error, jobs)
	next := make(chan int)
	var wait sync.WaitGroup
	var mutex sync.Mutex
	done, start := 0, time.Now()
	var workers []*worker
	for j := 0; j < jobs; j++ {
		w, err := newWorker(base, j)
		if err != nil {
			return nil, err
		}
		workers = append(workers, w)
	}
	files := map[string]bool{}
	for _, m := range mutants {
		files[m.file] = true
	}
	programs, err := workers[0].checkPrograms(files)
	if err != nil {
		return nil, err
	}
	fmt.Printf("%d programs of tests pass on the core as it is: %.0f s\n", programs, time.Since(start).Seconds())
	for j, w := range workers {
		wait.Add(1)
		go func(j int, w *worker) {
			defer wait.Done()
			for i := range next {
				if errs[j] != nil {
					continue
				}
				r, err := w.judge(&mutants[i])
				results[i] = r
				mutex.Lock()
				if errs[j] = err; err == nil {
					errs[j] = writeResult(&mutants[i], r)
				}
				done++
				fmt.Printf("%4d of %d, %4.0f s: %s:%d: %s: %s\n", done, len(mutants), time.Since(start).Seconds(),
					mutants[i].file, mutants[i].line, mutants[i].key, r)
				mutex.Unlock()
			}
		}(j, w)
	}
	for i := range mutants {
		next <- i
	}
	close(next)
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return results, nil
}

// ReadResults reads those of earlier runs, for -again. The last one counts.
func readResults() map[string]result {
	results := map[string]result{}
	text, _ := os.ReadFile(resultsFile)
	for _, line := range strings.Split(string(text), "\n") {
		if f := strings.Split(line, "\t"); len(f) == 5 {
			results[f[0]] = result{verdict(f[1]), layer(f[2]), f[3], f[4] == "true"}
		}
	}
	return results
}

func writeResult(m *mutant, r result) error {
	file, err := os.OpenFile(resultsFile, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = fmt.Fprintf(file, "%s | %s\t%s\t%s\t%s\t%v\n", m.file, m.key, r.verdict, r.layer, r.by, r.hung)
	return err
}
