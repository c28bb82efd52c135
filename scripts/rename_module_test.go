// SPDX-License-Identifier: Apache-2.0

// Package scripts tests the scripts that change sources, on copies.
package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// run runs a command in a folder and returns all that it printed.
func run(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "GOPROXY=off")
	output, err := cmd.CombinedOutput()
	return string(output), err
}

func mustRun(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	output, err := run(dir, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, output)
	}
	return output
}

// copyRepository copies the sources, without build folders.
func copyRepository(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	mustRun(t, dir, "sh", "-c", `tar -C "$0" --exclude=./.git --exclude='./_*' -cf - . | tar -xf -`, root)
	return dir
}

func TestRenameModule(t *testing.T) {
	// In two parts, so that this file is the same again after renaming there and back.
	const renamed = "example.org/" + "someone/nsenter"
	dir := copyRepository(t)
	old := strings.TrimSpace(mustRun(t, dir, "go", "list", "-m"))
	changed := strings.Fields(mustRun(t, dir, "scripts/rename-module", renamed))

	if left, err := run(dir, "grep", "-rIF", old, "."); err == nil {
		t.Errorf("%s is left in\n%s", old, left)
	}
	if got := strings.TrimSpace(mustRun(t, dir, "go", "list", "-m")); got != renamed {
		t.Errorf("the module is %s", got)
	}
	for _, path := range changed {
		if strings.Contains(path, "CMake") {
			t.Errorf("%s was changed", path)
		}
	}
	// Each nested module, as far as one can tell without fetching what it requires.
	var nested []string
	for _, pattern := range []string{"tests/*/go.mod", "tests/*/*/go.mod", "tests/*/*/*/go.mod"} {
		found, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
		if err != nil || len(found) == 0 {
			t.Fatalf("no nested modules at %s: %v", pattern, err)
		}
		nested = append(nested, found...)
	}
	for _, path := range nested {
		got := strings.TrimSpace(mustRun(t, filepath.Dir(path), "go", "mod", "edit", "-json"))
		if !strings.Contains(got, `"Path": "`+renamed+`/tests/`) {
			t.Errorf("%s: %s", path, got)
		}
	}

	if unformatted := mustRun(t, dir, "gofmt", "-l", "."); unformatted != "" {
		t.Errorf("not formatted any more: %s", unformatted)
	}
	mustRun(t, dir, "go", "vet", "./...")
	mustRun(t, dir, "go", "test", "./cmd/...")
	program := filepath.Join(t.TempDir(), "probe")
	mustRun(t, dir, "go", "build", "-o", program, "./tests/conformance/probe")
	if got := mustRun(t, dir, program); got != "nsexec returned\n" {
		t.Errorf("the renamed module's probe printed %q", got)
	}

	// It works with its new name too, back to the old one.
	mustRun(t, dir, "scripts/rename-module", old)
	if difference, err := run(dir, "diff", "-r", "--exclude=.git", "--exclude=_*", ".",
		filepath.Dir(workingDir(t))); err != nil {
		t.Errorf("renamed there and back, but\n%s", difference)
	}
}

func workingDir(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRenameModuleErrors(t *testing.T) {
	dir := copyRepository(t)
	old := strings.TrimSpace(mustRun(t, dir, "go", "list", "-m"))
	before := mustRun(t, dir, "sh", "-c", "find . -type f -exec cksum {} + | sort")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "usage:"},
		{[]string{"example.org/a", "example.org/b"}, "usage:"},
		{[]string{old}, "is " + old + " already"},
		{[]string{""}, "not a module path"},
		{[]string{"nsenter"}, "not a module path: nsenter"},
		{[]string{"example.org/a b"}, "not a module path: example.org/a b"},
		{[]string{"example.org/a|b"}, "not a module path: example.org/a|b"},
		{[]string{"example.org/nsenter/"}, "not a module path: example.org/nsenter/"},
		{[]string{"../example.org"}, "not a module path: ../example.org"},
		{[]string{"-example.org"}, "not a module path: -example.org"},
	} {
		output, err := run(dir, "scripts/rename-module", tt.args...)
		if err == nil || !strings.Contains(output, tt.want) {
			t.Errorf("%q: %v, %q; want %q", tt.args, err, output, tt.want)
		}
	}
	if after := mustRun(t, dir, "sh", "-c", "find . -type f -exec cksum {} + | sort"); after != before {
		t.Error("a refused rename changed something")
	}
}
