// SPDX-License-Identifier: Apache-2.0

package runc_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is compiled of runc is the same wherever it lies, so that the go command's build cache knows it.
const anywhere = "GOFLAGS=-trimpath"

// documented runs a command that docs/runc.md shows, in a shell with the names used there.
func documented(t *testing.T, env []string, text string) (string, error) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(repoRoot(), "docs", "runc.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "\n"+text+"\n") {
		t.Errorf("docs/runc.md does not show %s", text)
	}
	flags := anywhere
	// Where runc-overlay lies it finds by the path of its own source.
	if strings.Contains(text, " run ./cmd/runc-overlay ") {
		flags = "GOFLAGS="
	}
	env = append([]string{"NSENTER=" + repoRoot(), flags, "CGO_ENABLED=1"}, env...)
	return command(t.TempDir(), env, "sh", "-c", text)
}

// show runs documented commands that have to succeed, and returns the last one's output.
func show(t *testing.T, env []string, texts ...string) string {
	t.Helper()
	output := ""
	for _, text := range texts {
		var err error
		if output, err = documented(t, env, text); err != nil {
			t.Fatal(err)
		}
	}
	return output
}

// ownSource returns a copy of runc's source for one test to change. It lies where the last run had it,
// which is what the build cache goes by.
func ownSource(t *testing.T, name string) string {
	t.Helper()
	src, err := runcSource()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(filepath.Dir(src), name)
	for _, path := range []string{dir, dir + ".overlay.json"} {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := copyTree(src, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// checkRuns checks that a program is runc with our nsexec, and that it runs a container.
func checkRuns(t *testing.T, name, path string, static bool) {
	t.Helper()
	v := &variant{name: name, ours: true, static: static}
	if err := v.install(path); err != nil {
		t.Fatal(err)
	}
	if err := v.checkSymbols(); err != nil {
		t.Fatal(err)
	}
	checkLaunch(t, v)
	c := newContainer(t, v, nil, "id; exit 7")
	c.runc("run", containerID).outcome().contains(t, outcome{"status": "7", "stdout": "uid=0 gid=0\n", "stderr": ""})
}

func TestDocumentedOverlay(t *testing.T) {
	requireMachine(t)
	requireTools(t, "make")
	dir := ownSource(t, "overlaid")
	env := []string{"RUNC=" + dir}
	list := func() string {
		text, err := command(dir, nil, "sh", "-c", "find . -type f ! -name runc -exec sha256sum {} + | sort")
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	before := list()
	show(t, env, `go -C "$NSENTER" run ./cmd/runc-overlay "$RUNC" >"$RUNC.overlay.json"`)

	show(t, env, `go -C "$RUNC" build -tags seccomp -overlay "$RUNC.overlay.json" -o runc .`)
	checkRuns(t, "overlay", filepath.Join(dir, "runc"), false)
	show(t, env, `go -C "$RUNC" build -tags "seccomp netgo osusergo" -ldflags "-extldflags -static" -overlay `+
		`"$RUNC.overlay.json" -o runc .`)
	checkRuns(t, "overlay-static", filepath.Join(dir, "runc"), true)
	show(t, env, `make -C "$RUNC" runc EXTRA_FLAGS="-overlay=$RUNC.overlay.json" RUNC_BUILDTAGS=-libpathrs`)
	checkRuns(t, "overlay-make", filepath.Join(dir, "runc"), false)

	show(t, env, `go -C "$RUNC" test -overlay "$RUNC.overlay.json" ./libcontainer/nsenter`)
	if after := list(); after != before {
		t.Error("building with the overlay changed runc's files")
	}
}

func TestChangedImportAndVendored(t *testing.T) {
	requireMachine(t)
	dir := ownSource(t, "imported")
	env := []string{"RUNC=" + dir}
	show(t, env,
		`sed -i 's|"github.com/opencontainers/runc/libcontainer/nsenter"|"nsenter-cpp.example/nsenter"|' "$RUNC/init.go"`,
		`go -C "$RUNC" mod edit -require=nsenter-cpp.example@v0.0.0 -replace=nsenter-cpp.example="$NSENTER"`,
		`go -C "$RUNC" build -mod=mod -tags seccomp -o runc .`)
	checkRuns(t, "imported", filepath.Join(dir, "runc"), false)

	if err := os.Remove(filepath.Join(dir, "runc")); err != nil {
		t.Fatal(err)
	}
	show(t, env,
		`go -C "$RUNC" mod vendor`,
		`go -C "$RUNC" build -mod=vendor -tags seccomp -o runc .`)
	checkRuns(t, "vendored", filepath.Join(dir, "runc"), false)
}

// embedder writes a module that imports runc's nsenter in a package below its main one, and the
// imports in its main package. It lies where the last run had it.
func embedder(t *testing.T, name string, imports ...string) string {
	t.Helper()
	version, err := command(".", nil, "go", "list", "-m", "-f", "{{.Version}}", "github.com/opencontainers/runc")
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	main := "package main\n\nimport (\n"
	for _, path := range append(imports, "example.org/program/engine") {
		main += "\t_ \"" + path + "\"\n"
	}
	dir := filepath.Join(repoRoot(), "_build", "runc", name)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"go.mod": "module example.org/program\n\ngo 1.25.0\n\nrequire (\n\tgithub.com/opencontainers/runc " + version +
			"\n\tnsenter-cpp.example v0.0.0\n)\n\nreplace nsenter-cpp.example => " + repoRoot() + "\n",
		"go.sum":           string(sum),
		"main.go":          main + ")\n\nfunc main() {}\n",
		"engine/engine.go": "package engine\n\nimport _ \"github.com/opencontainers/runc/libcontainer/nsenter\"\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestVendorFolderOverlay(t *testing.T) {
	requireTools(t, "gcc", "g++")
	dir := embedder(t, "embedder")
	if _, err := command(dir, []string{"GOFLAGS="}, "go", "mod", "vendor"); err != nil {
		t.Fatal(err)
	}
	show(t, []string{"PROGRAM=" + dir},
		`go -C "$NSENTER" run ./cmd/runc-overlay "$PROGRAM/vendor" >"$PROGRAM.overlay.json"`,
		`go -C "$PROGRAM" build -overlay "$PROGRAM.overlay.json" -o program .`)
	ours, theirs, err := linkedNsexec(filepath.Join(dir, "program"))
	if err != nil {
		t.Fatal(err)
	}
	if ours == 0 || theirs != 0 {
		t.Errorf("the program has %d symbols of ours and %d of runc's C code", ours, theirs)
	}
}

// Both packages in one program: it must not link, and whoever sees that must find out why.
func TestBothLinked(t *testing.T) {
	requireTools(t, "gcc", "g++")
	dir := embedder(t, "embedder-of-both", "nsenter-cpp.example/nsenter")
	env := []string{"PROGRAM=" + dir}
	output, err := command(dir, []string{anywhere, "LC_ALL=C"}, "go", "build", "-o", os.DevNull, ".")
	if err == nil {
		t.Fatalf("a program with both packages links: %s", output)
	}
	if want := "multiple definition of `nsexec'"; strings.Count(err.Error(), "multiple definition of") != 1 ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("not just %s in\n%v", want, err)
	}
	page, err := os.ReadFile(filepath.Join(repoRoot(), "docs", "runc.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "\nmultiple definition of `nsexec'\n") {
		t.Error("docs/runc.md does not show the error")
	}

	importer := show(t, env, `go -C "$PROGRAM" list -deps -f '{{.ImportPath}}: {{join .Imports " "}}' . | `+
		`grep libcontainer/nsenter`)
	if !strings.Contains("\n"+importer, "\nexample.org/program/engine: ") {
		t.Errorf("the importer is not to be seen in %q", importer)
	}
	why := show(t, env, `go -C "$PROGRAM" mod why github.com/opencontainers/runc/libcontainer/nsenter`)
	if !strings.Contains(why, "\nexample.org/program/engine\ngithub.com/opencontainers/runc/libcontainer/nsenter") {
		t.Errorf("the chain of imports is not to be seen in %q", why)
	}
}
