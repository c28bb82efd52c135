// SPDX-License-Identifier: Apache-2.0

//go:build linux

package build

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func readFile(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// goFiles lists files of the core as the go command sees them; kind is a field of `go list`.
func goFiles(t testing.TB, folder, kind string) []string {
	t.Helper()
	output := command{folder, nil, []string{"go", "list", "-f", "{{range ." + kind +
		"}}{{.}} {{end}}", "./cpp"}}.mustRun(t)
	return strings.Fields(output)
}

// Another module uses ours from a folder, and vendored. An edit of any file of the core is compiled in.
func TestConsumer(t *testing.T) {
	for _, vendored := range []bool{false, true} {
		name := map[bool]string{false: "replaced", true: "vendored"}[vendored]
		t.Run(name, func(t *testing.T) {
			module := copyModule(t, lastingFolder(t, name+"-module"))
			folder := consumerIn(t, lastingFolder(t, name), module, nil)
			mode, core := "-mod=mod", filepath.Join(module, "cpp")
			if vendored {
				command{folder, nil, []string{"go", "mod", "vendor"}}.mustRun(t)
				mode, core = "-mod=vendor", filepath.Join(folder, "vendor", modulePath, "cpp")
				// Nothing of it is left outside of the vendor folder.
				if err := os.RemoveAll(module); err != nil {
					t.Fatal(err)
				}
			}
			program := goBuild(t, folder, nil, mode, ".")
			checkFlows(t, program, "")
			checkEdits(t, folder, core, program, mode)
		})
	}
}

// checkEdits marks every file of the core and looks for the marks in the program. That each file alone
// makes the go command compile again is to be seen in what it hashes.
func checkEdits(t *testing.T, folder, core, program, mode string) {
	t.Helper()
	var files []string
	for _, pattern := range []string{"*.cc", "*.h"} {
		found, err := filepath.Glob(filepath.Join(core, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		t.Fatalf("no sources in %s", core)
	}

	argv := []string{"go", "build", mode, "-o", os.DevNull, "."}
	hashed := command{folder, []string{"GODEBUG=gocachehash=1"}, argv}.mustRun(t)
	for _, path := range files {
		want := "\"file " + filepath.Base(path) + " "
		found := false
		for _, line := range strings.Split(hashed, "\n") {
			if strings.HasPrefix(line, "HASH[build "+modulePath+"/cpp]") && strings.Contains(line, want) {
				found = true
			}
		}
		if !found {
			t.Errorf("an edit of %s alone would go unnoticed", filepath.Base(path))
		}
	}

	mark := func(path string) string { return "edited " + filepath.Base(path) + "." }
	for i, path := range files {
		if strings.Contains(readFile(t, program), mark(path)) {
			t.Fatalf("%s is marked before the edit", path)
		}
		variable := "edited_" + string(rune('a'+i/26)) + string(rune('a'+i%26))
		text := readFile(t, path) + "\n__attribute__((used)) static const char " + variable + "[] = \"" + mark(path) + "\";\n"
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	edited := readFile(t, goBuild(t, folder, nil, mode, "."))
	for _, path := range files {
		if !strings.Contains(edited, mark(path)) {
			t.Errorf("the edit of %s is not in the program", filepath.Base(path))
		}
	}
}

func TestReproducible(t *testing.T) {
	var programs [2][]byte
	for i := range programs {
		folder := copyModule(t, t.TempDir())
		programs[i] = []byte(readFile(t, goBuild(t, folder, nil, "-trimpath", "./tests/conformance/probe")))
		if bytes.Contains(programs[i], []byte(folder)) {
			t.Error("the program holds the path of the folder it was built in")
		}
	}
	if !bytes.Equal(programs[0], programs[1]) {
		t.Error("two builds in different folders differ")
	}
}

// Where the package cannot work the build fails, and says why.
func TestUnsupported(t *testing.T) {
	for _, env := range [][]string{
		{"CGO_ENABLED=0"},
		{"GOOS=darwin", "CGO_ENABLED=0"},
		{"GOOS=windows", "CGO_ENABLED=0"},
		{"GOOS=darwin", "CGO_ENABLED=1"},
	} {
		t.Run(strings.Join(env, " "), func(t *testing.T) {
			command{root(t), env, []string{"go", "build", "./nsenter"}}.mustFail(t, "nsenter_needs_linux_and_cgo")
			doc := command{root(t), env, []string{"go", "doc", "./nsenter"}}.mustRun(t)
			if !strings.Contains(doc, "Package nsenter puts") {
				t.Errorf("go doc prints %q", doc)
			}
		})
	}
}

// A compiler without C++20 is told so.
func TestOldCxxStandard(t *testing.T) {
	// The last -std counts, and CGO_CXXFLAGS comes first: so the compiler itself has to be old.
	folder := t.TempDir()
	compiler := filepath.Join(folder, "c++")
	writeFiles(t, folder, map[string]string{"c++": "#!/bin/sh\nexec g++ \"$@\" -std=c++17\n"})
	if err := os.Chmod(compiler, 0o755); err != nil {
		t.Fatal(err)
	}
	command{root(t), []string{"CXX=" + compiler}, []string{"go", "build", "./cpp"}}.mustFail(t,
		"nsenter needs a C++20 compiler")
}

// A program that links another nsexec as well does not link, and the linker says because of what.
func TestSecondNsexec(t *testing.T) {
	folder := consumer(t, root(t), map[string]string{
		"main.go": "package main\n\nimport (\n\t_ \"consumer.example/second\"\n\t_ \"" + modulePath +
			"/nsenter\"\n)\n\nfunc main() {}\n",
		"second/second.go": `package second

// void nsexec(void) {}
// static void __attribute__((constructor)) init(void) { nsexec(); }
import "C"
`,
	})
	output := command{folder, nil, []string{"go", "build", "-o", os.DevNull, "."}}.mustFail(t,
		"multiple definition of `nsexec'")
	if got := strings.Count(output, "multiple definition of"); got != 1 {
		t.Errorf("%d symbols clash:\n%s", got, output)
	}
}
