// SPDX-License-Identifier: Apache-2.0

//go:build linux

package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"nsenter-cpp.example/internal/testutil"
)

// BuildProbe builds tests/conformance/probe.
func BuildProbe(program string) error {
	build := exec.Command("go", "build", "-o", program, "nsenter-cpp.example/tests/conformance/probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("failed to build tests/conformance/probe: %w\n%s", err, out)
	}
	return nil
}

// BuildPeer builds the probe that is linked with runc's nsenter, a module in a folder of tests/conformance/peers.
// Plain `go test ./...` does without network: then it works only if the module cache holds what the
// peer needs.
func BuildPeer(t *testing.T, folder string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), filepath.Base(folder))
	command := exec.Command("go", "build", "-o", program, ".")
	command.Dir = folder
	command.Env = append(os.Environ(), "CGO_ENABLED=1", "GOWORK=off")
	if os.Getenv("REQUIRE_ALL") != "1" {
		command.Env = append(command.Env, "GOPROXY=off")
	}
	out, err := command.CombinedOutput()
	if err != nil {
		t.Logf("go build in %s: %v\n%s", folder, err, out)
	}
	testutil.Require(t, err == nil, "the module of tests/conformance/peers/"+filepath.Base(folder)+
		" in the module cache (`go mod download` there), and a C compiler")
	return program
}
