// SPDX-License-Identifier: Apache-2.0

//go:build linux

package matrix

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"nsenter-cpp.example/internal/testutil"
	"nsenter-cpp.example/tests/internal/harness"
)

var (
	update  = flag.Bool("update", false, "write differences.txt anew; reasons are kept, new ones are for you to write")
	printed = flag.Bool("print", false, "print the matrix, and what its letters are")
)

func TestMain(m *testing.M) {
	harness.Main()
	flag.Parse()
	os.Exit(m.Run())
}

// TestMatrix compares all combinations, and draws the matrix.
func TestMatrix(t *testing.T) {
	testutil.RequireRoot(t)
	_, err := os.Stat("/usr/bin/newuidmap")
	testutil.Require(t, err == nil, "newuidmap and newgidmap in /usr/bin")
	entries, err := readDifferences(*update)
	if err != nil {
		t.Fatal(err)
	}
	probe := filepath.Join(t.TempDir(), "probe")
	if err := harness.BuildProbe(probe); err != nil {
		t.Fatal(err)
	}
	runc := harness.BuildPeer(t, "../peers/runc15")

	list := allCombinations()
	var lock sync.Mutex
	seen := make(map[string]string) // differences
	cells := make(map[string]string)
	t.Run("launches", func(t *testing.T) {
		for i := range list {
			c := &list[i]
			t.Run(c.name(), func(t *testing.T) {
				t.Parallel()
				ours, theirs := launchBoth(t, c, probe, runc)
				differences := compare(ours, theirs)
				lock.Lock()
				defer lock.Unlock()
				switch {
				case len(differences) > 0:
					seen[c.name()] = show(differences)
				case ours.ok:
					cells[c.name()] = equal
				case c.possible():
					t.Errorf("both fail, and should not: %s", ours.kind())
				default:
					cells[c.name()] = bothFail
				}
			})
		}
	})
	if t.Failed() {
		return
	}
	if *update {
		var order []string
		for i := range list {
			order = append(order, list[i].name())
		}
		if err := writeDifferences(seen, order, entries); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, wrong := range check(seen, entries) {
		t.Error(wrong)
	}
	table, total := summarize(list, cells, seen, entries)
	t.Log(total + "\n" + table) // the summary of all tests shows the first line
	if *printed {
		os.Stdout.WriteString(table + "\n" + total + "\n")
	}
}

func launchBoth(t *testing.T, c *combination, ours, theirs string) (outcome, outcome) {
	t.Helper()
	var both [2]outcome
	for i, program := range []string{ours, theirs} {
		o, err := harness.Run(c.launchCase(program))
		if err != nil {
			t.Fatal(err)
		}
		both[i] = newOutcome(&o)
	}
	return both[0], both[1]
}

// summarize draws the matrix, and says what its cells are.
func summarize(list []combination, cells, seen map[string]string, entries []entry) (table, total string) {
	for name, difference := range seen {
		cells[name] = unlisted
		for i := range entries {
			if entries[i].combinations[name] && entries[i].difference == difference {
				cells[name] = letter(i)
			}
		}
	}
	counts := make(map[string]int)
	for i := range list {
		counts[cells[list[i].name()]]++
	}
	var out strings.Builder
	out.WriteString(render(cells) + "\n")
	for i, e := range entries {
		fmt.Fprintf(&out, "%s: %d times %s: %s\n", letter(i), counts[letter(i)], e.name, e.reason)
	}
	return out.String(), fmt.Sprintf("%d combinations: %d equal, %d fail in both with the same errno, %d "+
		"listed differences, %d others",
		len(list), counts[equal], counts[bothFail], len(seen)-counts[unlisted], counts[unlisted])
}
