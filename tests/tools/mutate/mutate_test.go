// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"io"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"testing"

	"nsenter-cpp.example/internal/testutil"
)

// Changes lists what a function's body becomes.
func changes(body string) []string {
	const before, after = "int F() {\n", "\n}\n"
	source := before + body + after
	var list []string
	for _, m := range mutate("x.cc", source) {
		changed := m.apply(source)
		list = append(list, strings.TrimSuffix(strings.TrimPrefix(changed, before), after))
	}
	sort.Strings(list)
	return list
}

func TestMutants(t *testing.T) {
	for _, test := range []struct {
		body string
		want []string
	}{
		{"if (ready) Go(x);", []string{"if (!(ready)) Go(x);", "if (ready) (void)0;"}},
		{"if (const int r = F(a); r) return r;",
			[]string{"if (const int r = F(a); !(r)) return r;", "if (const int r = F(a); false && (r)) return r;"}},
		{"while (a < b) ++a;", []string{
			"while (!(a < b)) ++a;", "while (a < b - 1) ++a;", "while (a <= b) ++a;"}},
		{"do Step(); while (a >= k);", []string{
			"do (void)0; while (a >= k);", "do Step(); while (!(a >= k));", "do Step(); while (a > k);",
			"do Step(); while (a >= k - 1);"}},
		{"for (int i = 0; i <= n; ++i) x += i;", []string{
			"for (int i = 0; !(i <= n); ++i) x += i;", "for (int i = 0; i < n; ++i) x += i;",
			"for (int i = 0; i <= n + 1; ++i) x += i;"}},
		{"for (const T& t : all) flags |= t.flag;", nil},
		{"for (;;) { x += y; }", nil},
		{"return a && (b || c);", []string{
			"return !(a) && (b || c);", "return a && !((b || c));", "return a && (!(b) || c);",
			"return a && (b && c);", "return a && (b || !(c));", "return a || (b || c);"}},
		{"const int taken = cut ? room : size;", []string{"const int taken = !(cut) ? room : size;"}},
		{"x = a == -EPIPE;", []string{"x = !(a == -EPIPE);"}},
		{"return size / 4 * 4;", []string{"return size / 4 * 5;", "return size / 5 * 4;"}},
		{"constexpr int kMost = 0x10U;", []string{"constexpr int kMost = 17U;"}},
		{"int first = 3;", nil},
		{"return Seek(fd, 0);", []string{"return Seek(fd, 1);"}},
		{"gate.fds_[i]->Close();", []string{"(void)0;"}},
		{"(void)gate.Open(fd);", []string{"(void)0;"}},
		{"if (x) (void)sys::Read(fd);", []string{"if (!(x)) (void)sys::Read(fd);", "if (x) (void)0;"}},
		{"static_cast<void>(Answer(kFailed));", []string{"(void)0;"}},
		{"(void)argument;\n  static_cast<void>(argument);", nil},
		{"sys::Close(fd);\n  if (x) {\n    Reset();\n  } else {\n    Stop();\n  }", []string{
			"(void)0;\n  if (x) {\n    Reset();\n  } else {\n    Stop();\n  }",
			"sys::Close(fd);\n  if (!(x)) {\n    Reset();\n  } else {\n    Stop();\n  }",
			"sys::Close(fd);\n  if (x) {\n    (void)0;\n  } else {\n    Stop();\n  }",
			"sys::Close(fd);\n  if (x) {\n    Reset();\n  } else {\n    (void)0;\n  }"}},
		{"if (x) RETURN_IF_ERROR(F(a, b));", []string{
			"if (!(x)) RETURN_IF_ERROR(F(a, b));", "if (x) (void)(F(a, b));"}},
		{"ASSIGN_OR_RETURN(const int fd, F(a, b));", []string{"const int fd = std::move((F(a, b)).value());"}},
		// What looks like one, and is none.
		{"Log log(prefix);", nil},
		{"return Result<A<B>>(x);", nil},
		{"UniqueFd(UniqueFd&& other) noexcept;", nil},
		{"static_assert(sizeof(x) < 4 && a == b);", nil},
		{"// if (a < b) F();", nil},
		{"/* if (a < b) */", nil},
		{"text = \"if (a < b) F();\";", nil},
		{"c = '<';", nil},
		{"#if A < B && \\\n    C < D\n#endif", nil},
	} {
		want := append([]string(nil), test.want...)
		sort.Strings(want)
		if got := changes(test.body); !reflect.DeepEqual(got, want) && len(got)+len(want) > 0 {
			t.Errorf("%s\ngot\n  %s\nwant\n  %s", test.body, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
		}
	}
}

// TestCore: the core has as many as are wanted, each makes another source, and each file has its own.
func TestCore(t *testing.T) {
	if err := os.Chdir("../../.."); err != nil {
		t.Fatal(err)
	}
	defer os.Chdir("tests/tools/mutate")
	mutants, err := allMutants(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(mutants) < leastMutants {
		t.Errorf("only %d mutants", len(mutants))
	}
	kinds := map[string]int{}
	for _, m := range mutants {
		kinds[m.kind]++
		source, err := os.ReadFile(filepath.Join("cpp", m.file))
		if err != nil {
			t.Fatal(err)
		}
		if m.apply(string(source)) == string(source) {
			t.Errorf("%s:%d: %s changes nothing", m.file, m.line, m.key)
		}
	}
	for _, kind := range []string{negated, joined, bound, constant, callRemoved, errorIgnored, neverLeft} {
		if kinds[kind] < 50 {
			t.Errorf("only %d mutants of the kind %q", kinds[kind], kind)
		}
	}
	equivalents, err := readEquivalents()
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]int{}
	for _, m := range mutants {
		left[m.file+" | "+m.key]++
	}
	for key, reasons := range equivalents {
		if left[key] < len(reasons) {
			t.Errorf("%s has what is not there, or not so often: %s", equivalentList, key)
		}
	}
}

func TestKeysDoNotDependOnWhereTheyAre(t *testing.T) {
	const source = "void F() {\n  if (x) sys::Close(fd);\n}\n"
	before := mutate("x.cc", source)
	after := mutate("x.cc", "// More.\n\n"+strings.ReplaceAll(source, "  if", "      if"))
	if len(before) != len(after) || len(before) == 0 {
		t.Fatalf("%d and %d mutants", len(before), len(after))
	}
	for i := range before {
		if before[i].key != after[i].key || before[i].line+2 != after[i].line {
			t.Errorf("line %d, %q has become line %d, %q", before[i].line, before[i].key, after[i].line, after[i].key)
		}
	}
	if key := before[1].key; key != "call removed: sys::Close(fd) in if (x) sys::Close(fd);" {
		t.Errorf("the key is %q", key)
	}
}

func TestEquivalents(t *testing.T) {
	list, err := parseEquivalents("# comment\n\na.cc | bound: x <= y\n    they are never equal\na.cc | " +
		"bound: x <= y\n    nor here\n")
	want := equivalents{"a.cc | bound: x <= y": {"they are never equal", "nor here"}}
	if err != nil || !reflect.DeepEqual(list, want) {
		t.Errorf("got %v, %v", list, err)
	}
	for _, wrong := range []string{"a.cc | x\n", "a.cc | x\na.cc | y\n    why\n", "    why\n", "x\n    why\n"} {
		if _, err := parseEquivalents(wrong); err == nil {
			t.Errorf("accepted %q", wrong)
		}
	}
}

// TestSummary: a run fails for each thing that is wrong with what it was asked to judge, and only then.
func TestSummary(t *testing.T) {
	type counts struct{ noticed, equivalent, left, stale int }
	whole, named := scope{complete: true}, scope{complete: true, files: []string{"b.cc", "a.cc"}}
	for _, test := range []struct {
		counts
		asked scope
		want  string
	}{
		{counts{noticed: 400}, whole, ""},
		{counts{noticed: 400, equivalent: 20}, whole, ""},
		{counts{noticed: 400, left: 1}, whole, "1 survivors are not in"},
		{counts{noticed: 400, stale: 1}, whole, "noticed or gone"},
		{counts{noticed: 400, equivalent: 30}, whole, "93.0 % noticed"},
		{counts{noticed: 299}, whole, "only 299 mutants"},
		{counts{noticed: 3}, named, ""},
		{counts{noticed: 3, equivalent: 3}, named, ""},
		{counts{noticed: 3, left: 2}, named, "2 survivors are not in"},
		{counts{noticed: 3, stale: 1}, named, "noticed or gone"},
		{counts{}, named, "only 0 mutants"},
		// What is listed of files that were not judged says nothing.
		{counts{noticed: 3, stale: 1}, scope{complete: true, files: []string{"b.cc"}}, ""},
		// One mutant in so many: the listed ones need not be among them.
		{counts{noticed: 3, left: 1, stale: 1}, scope{}, ""},
	} {
		var mutants []mutant
		var results []result
		known := equivalents{}
		add := func(times int, key string, r result) {
			for i := 0; i < times; i++ {
				mutants = append(mutants, mutant{file: "a.cc", key: key})
				results = append(results, r)
			}
		}
		add(test.noticed, "noticed", result{verdict: noticed, layer: unitLayer})
		add(test.equivalent, "equivalent", result{verdict: survived})
		add(test.left, "left", result{verdict: survived})
		add(5, "no build", result{verdict: noBuild})
		for i := 0; i < test.equivalent+test.stale; i++ {
			known["a.cc | equivalent"] = append(known["a.cc | equivalent"], "reason")
		}
		err := summarize(io.Discard, mutants, results, known, test.asked)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v of %+v: got %v, want %q", test.counts, test.asked, err, test.want)
		}
	}
}

// TestCoreAsItIsMustPass: nothing is judged by a program that fails without a mutant.
func TestCoreAsItIsMustPass(t *testing.T) {
	testutil.RequireRoot(t)
	b := &base{folder: t.TempDir(), commands: map[string][]string{"cpp/b.cc": {"g++"}}}
	for _, p := range []program{
		{name: "good_test", members: map[string]bool{"cpp/b.cc": true}},
		{name: "bad_test"}, // of other files only
	} {
		status := map[string]string{"good_test": "0", "bad_test": "1"}[p.name]
		if err := os.WriteFile(b.unmutated(p), []byte("#!/bin/sh\nexit "+status+"\n"), 0o777); err != nil {
			t.Fatal(err)
		}
		b.programs = append(b.programs, p)
	}
	w := &worker{base: b}
	if count, err := w.checkPrograms(map[string]bool{"b.cc": true}); err != nil || count != 1 {
		t.Errorf("a program that passes: %d, %v", count, err)
	}
	_, err := w.checkPrograms(map[string]bool{"b.cc": true, "c.h": true})
	if err == nil || !strings.Contains(err.Error(), "bad_test") {
		t.Errorf("a program that fails: %v", err)
	}
}

func TestSplitCommand(t *testing.T) {
	got := splitCommand(`g++ -DX=\"/a/b\" -I"/c d" -o x.o -c x.cc`)
	want := []string{"g++", `-DX="/a/b"`, "-I/c d", "-o", "x.o", "-c", "x.cc"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
}
