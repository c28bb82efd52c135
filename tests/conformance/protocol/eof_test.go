// SPDX-License-Identifier: Apache-2.0

//go:build linux

package protocol

import (
	"fmt"
	"strings"
	"testing"

	"nsenter-cpp.example/internal/testutil"
	"nsenter-cpp.example/tests/internal/harness"
	"nsenter-cpp.example/tests/internal/vectors"
)

// TestEOFAnywhere cuts a message off behind each of its bytes: nothing of it may be done, and one
// line says how much was missing.
func TestEOFAnywhere(t *testing.T) {
	table := readTable(t)
	testutil.RequireRoot(t)
	requireLittleEndian(t)
	var whole *vectors.Vector
	for i := range table {
		if table[i].Name == "captured-run-join-net" {
			whole = &table[i]
		}
	}
	if whole == nil {
		t.Fatal("the vector captured-run-join-net is gone")
	}
	for size := 0; size < len(whole.Message); size++ {
		size := size
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			o, err := harness.Run(harness.Case{
				Program: program,
				Env:     []string{"_LIBCONTAINER_INITPIPE=3", "_LIBCONTAINER_LOGPIPE=4"},
				Fixture: "plain",
				Message: whole.Message[:size],
				Shut:    true,
				Order:   harness.ReadFirst,

				Deadline: deadline(),
			})
			if err != nil {
				t.Fatal(err)
			}
			checkRefused(t, &o, fmt.Sprintf("ended after %d of ", size))
		})
	}
}

// checkRefused wants one line, with a text in it, to be all that has come of a launch.
func checkRefused(t *testing.T, o *harness.Outcome, text string) {
	t.Helper()
	if o.Status != "1" || o.Hang != "" || len(o.Left) > 0 || o.Initpipe != "" || o.Stdout != "" || o.Stderr != "" {
		t.Errorf("not a plain failure: %+v", *o)
	}
	if len(o.Fatal) != 1 || !strings.Contains(o.Fatal[0], text) {
		t.Errorf("want one fatal line with %q, got %q", text, o.Fatal)
	}
}
