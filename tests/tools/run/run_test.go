// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Lines of `go test -json`, shortened to what is read.
const goTestOutput = `{"Action":"start","Package":"m.example/a"}
{"Action":"run","Package":"m.example/a","Test":"TestParent"}
{"Action":"run","Package":"m.example/a","Test":"TestParent/good"}
{"Action":"pass","Package":"m.example/a","Test":"TestParent/good"}
{"Action":"run","Package":"m.example/a","Test":"TestParent/bad"}
{"Action":"output","Package":"m.example/a","Test":"TestParent/bad","Output":"    a_test.go:7: no good\n"}
{"Action":"fail","Package":"m.example/a","Test":"TestParent/bad"}
{"Action":"fail","Package":"m.example/a","Test":"TestParent"}
{"Action":"run","Package":"m.example/a","Test":"TestNoted"}
{"Action":"output","Package":"m.example/a","Test":"TestNoted","Output":"    a_test.go:9: 60 vectors\n"}
{"Action":"pass","Package":"m.example/a","Test":"TestNoted"}
{"Action":"run","Package":"m.example/a","Test":"TestLeftOut"}
{"Action":"output","Package":"m.example/a","Test":"TestLeftOut","Output":"    a_test.go:8: needs root\n"}
{"Action":"skip","Package":"m.example/a","Test":"TestLeftOut"}
{"Action":"run","Package":"m.example/a","Test":"TestNeverEnded"}
{"Action":"fail","Package":"m.example/a","Elapsed":1.5}
{"Action":"output","Package":"m.example/b","Output":"?   \tm.example/b\t[no test files]\n"}
{"Action":"skip","Package":"m.example/b"}
{"Action":"output","Package":"m.example/c","Output":"ok  \tm.example/c\t0.1s [no tests to run]\n"}
{"Action":"pass","Package":"m.example/c"}
{"Action":"build-output","ImportPath":"m.example/d","Output":"d.go:1: does not compile\n"}
{"Action":"fail","Package":"m.example/d"}
`

func TestParseGoTest(t *testing.T) {
	rows := parseGoTest([]byte(goTestOutput), errors.New("exit status 1"), ".", "m.example")
	want := []struct {
		name   string
		counts string
		remark string
	}{
		{"go a", "2 passed, 2 failed, 1 skipped", "no good"},
		{"go c", "0 passed, 0 failed, 1 skipped", "no tests to run"},
		{"go d", "0 passed, 1 failed, 0 skipped", "does not compile"},
	}
	if len(rows) != len(want) {
		t.Fatalf("%d rows: %v", len(rows), rows)
	}
	for i, w := range want {
		if rows[i].name != w.name || rows[i].result.String() != w.counts {
			t.Errorf("%s: %v, not %s: %s", rows[i].name, rows[i].result, w.name, w.counts)
		}
		if all := strings.Join(rows[i].result.remarks, "\n"); !strings.Contains(all, w.remark) {
			t.Errorf("%s does not say %q: %s", w.name, w.remark, all)
		}
	}
	all := strings.Join(rows[0].result.remarks, "\n")
	for _, word := range []string{"go a: 60 vectors", "TestNeverEnded", "needs root"} {
		if !strings.Contains(all, word) {
			t.Errorf("no %q in %s", word, all)
		}
	}
}

// An error that no package explains (a module that cannot be read) is a failure too.
func TestParseGoTestFailedBeforeTests(t *testing.T) {
	rows := parseGoTest(nil, errors.New("exit status 1"), "tests/x", "m.example")
	if len(rows) != 1 || rows[0].name != "go tests/x" || rows[0].result.failed != 1 {
		t.Errorf("%v", rows)
	}
}

func TestReadReports(t *testing.T) {
	const ctestReport = `<testsuite>
<testcase name="a" classname="a" status="run"><system-out>fine</system-out></testcase>
<testcase name="b" classname="b" status="fail"><failure message="Failed"/><system-out>b is wrong</system-out></testcase>
<testcase name="c" classname="c" status="notrun"><skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/></testcase>
<testcase name="d" classname="d" status="disabled"/>
</testsuite>`
	const googleTestReport = `<testsuites><testsuite name="S">
<testcase name="Good" status="run" result="completed" classname="S"/>
<testcase name="Bad" status="run" result="completed" classname="S"><failure message="m">it is bad</failure></testcase>
<testcase name="Left" status="run" result="skipped" classname="S"><skipped message="why"/></testcase>
<testcase name="DISABLED_Off" status="notrun" result="suppressed" classname="S"/>
</testsuite></testsuites>`
	const goodReport = `<testsuite><testcase name="a" classname="a" status="run"/></testsuite>`
	for _, c := range []struct {
		name, report string
		err          error
		want         string
	}{
		{"ctest", ctestReport, errors.New("exit status 8"), "1 passed, 1 failed, 2 skipped"},
		{"GoogleTest", googleTestReport, errors.New("exit status 1"), "1 passed, 1 failed, 2 skipped"},
		{"a sanitizer's exit status", goodReport, errors.New("exit status 99"), "1 passed, 1 failed, 0 skipped"},
		{"no tests", "<testsuite/>", nil, "0 passed, 1 failed, 0 skipped"},
		{"no report", "", errors.New("exit status 1"), "0 passed, 1 failed, 0 skipped"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "report.xml")
			if c.report != "" {
				if err := os.WriteFile(file, []byte(c.report), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			if got := readReports(c.name, c.err, file); got.String() != c.want {
				t.Errorf("%v, not %s", got, c.want)
			}
		})
	}
}

func TestCompareCounts(t *testing.T) {
	rows := []row{
		{name: "same", result: result{passed: 2}},
		{name: "more", result: result{passed: 2, failed: 1}},
		{name: "fewer", result: result{passed: 1, skipped: 1}},
		{name: "with a blank", result: result{passed: 1}},
		{name: "new", result: result{passed: 1}},
	}
	compared := compareCounts("same 2\nmore 2\nfewer 2\nwith a blank 1\ngone 1\n", rows)
	if got, want := compared.result.String(), "3 passed, 3 failed, 0 skipped"; got != want {
		t.Errorf("%s, not %s", got, want)
	}
	for i, name := range []string{"fewer", "gone", "new"} {
		if !strings.HasPrefix(compared.result.remarks[i], name) {
			t.Errorf("%q does not name %s", compared.result.remarks[i], name)
		}
	}
	if got := compareCounts(string(formatCounts(rows)), rows).result.failed; got != 0 {
		t.Errorf("%d of the counts just recorded differ", got)
	}
}

func TestSkippedIsFailedWhereAllIsRequired(t *testing.T) {
	rows := []row{{name: "a", result: result{passed: 1, skipped: 1}}}
	if !summarize(io.Discard, rows, 0, false) {
		t.Error("a skipped test is a failure though not all is required")
	}
	if summarize(io.Discard, rows, 0, true) {
		t.Error("a skipped test is no failure though all is required")
	}
}

func TestSummaryEndsWithTheTimeOfAll(t *testing.T) {
	rows := []row{{"a", result{passed: 1}, 61 * time.Second}, {"b", result{passed: 1}, 29 * time.Second}}
	var printed strings.Builder
	summarize(&printed, rows, 100*time.Second, false)
	if want := "\n2 passed, 0 failed, 0 skipped\ntotal 100 s\n"; !strings.HasSuffix(printed.String(), want) {
		t.Errorf("no %q at the end of %q", want, printed.String())
	}
}
