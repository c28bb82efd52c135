// SPDX-License-Identifier: Apache-2.0

package runc_test

import (
	"os"
	"path/filepath"
	"testing"
)

// TestOlderVersions: the other minor versions that docs/runc.md names, built as it says there. 1.2.8 has parts of its
// own source in other modules, which a copy of its module does not have; 1.2.7 has all of it. All the
// other tests are of the version in go.mod.
func TestOlderVersions(t *testing.T) {
	requireMachine(t)
	for _, version := range []string{"v1.2.7", "v1.3.7", "v1.4.4"} {
		src, err := sourceOf(runcModule + "@" + version)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(src, "vendor")); err != nil {
			t.Fatal(err)
		}
		show(t, []string{"RUNC=" + src},
			`go -C "$NSENTER" run ./cmd/runc-overlay "$RUNC" >"$RUNC.overlay.json"`,
			`go -C "$RUNC" build -tags seccomp -overlay "$RUNC.overlay.json" -o runc .`)
		checkRuns(t, version, filepath.Join(src, "runc"), false)
	}
}
