// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"path"
	"regexp"
	"sort"
	"strings"
	"time"
)

// A report is what both ctest and GoogleTest write: JUnit's format, or nearly so.
type report struct {
	Cases []testCase `xml:"testcase"`
	// GoogleTest has one for each group of tests.
	Suites []report `xml:"testsuite"`
}

type testCase struct {
	Group  string `xml:"classname,attr"`
	Name   string `xml:"name,attr"`
	Status string `xml:"status,attr"`
	// GoogleTest's word is "skipped" here, ctest has an element.
	Result   string    `xml:"result,attr"`
	Failures []message `xml:"failure"`
	Skipped  *message  `xml:"skipped"`
	Output   string    `xml:"system-out"`
}

type message struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// ReadReports counts the tests in the report of one program. An exit status that no failed test explains
// (a crash, a finding of a sanitizer) is a failure of its own, and so is each of the test programs, which the names
// of ctest's tests begin with, that has no test there.
func readReports(name string, runError error, file string, programs ...string) result {
	var parsed report
	text, err := os.ReadFile(file)
	if err == nil {
		err = xml.Unmarshal(text, &parsed)
	}
	var counted result
	if err == nil {
		counted = countCases(name, parsed)
	}
	if counted.passed+counted.failed+counted.skipped == 0 && runError == nil {
		runError = fmt.Errorf("no tests ran (%v)", err)
	}
	if runError != nil && counted.failed == 0 {
		counted.failed++
		counted.remarks = append(counted.remarks, fmt.Sprintf("FAIL %s: %v, see %s", name, runError, logFolder))
	}
	for _, program := range programs {
		if !anyCase(parsed, program+":") {
			counted.add(nothingRan(name + " " + program))
		}
	}
	return counted
}

func countCases(name string, parsed report) result {
	var counted result
	for _, inner := range parsed.Suites {
		counted.add(countCases(name, inner))
	}
	for _, test := range parsed.Cases {
		title := test.Name
		if test.Group != "" && test.Group != test.Name {
			title = test.Group + "." + test.Name
		}
		switch {
		case len(test.Failures) > 0 || test.Status == "fail":
			counted.failed++
			text := test.Output
			for _, failure := range test.Failures {
				text += failure.Text
			}
			counted.remarks = append(counted.remarks, fmt.Sprintf("FAIL %s: %s\n%s", name, title, text))
		case test.Skipped != nil || test.Result == "skipped" || test.Status != "run":
			// A disabled test (DISABLED_ in its name) comes here with status "disabled" or "notrun".
			counted.skipped++
			counted.remarks = append(counted.remarks, fmt.Sprintf("SKIP %s: %s\n%s", name, title, test.Output))
		default:
			counted.passed++
		}
	}
	return counted
}

func anyCase(parsed report, prefix string) bool {
	for _, inner := range parsed.Suites {
		if anyCase(inner, prefix) {
			return true
		}
	}
	for _, test := range parsed.Cases {
		if strings.HasPrefix(test.Name, prefix) {
			return true
		}
	}
	return false
}

var logLine = regexp.MustCompile(`^ +[^ :]+\.go:[0-9]+: (.*)`)

// An event is a line of `go test -json`, see `go doc test2json`.
type event struct {
	Action, Package, Test, Output string
	ImportPath                    string
	Elapsed                       float64
}

// A goPackage is what the events say about one package.
type goPackage struct {
	name    string
	tests   map[string]*goTestState
	output  strings.Builder
	action  string
	noTests bool
	elapsed float64
}

type goTestState struct {
	action string
	output strings.Builder
}

// ParseGoTest gives a row for each package with tests. Tests with subtests are not counted themselves.
func parseGoTest(output []byte, runError error, folder, module string) []row {
	packages := map[string]*goPackage{}
	var buildOutput strings.Builder
	decoder := json.NewDecoder(bytes.NewReader(output))
	for {
		var e event
		if err := decoder.Decode(&e); err != nil {
			break
		}
		if e.Package == "" {
			buildOutput.WriteString(e.Output)
			continue
		}
		p := packages[e.Package]
		if p == nil {
			name := path.Join(folder, strings.TrimPrefix(strings.TrimPrefix(e.Package, module), "/"))
			p = &goPackage{name: "go " + name, tests: map[string]*goTestState{}}
			packages[e.Package] = p
		}
		p.take(e)
	}

	var rows []row
	failed := 0
	for _, p := range packages {
		if r, counts := p.row(buildOutput.String()); counts {
			rows = append(rows, r)
			failed += r.result.failed
		}
	}
	sort.Slice(rows, func(i, j int) bool { return rows[i].name < rows[j].name })
	if runError != nil && failed == 0 {
		rows = append(rows, failure("go "+folder, fmt.Errorf("%w\n%s", runError, buildOutput.String()))...)
	}
	return rows
}

func (p *goPackage) take(e event) {
	if strings.Contains(e.Output, "[no tests to run]") {
		p.noTests = true
	}
	if e.Test == "" {
		switch e.Action {
		case "output":
			p.output.WriteString(e.Output)
		case "pass", "fail", "skip":
			p.action = e.Action
			p.elapsed = e.Elapsed
		}
		return
	}
	test := p.tests[e.Test]
	if test == nil {
		test = &goTestState{}
		p.tests[e.Test] = test
	}
	switch e.Action {
	case "output":
		test.output.WriteString(e.Output)
	case "pass", "fail", "skip":
		test.action = e.Action
	}
}

// Row counts the package's tests; false for a package that has none and is meant to have none.
func (p *goPackage) row(buildOutput string) (row, bool) {
	var names []string
	parents := map[string]bool{}
	for name := range p.tests {
		names = append(names, name)
		for i, character := range name {
			if character == '/' {
				parents[name[:i]] = true
			}
		}
	}
	sort.Strings(names)

	var counted result
	for _, name := range names {
		test := p.tests[name]
		switch {
		case test.action == "pass":
			if !parents[name] {
				counted.passed++
			}
			if !strings.Contains(name, "/") {
				counted.remarks = append(counted.remarks, notes(p.name, test.output.String())...)
			}
		case test.action == "skip":
			counted.skipped++
			counted.remarks = append(counted.remarks,
				fmt.Sprintf("SKIP %s: %s\n%s", p.name, name, test.output.String()))
		case parents[name] && anyFailed(p.tests, name+"/"):
			// Failed because a part of it did. Its own output may matter nevertheless.
			counted.remarks = append(counted.remarks, test.output.String())
		default:
			// Failed, or began and never ended: the program died, or was killed at its deadline.
			counted.failed++
			counted.remarks = append(counted.remarks,
				fmt.Sprintf("FAIL %s: %s\n%s", p.name, name, test.output.String()))
		}
	}
	if p.noTests {
		counted.add(nothingRan(p.name))
	}
	if p.action != "pass" && p.action != "skip" && counted.failed == 0 {
		counted.failed++
		counted.remarks = append(counted.remarks,
			fmt.Sprintf("FAIL %s\n%s%s", p.name, buildOutput, p.output.String()))
	}
	duration := time.Duration(p.elapsed * float64(time.Second))
	return row{name: p.name, result: counted, duration: duration}, counted.passed+counted.failed+counted.skipped > 0
}

// Notes are what a test that passed has logged: figures worth knowing.
func notes(name, output string) []string {
	var lines []string
	for _, line := range strings.Split(output, "\n") {
		if match := logLine.FindStringSubmatch(line); match != nil {
			lines = append(lines, name+": "+match[1])
		}
	}
	return lines
}

func anyFailed(tests map[string]*goTestState, prefix string) bool {
	for name, test := range tests {
		if strings.HasPrefix(name, prefix) && test.action != "pass" && test.action != "skip" {
			return true
		}
	}
	return false
}
