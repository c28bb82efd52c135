// SPDX-License-Identifier: Apache-2.0

package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// NewTree is a folder with only scripts/lint in it, and a repository if that is asked for.
func newTree(t *testing.T, repository bool) string {
	t.Helper()
	dir := t.TempDir()
	mustRun(t, dir, "sh", "-c", `mkdir scripts && cp "$0" scripts/lint`, filepath.Join(workingDir(t), "lint"))
	if repository {
		mustRun(t, dir, "git", "init", "--quiet")
	}
	return dir
}

func lint(dir, check string, env ...string) (string, error) {
	cmd := exec.Command("scripts/lint", check)
	cmd.Path = filepath.Join(dir, "scripts", "lint")
	cmd.Dir = dir
	// Not what is above the temporary folder, nor what whoever runs the tests has set.
	cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir), "REQUIRE_ALL=")
	cmd.Env = append(cmd.Env, env...)
	output, err := cmd.CombinedOutput()
	return string(output), err
}

func commit(t *testing.T, dir, date, subject string) {
	t.Helper()
	mustRun(t, dir, "git", "-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false",
		"commit", "--quiet", "--allow-empty", "--date", date, "-m", subject, "-m", strings.Repeat("x", 100))
}

func TestLintSubjects(t *testing.T) {
	const before, after = "2026-11-30T11:59:59Z", "2026-11-30T12:00:00Z"
	dir := newTree(t, true)
	commit(t, dir, before, strings.Repeat("long ", 20))
	commit(t, dir, after, strings.Repeat("ü", 72))
	if output, err := lint(dir, "subjects", "REQUIRE_ALL=1"); err != nil || output != "" {
		t.Errorf("%v: %s", err, output)
	}
	commit(t, dir, after, strings.Repeat("s", 73))
	commit(t, dir, after, "Say less")
	output, err := lint(dir, "subjects")
	if err == nil || strings.Count(output, "\n") != 2 || !strings.HasSuffix(output, ": "+strings.Repeat("s", 73)+"\n") {
		t.Errorf("%v: %s", err, output)
	}
}

// In a tarball there is nothing to look at.
func TestLintSubjectsWithoutHistory(t *testing.T) {
	dir := newTree(t, false)
	output, err := lint(dir, "subjects")
	if err != nil || !strings.Contains(output, "no history") {
		t.Errorf("%v: %s", err, output)
	}
	if output, err := lint(dir, "subjects", "REQUIRE_ALL=1"); err == nil || !strings.Contains(output, "no history") {
		t.Errorf("all is required, but %v: %s", err, output)
	}
}

func TestLintColumns(t *testing.T) {
	dir := newTree(t, true)
	text := "\t" + strings.Repeat("é", 119) + "\n//go:generate " + strings.Repeat("x", 200) + "\n"
	file := filepath.Join(dir, "a.go")
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	if output, err := lint(dir, "columns"); err != nil || output != "" {
		t.Errorf("%v: %s", err, output)
	}
	if err := os.WriteFile(file, []byte(text+"// "+strings.Repeat("é", 118)+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	output, err := lint(dir, "columns")
	if err == nil || !strings.HasSuffix(output, "\na.go:3:// "+strings.Repeat("é", 118)+"\n") {
		t.Errorf("%v: %s", err, output)
	}
}
