// SPDX-License-Identifier: Apache-2.0

// Command run runs every test suite of the project to the end, two at a time, and prints what ran, passed, failed
// and was skipped.
//
//	go run ./tests/tools/run             everything
//	go run ./tests/tools/run lint cpp    suites whose names begin so
//	go run ./tests/tools/run quick       what `make quick` runs, a part of everything
//	go run ./tests/tools/run check       what `make check` runs, which everything does not include
//
// A test that is skipped is reported with its reason. With REQUIRE_ALL=1 it is a failure. A folder with Go tests
// or a source with C++ tests of which no test runs is always one.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	logFolder = "_build/logs"
	// Of each command of a suite: what hangs is ended, and the other suites still run. Three times what the longest one
	// takes on a machine with nothing else to do, since another one runs beside it.
	suiteTimeout = 15 * time.Minute
)

// A row is a line of the summary.
type row struct {
	name     string
	result   result
	duration time.Duration
	// What the whole suite took of the processors, in its first row.
	processor time.Duration
}

// Result counts tests, and keeps what there is to say about them.
type result struct {
	passed, failed, skipped int
	remarks                 []string
}

func (r *result) add(other result) {
	r.passed += other.passed
	r.failed += other.failed
	r.skipped += other.skipped
	r.remarks = append(r.remarks, other.remarks...)
}

func (r result) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", r.passed, r.failed, r.skipped)
}

func main() {
	ok, err := run(os.Args[1:], os.Getenv("REQUIRE_ALL") == "1")
	if err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

func run(prefixes []string, requireAll bool) (bool, error) {
	if err := os.MkdirAll(logFolder, 0o777); err != nil {
		return false, err
	}
	suites, err := allSuites()
	if err != nil {
		return false, err
	}
	suites = selectSuites(suites, append(quickSuites(), checkSuites()...), prefixes)
	if len(suites) == 0 {
		return false, fmt.Errorf("no suite's name begins with %s", strings.Join(prefixes, " or "))
	}

	begin := time.Now()
	rows := runSuites(os.Stdout, suites)
	return summarize(os.Stdout, rows, time.Since(begin), requireAll), nil
}

// SelectSuites takes further suites only if they are asked for.
func selectSuites(suites, further []suite, prefixes []string) []suite {
	if len(prefixes) == 0 {
		return suites
	}
	var selected []suite
	for _, s := range append(suites, further...) {
		for _, prefix := range prefixes {
			if strings.HasPrefix(s.name, prefix) {
				selected = append(selected, s)
				break
			}
		}
	}
	return selected
}

// Summarize prints the table and the closing lines, with how long it all took, and tells whether all is well. The
// seconds of the rows need not add up to that: of a Go module each package has its own, and some run at once.
func summarize(w io.Writer, rows []row, took time.Duration, requireAll bool) bool {
	var total result
	fmt.Fprintf(w, "\n%-28s %7s %7s %7s %8s\n", "suite", "passed", "failed", "skipped", "seconds")
	for _, r := range rows {
		fmt.Fprintf(w, "%-28s %7d %7d %7d %8.1f\n",
			r.name, r.result.passed, r.result.failed, r.result.skipped, r.duration.Seconds())
		total.add(r.result)
	}
	if total.failed+total.skipped > 0 {
		fmt.Fprintf(w, "\nwhat did not pass is said above, at its suite; complete output: %s\n", logFolder)
	}
	if requireAll && total.skipped > 0 {
		fmt.Fprintln(w, "REQUIRE_ALL=1: a skipped test is a failure")
	}
	fmt.Fprintf(w, "\n%s\ntotal %.0f s\n", total, took.Seconds())
	return total.failed == 0 && (!requireAll || total.skipped == 0)
}

// LogPath is where the output of a suite is kept.
func logPath(name string) string {
	return filepath.Join(logFolder, strings.ReplaceAll(strings.ReplaceAll(name, "/", "-"), " ", "-")+".log")
}
