// SPDX-License-Identifier: Apache-2.0

package runc_test

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// A variant is one way to build runc.
type variant struct {
	name   string
	ours   bool
	static bool
	path   string // of the program, set by build
}

// The first is the reference: what it does, the others have to do.
func variants() []*variant {
	return []*variant{
		{name: "stock-dynamic"},
		{name: "stock-static", static: true},
		{name: "ours-dynamic", ours: true},
		{name: "ours-static", ours: true, static: true},
	}
}

// Those that runc's Makefile gives, less libpathrs, a library that distributions do not have yet.
const buildTags = "seccomp urfave_cli_no_docs"

// programs builds the four variants once and checks that each is what it is called.
var programs = sync.OnceValues(func() ([]*variant, error) {
	src, err := runcSource()
	if err != nil {
		return nil, err
	}
	overlay, err := writeOverlay(src)
	if err != nil {
		return nil, err
	}
	all := variants()
	for _, v := range all {
		if err := v.build(src, overlay); err != nil {
			return nil, err
		}
		if err := v.checkSymbols(); err != nil {
			return nil, err
		}
	}
	return all, nil
})

// repoRoot is the root of the module that this one is nested in.
func repoRoot() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
}

// command runs a build command and returns its standard output, with all output in the error.
func command(dir string, env []string, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOWORK=off"), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return strings.TrimSpace(stdout.String()), nil
}

const runcModule = "github.com/opencontainers/runc"

// runcSource returns a writable copy of runc's source, of the version in go.mod.
func runcSource() (string, error) { return sourceOf(runcModule) }

// sourceOf returns a writable copy of a module folder of runc's. It is kept in the repository's _build
// folder: the go command's build cache knows a folder by its path, so a second run builds nothing.
func sourceOf(module string) (string, error) {
	out, err := command(".", nil, "go", "mod", "download", "-json", module)
	if err != nil {
		return "", err
	}
	var found struct{ Dir, Version string }
	if err := decodeJSON(out, &found); err != nil {
		return "", err
	}
	dst := filepath.Join(repoRoot(), "_build", "runc", found.Version, "src")
	if _, err := os.Stat(dst); err == nil {
		return dst, nil
	}
	if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
		return "", err
	}
	// Under a name of its own until it is whole, so that an interrupted run leaves no half source.
	partial, err := os.MkdirTemp(filepath.Dir(dst), "partial-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(partial)
	if err := copyTree(found.Dir, filepath.Join(partial, "src")); err != nil {
		return "", err
	}
	if err := os.Rename(filepath.Join(partial, "src"), dst); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return dst, nil
}

// copyTree copies a folder of the module cache, where everything is read-only, to a writable one.
func copyTree(src, dst string) error {
	if err := os.CopyFS(dst, os.DirFS(src)); err != nil {
		return err
	}
	_, err := command(".", nil, "chmod", "-R", "u+w", dst)
	return err
}

// writeOverlay runs cmd/runc-overlay on dir and returns the path of the file for -overlay.
func writeOverlay(dir string) (string, error) {
	out := dir + ".overlay"
	text, err := command(repoRoot(), nil, "go", "run", "./cmd/runc-overlay", "-out", out, dir)
	if err != nil {
		return "", err
	}
	file := filepath.Join(out, "overlay.json")
	return file, os.WriteFile(file, []byte(text), 0o644)
}

// build builds the variant next to the source.
func (v *variant) build(src, overlay string) error {
	tags := buildTags
	args := []string{"build", "-trimpath"}
	if v.ours {
		args = append(args, "-overlay", overlay)
	}
	if v.static {
		tags += " netgo osusergo"
		args = append(args, "-ldflags", "-extldflags -static")
	}
	built := filepath.Join(filepath.Dir(src), "bin", v.name)
	args = append(args, "-tags", tags, "-o", built, ".")
	if _, err := command(src, []string{"CGO_ENABLED=1"}, "go", args...); err != nil {
		return err
	}
	return v.install(built)
}

// install copies a program to where every user can run it. It shows up as "runc" in logs and in /proc,
// so each has a folder of its own.
func (v *variant) install(built string) error {
	v.path = filepath.Join(scratch, v.name, "runc")
	if err := os.MkdirAll(filepath.Dir(v.path), 0o755); err != nil {
		return err
	}
	text, err := os.ReadFile(built)
	if err != nil {
		return err
	}
	return os.WriteFile(v.path, text, 0o755)
}

// Functions that runc's C code defines and ours does not, and the start of every C++ symbol of ours.
var theirSymbols = []string{"setup_logpipe", "write_log", "escape_json_string", "getenv_int"}

const ourSymbolPrefix = "_ZN7nsenter"

// linkedNsexec tells whose nsexec a program has by its symbols.
func linkedNsexec(path string) (ours, theirs int, err error) {
	file, err := elf.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer file.Close()
	symbols, err := file.Symbols()
	if err != nil {
		return 0, 0, err
	}
	for _, s := range symbols {
		if s.Section == elf.SHN_UNDEF {
			continue
		}
		if strings.HasPrefix(s.Name, ourSymbolPrefix) {
			ours++
		}
		for _, name := range theirSymbols {
			if s.Name == name {
				theirs++
			}
		}
	}
	return ours, theirs, nil
}

// checkSymbols checks that the program has the nsexec that it should, nothing of the other, and no
// libstdc++; and that static means static.
func (v *variant) checkSymbols() error {
	ours, theirs, err := linkedNsexec(v.path)
	if err != nil {
		return err
	}
	if v.ours && (ours == 0 || theirs != 0) || !v.ours && (ours != 0 || theirs != len(theirSymbols)) {
		return fmt.Errorf("%s has %d symbols of ours and %d of runc's C code", v.name, ours, theirs)
	}
	file, err := elf.Open(v.path)
	if err != nil {
		return err
	}
	defer file.Close()
	dynamic := false
	for _, prog := range file.Progs {
		dynamic = dynamic || prog.Type == elf.PT_INTERP
	}
	if dynamic == v.static {
		return fmt.Errorf("%s: dynamically linked is %v", v.name, dynamic)
	}
	libraries, err := file.ImportedLibraries()
	if err != nil && dynamic {
		return err
	}
	for _, lib := range libraries {
		if strings.HasPrefix(lib, "libstdc++") || strings.HasPrefix(lib, "libgcc_s") {
			return fmt.Errorf("%s needs %s", v.name, lib)
		}
	}
	return nil
}

// onEach runs the scenario on every variant. It checks the outcome against what is wanted, and
// against that of the reference, which also covers what nobody thought of wanting.
func onEach(t *testing.T, want outcome, scenario func(t *testing.T, v *variant) outcome) {
	t.Helper()
	var reference outcome
	onVariants(t, func(t *testing.T, v *variant) {
		got := scenario(t, v)
		got.contains(t, want)
		if v.name == variants()[0].name {
			reference = got
		}
		if reference == nil {
			t.Fatal("the reference has no outcome to compare with")
		}
		got.equals(t, reference)
	})
}

// onVariants runs a test on every variant, after a look at whether it is what it is called, and makes
// sure that no process is left.
func onVariants(t *testing.T, test func(t *testing.T, v *variant)) {
	t.Helper()
	requireMachine(t)
	all, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		t.Run(v.name, func(t *testing.T) {
			t.Cleanup(func() { noProcessLeft(t) }) // runs last
			checkLaunch(t, v)
			test(t, v)
		})
	}
}
