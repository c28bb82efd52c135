// SPDX-License-Identifier: Apache-2.0

// Package require leaves tests out that need what is not there, and says so.
package require

import (
	"os"
	"testing"
)

// That leaves a test out, loudly, that needs something that is not there. With REQUIRE_ALL=1 that is a failure.
func That(t testing.TB, there bool, what string) {
	t.Helper()
	if there {
		return
	}
	if os.Getenv("REQUIRE_ALL") == "1" {
		t.Fatalf("REQUIRE_ALL=1, and this needs %s", what)
	}
	t.Skipf("LEFT OUT: this needs %s", what)
}

// Root is That for root.
func Root(t testing.TB) {
	t.Helper()
	That(t, os.Geteuid() == 0, "root, to join and create namespaces")
}
