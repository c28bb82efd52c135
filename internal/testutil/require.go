// SPDX-License-Identifier: Apache-2.0

// Package testutil has what tests of several packages need: it leaves out what needs something that is not there, and
// says so; has processes to be joined; and demands that nothing is left. It imports no package of this project, whose
// own tests could not import it then.
package testutil

import (
	"os"
	"testing"
)

// Require leaves a test out, loudly, that needs something that is not there. With REQUIRE_ALL=1 that is a failure.
func Require(t testing.TB, there bool, what string) {
	t.Helper()
	if there {
		return
	}
	if os.Getenv("REQUIRE_ALL") == "1" {
		t.Fatalf("REQUIRE_ALL=1, and this needs %s", what)
	}
	t.Skipf("LEFT OUT: this needs %s", what)
}

// RequireRoot is Require for root.
func RequireRoot(t testing.TB) {
	t.Helper()
	Require(t, os.Geteuid() == 0, "root, to join and create namespaces")
}

// RequireAllNamespaces is Require for a kernel with all types of namespaces. 32-bit ARM has no time namespaces.
func RequireAllNamespaces(t testing.TB) {
	t.Helper()
	for _, kind := range []string{"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"} {
		_, err := os.Lstat("/proc/self/ns/" + kind)
		Require(t, err == nil, "a kernel with "+kind+" namespaces")
	}
}
