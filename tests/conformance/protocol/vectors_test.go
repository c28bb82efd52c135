// SPDX-License-Identifier: Apache-2.0

//go:build linux

package protocol

import (
	"encoding/binary"
	"strings"
	"testing"
	"unsafe"

	"nsenter-cpp.example/internal/testutil"
	"nsenter-cpp.example/tests/internal/harness"
	"nsenter-cpp.example/tests/internal/vectors"
)

func readTable(t *testing.T) []vectors.Vector {
	t.Helper()
	table, err := vectors.Read("../vectors")
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// requireLittleEndian: the messages of the table are in that order.
func requireLittleEndian(t *testing.T) {
	t.Helper()
	one := uint16(1)
	testutil.Require(t, *(*byte)(unsafe.Pointer(&one)) == 1, "a little-endian machine")
}

// TestVectors launches every vector of the table. With -test.short, for machines where a system call takes its time,
// a message is not written in more than a thousand pieces.
func TestVectors(t *testing.T) {
	table := readTable(t)
	testutil.RequireRoot(t)
	requireLittleEndian(t)
	if !harness.OwnersAreTold() {
		t.Log("LEFT OUT: who owns a new namespace, which this kernel does not tell a 32-bit process")
	}
	for i := range table {
		v := &table[i]
		runs, err := v.Runs(program)
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		for _, run := range runs {
			run := run
			t.Run(v.Name+"/"+run.Name, func(t *testing.T) {
				t.Parallel()
				lacks := v.Lacks()
				testutil.Require(t, lacks == "", lacks)
				saysType := strings.Contains(v.ErrorText(), ": it is a ")
				testutil.Require(t, !saysType || harness.OwnersAreTold(), "a kernel that tells this process a namespace's type")
				if piece := run.Case.Piece; testing.Short() && piece > 0 && len(v.Message)/piece > 1000 {
					t.Skip("LEFT OUT: with -test.short not so many pieces")
				}
				run.Case.Deadline = deadline()
				outcome, err := harness.Run(run.Case)
				if err != nil {
					t.Fatal(err)
				}
				if v.AsksForTime() && !harness.HasNamespace("time") {
					// Here it can be seen that this is said, and no more.
					checkRefused(t, &outcome, "time")
					testutil.Require(t, false, "a kernel with time namespaces")
				}
				for _, difference := range v.Compare(&outcome) {
					t.Errorf("%s: %s", v.Where, difference)
				}
			})
		}
	}
}

// TestTable holds the table to what it promises: enough vectors, and none of the broken ones there
// for the same reason as another.
func TestTable(t *testing.T) {
	table := readTable(t)
	var broken, captured, branches int
	expects := make(map[string]string)
	for i := range table {
		v := &table[i]
		if v.Captured() {
			captured++
			if v.Broken() {
				t.Errorf("%s: [%s] is captured and broken", v.Where, v.Name)
			}
			// What runc sent is one message of the type and the length that it says.
			if len(v.Message) < 16 || binary.LittleEndian.Uint32(v.Message) != uint32(len(v.Message)) {
				t.Errorf("%s: [%s] is no whole message", v.Where, v.Name)
			}
		}
		if !v.Broken() {
			continue
		}
		broken++
		if v.Get("branch", "") != "" {
			branches++
			continue
		}
		text := v.ErrorText()
		if other := expects[text]; other != "" {
			t.Errorf("%s: [%s] expects the same as [%s], and no branch: says why: %s", v.Where, v.Name, other, text)
		}
		expects[text] = v.Name
	}
	t.Logf("%d vectors: %d broken (%d alone expect their text, %d alone reach a branch), %d valid, %d of them captured",
		len(table), broken, broken-branches, branches, len(table)-broken, captured)
	if len(table) < 60 || broken < 35 || captured < 15 {
		t.Errorf("too few: at least 60 vectors, 35 broken and 15 captured are wanted")
	}
}
