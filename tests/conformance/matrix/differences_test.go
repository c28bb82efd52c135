// SPDX-License-Identifier: Apache-2.0

//go:build linux

package matrix

import (
	"strings"
	"testing"

	"nsenter-cpp.example/tests/internal/harness"
)

func TestListIsExact(t *testing.T) {
	list := []entry{{name: "e", difference: "d", combinations: map[string]bool{"one": true, "two": true}}}
	for _, test := range []struct {
		what string
		seen map[string]string
		want string
	}{
		{"all as listed", map[string]string{"one": "d", "two": "d"}, ""},
		{"one is not listed", map[string]string{"one": "d", "two": "d", "three": "d"},
			"three: a difference that differences.txt does not list"},
		{"one differs otherwise", map[string]string{"one": "d", "two": "x"}, "two: the difference is another one now"},
		{"one is gone", map[string]string{"one": "d"}, "two: no longer differs"},
	} {
		wrong := check(test.seen, list)
		if test.want == "" && len(wrong) != 0 || test.want != "" &&
			(len(wrong) != 1 || !strings.Contains(wrong[0], test.want)) {
			t.Errorf("%s: %q", test.what, wrong)
		}
	}
}

func TestCompare(t *testing.T) {
	failed := func(status string, lines ...string) outcome {
		return newOutcome(&harness.Outcome{Status: status, Fatal: lines})
	}
	became := func(state harness.State) outcome {
		return newOutcome(&harness.Outcome{Status: "0", Init: &state, Stdout: "nsexec returned\n"})
	}
	eperm := failed("1", "nsexec[PID]: failed to a: Operation not permitted")
	for _, test := range []struct {
		what         string
		ours, theirs outcome
		want         string
	}{
		{"the same errno, and only the first line", eperm,
			failed("1", "nsexec-1[PID]: b: Operation not permitted", "c: Success"), ""},
		{"another errno", eperm, failed("1", "b: Invalid argument"), "error"},
		{"no errno", eperm, failed("1", "b: Operation not permitted, really"), "error"},
		{"another status", eperm, failed("0", "b: Operation not permitted"), "status"},
		{"one fails", became(harness.State{}), eperm, "outcome"},
		{"an init process that fails later",
			newOutcome(&harness.Outcome{Status: "1", Init: &harness.State{}, Fatal: []string{"x: Operation not permitted"}}),
			eperm, ""},
		{"equal", became(harness.State{Caps: "1"}), became(harness.State{Caps: "1"}), ""},
		{"capabilities", became(harness.State{Caps: "1"}), became(harness.State{Caps: "2"}), "caps"},
		{"groups", became(harness.State{Groups: "1"}), became(harness.State{}), "groups"},
		{"a namespace", became(harness.State{NS: map[string]string{"net": "own"}}),
			became(harness.State{NS: map[string]string{"net": "new"}}), "ns.net"},
	} {
		var fields []string
		for _, d := range compare(test.ours, test.theirs) {
			fields = append(fields, d.Field)
		}
		if got := strings.Join(fields, " "); got != test.want {
			t.Errorf("%s: %q differ, not %q", test.what, got, test.want)
		}
	}
}

// TestEachCombinationIsAnother: none is launched twice, and none replaces another.
func TestEachCombinationIsAnother(t *testing.T) {
	names := make(map[string]bool)
	for _, c := range allCombinations() {
		if names[c.name()] {
			t.Errorf("%s stands twice", c.name())
		}
		names[c.name()] = true
	}
	// A type alone in three ways, pairs in four, nothing; user both; the sets.
	n := len(types)
	want := len(callers) * (3*(1+3*n+4*n*(n-1)/2) + 1 + len(sets))
	if len(names) != want {
		t.Errorf("%d combinations instead of %d", len(names), want)
	}
}
