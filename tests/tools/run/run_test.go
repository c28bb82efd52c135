// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
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
		{"go c", "0 passed, 1 failed, 0 skipped", "no test of it ran"},
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

// A suite fails that runs nothing, whether it says so, ends without a word, or is not there any more.
func TestSuiteThatRunsNothingFails(t *testing.T) {
	rows := requireTests([]row{
		{name: "runs", result: result{passed: 2}},
		{name: "left out", result: result{skipped: 1}},
		{name: "empty"},
	}, "runs", "left out", "empty", "gone")
	want := map[string]string{
		"runs":     "2 passed, 0 failed, 0 skipped",
		"left out": "0 passed, 0 failed, 1 skipped",
		"empty":    "0 passed, 1 failed, 0 skipped",
		"gone":     "0 passed, 1 failed, 0 skipped",
	}
	if len(rows) != len(want) {
		t.Errorf("%d rows: %v", len(rows), rows)
	}
	for _, r := range rows {
		if got := r.result.String(); got != want[r.name] {
			t.Errorf("%s: %s, not %s", r.name, got, want[r.name])
		}
		if r.result.failed > 0 && !strings.HasPrefix(r.result.remarks[0], "FAIL "+r.name+": ") {
			t.Errorf("%q does not name %s", r.result.remarks[0], r.name)
		}
	}
	if summarize(io.Discard, rows, 0, false) {
		t.Error("all is well")
	}
}

// The same for a package whose test file has no test, or a TestMain that runs none: go test says that it passed.
func TestPackageThatRunsNothingFails(t *testing.T) {
	const output = `{"Action":"output","Package":"m.example/a","Output":"ok  \tm.example/a\t0.1s\n"}
{"Action":"pass","Package":"m.example/a"}
`
	rows := requireTests(parseGoTest([]byte(output), nil, "tests/x", "m.example"), "go tests/x/a")
	if len(rows) != 1 || rows[0].name != "go tests/x/a" || rows[0].result.failed != 1 {
		t.Errorf("%v", rows)
	}
}

func TestProgramThatRunsNothingFails(t *testing.T) {
	const text = `<testsuite><testcase name="a_test:S.C" classname="a_test:S.C" status="run"/></testsuite>`
	file := filepath.Join(t.TempDir(), "report.xml")
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	got := readReports("cpp debug", nil, file, "a_test", "b_test")
	if want := "1 passed, 1 failed, 0 skipped"; got.String() != want {
		t.Errorf("%v, not %s", got, want)
	}
	if len(got.remarks) != 1 || !strings.Contains(got.remarks[0], "cpp debug b_test") {
		t.Errorf("%q", got.remarks)
	}
}

// What is expected comes from the tree as it is.
func TestExpectedSuites(t *testing.T) {
	atRoot(t)
	suites, err := allSuites()
	if err != nil {
		t.Fatal(err)
	}
	var expected []string
	for _, s := range suites {
		if len(s.expected) == 0 {
			t.Errorf("nothing has to come of %s", s.name)
		}
		expected = append(expected, s.expected...)
	}
	all := "\n" + strings.Join(expected, "\n") + "\n"
	for _, name := range []string{"cpp debug", "cpp asan", "cpp valgrind", "go nsenter/parent", "go scripts"} {
		if strings.Count(all, "\n"+name+"\n") != 1 {
			t.Errorf("%s is not expected once: %q", name, expected)
		}
	}
	for _, s := range quickSuites() {
		for _, name := range s.expected {
			name = strings.Replace(strings.Replace(name, "quick cpp", "cpp", 1), "quick", "lint", 1)
			if !strings.Contains(all, "\n"+name+"\n") {
				t.Errorf("%s is quick, but not a suite", name)
			}
		}
	}
	// Each check that scripts/lint knows.
	script, err := os.ReadFile("scripts/lint")
	if err != nil {
		t.Fatal(err)
	}
	checks := regexp.MustCompile(`(?m)^check_([a-z_]+)\(\)`).FindAllStringSubmatch(string(script), -1)
	if len(checks) == 0 {
		t.Error("scripts/lint has no checks")
	}
	for _, check := range checks {
		if name := "lint " + strings.ReplaceAll(check[1], "_", "-"); !strings.Contains(all, "\n"+name+"\n") {
			t.Errorf("%s is in scripts/lint, but no suite", name)
		}
	}
}

// AtRoot is there for a test that reads the tree.
func atRoot(t *testing.T) {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chdir(folder) })
	for root := folder; ; root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "CMakePresets.json")); err == nil {
			if err := os.Chdir(root); err != nil {
				t.Fatal(err)
			}
			return
		}
		if root == filepath.Dir(root) {
			t.Fatalf("no CMakePresets.json above %s", folder)
		}
	}
}

func TestTestFolders(t *testing.T) {
	got := testFolders([]string{".", "tests/x", "tests/x/y"}, []string{
		"a_test.go", "a/b_test.go", "a/c_test.go", "tests/x/d_test.go", "tests/x/z/e_test.go", "tests/xy/f_test.go",
	})
	want := map[string][]string{".": {".", "a", "tests/xy"}, "tests/x": {"tests/x", "tests/x/z"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, not %v", got, want)
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

// Which suites run beside each other, and in which order, does not show in the rows.
func TestSuitesRunTwoAtATime(t *testing.T) {
	atRoot(t)
	var mutex sync.Mutex
	var running, most int
	var began []string
	enter := func(name string) {
		mutex.Lock()
		defer mutex.Unlock()
		running++
		if running > most {
			most = running
		}
		began = append(began, name)
	}
	leave := func() {
		mutex.Lock()
		defer mutex.Unlock()
		running--
	}
	// The first and the last one wait for each other.
	met := make(chan bool)
	meet := func() {
		select {
		case met <- true:
		case <-met:
		case <-time.After(20 * time.Second):
			t.Error("nothing runs beside it")
		}
	}
	var suites []suite
	for _, name := range []string{"first", "alone", "middle", "last"} {
		s := oneRow(name, func(name string) []row {
			enter(name)
			defer leave()
			if name == "first" || name == "last" {
				meet()
			}
			if name == "alone" && running != 1 {
				t.Errorf("%d run beside what runs alone", running-1)
			}
			return []row{{name: name, result: result{passed: 1, remarks: []string{"remark of " + name}}}}
		})
		s.alone = name == "alone"
		suites = append(suites, s)
	}
	var printed strings.Builder
	rows := runSuites(&printed, suites)
	var names []string
	for _, r := range rows {
		names = append(names, r.name)
	}
	if got := strings.Join(names, " "); got != "first alone middle last" {
		t.Errorf("the rows are those of %s", got)
	}
	if most != 2 || len(began) != 4 || began[2] != "middle" || began[3] != "alone" {
		t.Errorf("%d at once, in the order %v", most, began)
	}
	// What is said of a suite stands below its name.
	said := regexp.MustCompile(`(?m)^== (\w+), \d+\.\d s, \d+\.\d s of a processor\nremark of (\w+)$`)
	pairs := said.FindAllStringSubmatch(printed.String(), -1)
	for _, pair := range pairs {
		if pair[1] != pair[2] {
			t.Errorf("%s is said of %s", pair[2], pair[1])
		}
	}
	if len(pairs) != 4 {
		t.Errorf("printed %q", printed.String())
	}
}

// What a command took, and what its children did, is counted; and what hangs is ended.
func TestExecuteCountsAndEnds(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	log := &suiteLog{File: file, timeout: time.Minute}
	const busy = "i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done"
	if _, err := execute(log, ".", "sh", "-c", "sh -c '"+busy+"'; true"); err != nil {
		t.Fatal(err)
	}
	if log.processor <= 0 {
		t.Error("it took nothing of the processors")
	}
	// The shell's child holds its output open.
	log.timeout = 100 * time.Millisecond
	if _, err := execute(log, ".", "sh", "-c", "sleep 600 & wait"); err == nil ||
		!strings.Contains(err.Error(), "killed after 100ms") {
		t.Errorf("%v", err)
	}
}

func TestSummaryEndsWithTheTimeOfAll(t *testing.T) {
	rows := []row{
		{name: "a", result: result{passed: 1}, duration: 61 * time.Second},
		{name: "b", result: result{passed: 1}, duration: 29 * time.Second},
	}
	var printed strings.Builder
	summarize(&printed, rows, 100*time.Second, false)
	if want := "\n2 passed, 0 failed, 0 skipped\ntotal 100 s\n"; !strings.HasSuffix(printed.String(), want) {
		t.Errorf("no %q at the end of %q", want, printed.String())
	}
}
