// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package peers runs the vector table against runc's own C code, which speaks the same netlink
// protocol, and holds the differences to a written list: tests/conformance/vectors/differences.txt.
package peers

import (
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"nsenter-cpp.example/internal/testutil"
	"nsenter-cpp.example/tests/internal/harness"
	"nsenter-cpp.example/tests/internal/vectors"
)

var update = flag.Bool("update", false,
	"write tests/conformance/vectors/differences.txt anew; reasons are kept, new ones are for you to write")

// peerNames are the nested modules below this folder: the probe, linked with runc's nsenter.
var peerNames = []string{"runc12", "runc15"}

const (
	table           = "../vectors"
	differencesFile = "../vectors/differences.txt"

	// missingReason is what -update writes for somebody to replace.
	missingReason = "TODO"

	// deadline bounds the messages that runc's C code never comes to an end with.
	deadline = 5 * time.Second
	// patience is for all others, when the machine is so busy that they were not over either.
	patience = 40 * time.Second
)

func TestMain(m *testing.M) {
	harness.Main()
	flag.Parse()
	// Most of the time is spent on waiting for what never comes.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// observed collects the differences of all peers.
type observed struct {
	sync.Mutex
	byKey map[key][]vectors.Difference
}

type key struct{ vector, peer string }

func TestPeers(t *testing.T) {
	list, err := vectors.Read(table)
	if err != nil {
		t.Fatal(err)
	}
	testutil.RequireRoot(t)
	entries, err := readDifferences(list)
	if err != nil {
		t.Fatal(err)
	}
	seen := &observed{byKey: make(map[key][]vectors.Difference)}
	leftOut := make(map[string]bool)
	complete := t.Run("vectors", func(t *testing.T) {
		for _, peer := range peerNames {
			program := harness.BuildPeer(t, peer)
			left, beyond := 0, 0
			for i := range list {
				v := &list[i]
				if v.Protocol() == "classic" {
					left++
					continue
				}
				if v.Get("beyond-runc", "") != "" {
					beyond++
				}
				lacks := v.Lacks()
				if lacks != "" {
					leftOut[v.Name] = true
				}
				peer := peer
				t.Run(peer+"/"+v.Name, func(t *testing.T) {
					t.Parallel()
					testutil.Require(t, lacks == "", lacks)
					k := key{v.Name, peer}
					seen.add(k, differences(t, v, program, entries[k].hangs()))
				})
			}
			t.Logf("%s: %d vectors compared, of which %d are beyond it; %d of the classic protocol, which it "+
				"does not speak, left out",
				peer, len(list)-left, beyond, left)
		}
	})
	if !complete {
		return
	}
	if *update {
		writeDifferences(t, seen.byKey, entries)
		return
	}
	for k, list := range seen.byKey {
		entry, there := entries[k]
		if !there {
			t.Errorf("[%s] %s: a difference that %s does not list:\n%s", k.vector, k.peer, differencesFile, show(list))
			continue
		}
		if show(entry.list) != show(list) {
			t.Errorf("%s: [%s] %s: the difference is another one now.\nlisted:\n%s\nseen:\n%s", entry.where, k.vector, k.peer,
				show(entry.list), show(list))
		}
	}
	for k, entry := range entries {
		if _, there := seen.byKey[k]; !there && !leftOut[k.vector] {
			t.Errorf("%s: [%s] %s: no longer differs", entry.where, k.vector, k.peer)
		}
	}
	if !t.Failed() {
		t.Logf("%d differences, each as listed", len(seen.byKey))
	}
}

func (o *observed) add(k key, list []vectors.Difference) {
	if len(list) == 0 {
		return
	}
	o.Lock()
	defer o.Unlock()
	o.byKey[k] = list
}

// differences launches a vector in all its ways, which must differ alike. Of a vector that is beyond
// runc nothing is returned: it is only held to that.
func differences(t *testing.T, v *vectors.Vector, program string, hangs bool) []vectors.Difference {
	t.Helper()
	runs, err := v.Runs(program)
	if err != nil {
		t.Fatal(err)
	}
	// runc's C code reads a message with one call, so what it makes of pieces depends on the moment.
	for i := range runs {
		runs[i].Case.Piece = 0
	}
	beyond := v.Get("beyond-runc", "") != ""
	if beyond {
		runs = runs[:1]
	}
	var first []vectors.Difference
	for i, run := range runs {
		run.Case.Deadline = deadline
		outcome, err := harness.Run(run.Case)
		if err != nil {
			t.Fatal(err)
		}
		if outcome.Hang != "" && !hangs && !beyond {
			run.Case.Deadline = patience
			if outcome, err = harness.Run(run.Case); err != nil {
				t.Fatal(err)
			}
		}
		list := v.Compare(&outcome)
		if i == 0 {
			first = list
		} else if show(list) != show(first) {
			t.Errorf("%s: %s and %s differ otherwise:\n%s\n%s", v.Where, runs[0].Name, run.Name, show(first), show(list))
		}
	}
	if beyond {
		if len(first) == 0 {
			t.Errorf("%s: [%s] is said to be beyond runc, and is not", v.Where, v.Name)
		}
		return nil
	}
	return first
}

func show(list []vectors.Difference) string {
	var lines []string
	for _, d := range list {
		lines = append(lines, fmt.Sprintf("field: %s\ntable: %s\nrunc: %s", d.Field, d.Want, d.Got))
	}
	return strings.Join(lines, "\n")
}

type entry struct {
	where  string
	reason string
	list   []vectors.Difference
}

// Hangs tells whether runc's C code is known not to come to an end.
func (e entry) hangs() bool {
	for _, d := range e.list {
		if d.Field == "hang" {
			return true
		}
	}
	return false
}

// neverDiffers are fields of valid vectors that no entry may cover.
func neverDiffers(field string) bool {
	switch field {
	case "uid", "gid", "groups", "uid-map", "gid-map", "setgroups", "status", "init-status", "init", "hang", "initpipe":
		return true
	}
	return strings.HasPrefix(field, "ns.")
}

func readDifferences(list []vectors.Vector) (map[key]entry, error) {
	byName := make(map[string]*vectors.Vector)
	for i := range list {
		byName[list[i].Name] = &list[i]
	}
	sections, err := vectors.ReadSections(differencesFile)
	if err != nil {
		return nil, err
	}
	entries := make(map[key]entry)
	for i := range sections {
		s := &sections[i]
		v := byName[s.Name]
		if v == nil {
			return nil, fmt.Errorf("%s: there is no vector %s", s.Where, s.Name)
		}
		e := entry{where: s.Where, reason: s.Get("reason", missingReason)}
		if e.reason == missingReason && !*update {
			return nil, fmt.Errorf("%s: [%s] gives no reason", s.Where, s.Name)
		}
		fields, ours, theirs := s.All("field"), s.All("table"), s.All("runc")
		if len(fields) == 0 || len(ours) != len(fields) || len(theirs) != len(fields) {
			return nil, fmt.Errorf("%s: [%s] wants field, table and runc, one after the other", s.Where, s.Name)
		}
		for i, field := range fields {
			if !v.Broken() && neverDiffers(field) {
				return nil, fmt.Errorf("%s: [%s] is valid, and no entry may cover its %s", s.Where, s.Name, field)
			}
			e.list = append(e.list, vectors.Difference{Field: field, Want: ours[i], Got: theirs[i]})
		}
		peers := strings.Fields(s.Get("peers", ""))
		if len(peers) == 0 {
			return nil, fmt.Errorf("%s: [%s] names no peers", s.Where, s.Name)
		}
		for _, peer := range peers {
			k := key{s.Name, peer}
			if _, there := entries[k]; there {
				return nil, fmt.Errorf("%s: [%s] %s stands twice", s.Where, s.Name, peer)
			}
			entries[k] = e
		}
	}
	return entries, nil
}

// writeDifferences writes the list anew, in the order of names; entries that are the same for all
// peers become one.
func writeDifferences(t *testing.T, byKey map[key][]vectors.Difference, old map[key]entry) {
	t.Helper()
	text, err := os.ReadFile(differencesFile)
	if err != nil {
		t.Fatal(err)
	}
	var head []string // the comment at the top
	for _, line := range strings.Split(string(text), "\n") {
		if !strings.HasPrefix(line, "#") {
			break
		}
		head = append(head, line)
	}
	merged := make(map[string][]string) // section without its peers line -> peers
	var order []string
	var keys []key
	for k := range byKey {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		if keys[i].vector != keys[j].vector {
			return keys[i].vector < keys[j].vector
		}
		return keys[i].peer < keys[j].peer
	})
	for _, k := range keys {
		reason := old[k].reason
		if reason == "" {
			reason = missingReason
		}
		section := fmt.Sprintf("[%s]\npeers: %%s\nreason: %s\n%s\n", k.vector,
			strings.ReplaceAll(reason, "%", "%%"), strings.ReplaceAll(show(byKey[k]), "%", "%%"))
		if merged[section] == nil {
			order = append(order, section)
		}
		merged[section] = append(merged[section], k.peer)
	}
	out := strings.Join(head, "\n") + "\n"
	for _, section := range order {
		out += "\n" + fmt.Sprintf(section, strings.Join(merged[section], " "))
	}
	if err := os.WriteFile(differencesFile, []byte(out), 0o644); err != nil {
		t.Fatal(err)
	}
}
