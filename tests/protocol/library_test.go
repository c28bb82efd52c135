// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package protocol

import (
	"slices"
	"testing"

	"nsenter-cpp.example/internal/require"
	"nsenter-cpp.example/tests/internal/launch"
)

// TestVectorsByTheLibrary launches the vectors that nsenter/parent can express with it: what it makes of a message,
// and of what comes of it, is what the harness sees with its own hands.
func TestVectorsByTheLibrary(t *testing.T) {
	table := readTable(t)
	require.Root(t)
	requireLittleEndian(t)
	vectors := 0
	for i := range table {
		v := &table[i]
		runs, err := v.Runs(program)
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		for _, run := range runs {
			run := run
			if !launch.CanLibrary(run.Case) {
				continue
			}
			vectors++
			run.Case.ByLibrary = true
			t.Run(v.Name+"/"+run.Name, func(t *testing.T) {
				t.Parallel()
				outcome, err := launch.Run(run.Case)
				if err != nil {
					t.Fatal(err)
				}
				for _, difference := range v.Compare(&outcome) {
					if !slices.Contains(launch.HiddenByLibrary, difference.Field) {
						t.Errorf("%s: %s", v.Where, difference)
					}
				}
			})
		}
	}
	if vectors < 40 {
		t.Errorf("the library can express only %d launches", vectors)
	}
}
