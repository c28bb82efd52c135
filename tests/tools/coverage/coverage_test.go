// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestGcov(t *testing.T) {
	lines := reachedLines{}
	// Two objects, one after the other, as gcov prints them. A template's line is in both.
	const output = `{"files": [{"file": "/src/cpp/a.h", "lines": [{"line_number": 3, "count": 0},
  {"line_number": 4, "count": 0}]}]}
{"files": [{"file": "/src/cpp/../cpp/a.h", "lines": [{"line_number": 3, "count": 2}]},
  {"file": "/src/tests/b.cc", "lines": [{"line_number": 1, "count": 1}]}]}`
	if err := lines.addGcov([]byte(output), "/src/cpp"); err != nil {
		t.Fatal(err)
	}
	if want := (reachedLines{{"a.h", 3}: true, {"a.h", 4}: false}); !reflect.DeepEqual(lines, want) {
		t.Errorf("got %v", lines)
	}
	if err := lines.addGcov([]byte(`{"files": [`), "/src/cpp"); err == nil {
		t.Error("accepted half an output")
	}
}

func TestLlvmCov(t *testing.T) {
	// A function with a condition of its own, and one in a macro that is used twice.
	const output = `{"data": [{"functions": [{"filenames": ["/src/cpp/a.cc", "/src/cpp/m.h"],
	  "regions": [[1,1,9,2,5,0,0,0], [3,3,3,9,5,0,1,1], [4,3,4,9,5,0,2,1]],
	  "branches": [[2,7,2,8,5,%d,0,0,4], [10,1,10,5,%d,0,1,0,4], [10,1,10,5,5,1,2,0,4]]}]}]}`
	branches := reachedBranches{}
	// What the second program has not, the first has.
	for _, counts := range [][]any{{0, 1}, {1, 0}} {
		if err := branches.addLlvmCov([]byte(fmt.Sprintf(output, counts...)), "/src/cpp"); err != nil {
			t.Fatal(err)
		}
	}
	taken, all := 0, 0
	for b, reached := range branches {
		all++
		if b.file != "a.cc" || b.line < 2 || b.line > 4 {
			t.Errorf("a branch in %s:%d", b.file, b.line)
		}
		if reached {
			taken++
		} else if b.line != 3 || b.taken {
			t.Errorf("not taken: %+v", b)
		}
	}
	if taken != 5 || all != 6 {
		t.Errorf("%d of %d branches are taken, want 5 of 6", taken, all)
	}
}

func TestReport(t *testing.T) {
	const source = "a;\n  b;\nc;\n  b;\n"
	reached := reachedLines{{"x.cc", 1}: true, {"x.cc", 2}: false, {"x.cc", 4}: true}
	for i := 10; i < 100; i++ {
		reached[place{"x.cc", i}] = true
	}
	low := reachedLines{{"x.cc", 1}: true, {"x.cc", 2}: false}
	for _, test := range []struct {
		lines reachedLines
		list  string
		says  string
		ok    bool
	}{
		{reached, "# comment\n\nx.cc | b; | cannot be\n", "x.cc:2: b;\n    cannot be\n", true},
		{reached, "", "x.cc:2: b;\n    NOT IN", false},
		{reached, "x.cc | b; | cannot be\nx.cc | c; | neither\n", "stale: x.cc | c;", false},
		{reached, "x.cc | b; | cannot be\nx.cc | b; | twice\n", "stale: x.cc | b;", false},
		{low, "x.cc | b; | cannot be\n", "less than 97 %", false},
	} {
		var out strings.Builder
		ok, err := report(&out, test.lines, reachedBranches{}, func(string) ([]byte, error) {
			return []byte(source), nil
		}, test.list)
		if err != nil || ok != test.ok || !strings.Contains(out.String(), test.says) {
			t.Errorf("%q: got %v, %v and\n%s", test.list, ok, err, out.String())
		}
	}
}

func TestList(t *testing.T) {
	text, err := os.ReadFile("unreached.txt")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseList(string(text)); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{"a.cc | b;", "a.cc | b; | ", "a.cc"} {
		if _, err := parseList(wrong); err == nil {
			t.Errorf("accepted %q", wrong)
		}
	}
}
