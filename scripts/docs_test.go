// SPDX-License-Identifier: Apache-2.0

package scripts

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNamesInArchitecture demands that docs/architecture.md, and the texts of its pictures, name nothing that is not in
// the tree any more: what stands in backticks and looks like a path, or like a name of C++ or Go, and what is linked.
func TestNamesInArchitecture(t *testing.T) {
	s := readSources(t, "..")
	pages, err := filepath.Glob("../docs/pictures/*.txt")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pictures: %v", err)
	}
	named := 0
	for _, page := range append(pages, "../docs/architecture.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		missing, checked := s.missing(string(text), filepath.Dir(page))
		for _, name := range missing {
			t.Errorf("%s: %s", page, name)
		}
		named += checked
	}
	if named < 250 {
		t.Errorf("only %d names and links were found", named)
	}
}

// TestFramesInArchitecture demands a row for each frame, with its byte.
func TestFramesInArchitecture(t *testing.T) {
	source, err := os.ReadFile("../nsenter/within/frame.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	frames := regexp.MustCompile(`(?m)^\t(frame[A-Z][a-z]+) +frameKind = '(.)'`).FindAllStringSubmatch(string(source), -1)
	if len(frames) < 10 {
		t.Errorf("only %d frames were found", len(frames))
	}
	for _, f := range frames {
		if row := "| `" + f[1] + "` | `" + f[2] + "` |"; !strings.Contains(string(page), row) {
			t.Errorf("docs/architecture.md has no row %s", row)
		}
	}
}

// TestMissingNames demands that a name that is wrong is found.
func TestMissingNames(t *testing.T) {
	s := sources{
		root:  "..",
		words: map[string]bool{"Helper": true, "Start": true, "kReported": true, "r": true, "init_pid": true},
		bases: map[string]bool{"log.h": true},
	}
	for _, tt := range []struct {
		text    string
		missing string // the only one, or none
	}{
		{"`Helper`, `Helper::Start`, `Helper.Start`, `kReported`, `r`, `init_pid`, `Start()`", ""},
		{"`Helpr`", `no source has the name "Helpr"`},
		{"`Helper::Stop`", `no source has the name "Stop"`},
		{"`Stop()`", `no source has the name "Stop"`},
		{"`kRejected`", `no source has the name "kRejected"`},
		{"`scripts/lint`, `log.h`, `/proc/self`, `go run ./scripts`, `two words`, `{\"a\":1}`, `nsexec-1`", ""},
		{"`cpp/no_such.cc`", `"cpp/no_such.cc" is not in the tree`},
		{"`no_such.cc`", `"no_such.cc" is not in the tree`},
		{"`go run ./docs/no_such`", `"./docs/no_such" is not in the tree`},
		{"[a](docs_test.go), [b](#b), [c](https://c.example/d), [e](../README.md#f)", ""},
		{"[a](no_such.md#b)", `"no_such.md" is linked and not in the tree`},
	} {
		missing, _ := s.missing(tt.text, ".")
		if got := strings.Join(missing, "\n"); got != tt.missing {
			t.Errorf("%s: %q; want %q", tt.text, got, tt.missing)
		}
	}
}

// TestStepsInArchitecture demands that each function of the table of steps is in a file of its row.
func TestStepsInArchitecture(t *testing.T) {
	text, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	steps := 0
	for _, line := range strings.Split(string(text), "\n") {
		cells := strings.Split(line, "|")
		if !stepLike.MatchString(line) || len(cells) != 7 {
			continue
		}
		steps++
		has := make(map[string]bool)
		for _, file := range codeSpan.FindAllStringSubmatch(cells[5], -1) {
			source, err := os.ReadFile(filepath.Join("..", file[1]))
			if err != nil {
				t.Errorf("%s: %v", line, err)
			}
			addWords(has, string(source))
		}
		for _, function := range codeSpan.FindAllStringSubmatch(cells[4], -1) {
			for _, name := range word.FindAllString(function[1], -1) {
				if !has[name] {
					t.Errorf("%q is not in the files of its row:\n%s", name, line)
				}
			}
		}
	}
	if steps < 20 {
		t.Errorf("only %d steps were found", steps)
	}
}

// sources is what names can be those of.
type sources struct {
	root  string
	words map[string]bool // in the sources of C++ and Go
	bases map[string]bool // of all files, without their folders
}

var (
	codeSpan  = regexp.MustCompile("`([^`]+)`")
	link      = regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)
	pathLike  = regexp.MustCompile(`^[A-Za-z0-9_.-]*/[A-Za-z0-9_./-]+$`)
	fileLike  = regexp.MustCompile(`^[A-Za-z0-9_.-]+\.(cc|h|c|go|md|txt|svg|vectors|pml)$`)
	nameLike  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*((::|\.)[A-Za-z_][A-Za-z0-9_]*)*(\(\))?$`)
	word      = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)
	comment   = regexp.MustCompile(`//.*`)
	isSource  = regexp.MustCompile(`^(cpp|parent|nsenter|internal|tests)/.*\.(cc|h|c|go)$`)
	stepLike  = regexp.MustCompile(`^\| [0-9]+ \|`)
	notInTree = regexp.MustCompile(`^(\.git|_.*)$`)
)

// readSources reads the tree, but for folders that are built.
func readSources(t *testing.T, root string) sources {
	t.Helper()
	s := sources{root: root, words: make(map[string]bool), bases: make(map[string]bool)}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if notInTree.MatchString(entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		s.bases[entry.Name()] = true
		relative, err := filepath.Rel(root, path)
		if err != nil || !isSource.MatchString(filepath.ToSlash(relative)) {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		addWords(s.words, string(text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// addWords adds the words of a source, without those of its comments.
func addWords(words map[string]bool, source string) {
	for _, found := range word.FindAllString(comment.ReplaceAllString(source, ""), -1) {
		words[found] = true
	}
}

// missing lists the names in a text, and the links, that are nowhere, and tells how many there are in all. The page
// lies in a folder.
func (s sources) missing(text, folder string) (missing []string, checked int) {
	exists := func(path string) bool {
		_, err := os.Stat(path)
		return err == nil
	}
	say := func(format string, arguments ...interface{}) {
		missing = append(missing, fmt.Sprintf(format, arguments...))
	}
	for _, span := range codeSpan.FindAllStringSubmatch(text, -1) {
		pieces := strings.Fields(span[1])
		for _, piece := range pieces {
			switch {
			case strings.HasPrefix(piece, "/"): // of a machine, not of the tree
			case pathLike.MatchString(piece):
				checked++
				if !exists(filepath.Join(s.root, piece)) {
					say("%q is not in the tree", piece)
				}
			case fileLike.MatchString(piece):
				checked++
				if !s.bases[piece] {
					say("%q is not in the tree", piece)
				}
			case len(pieces) == 1 && nameLike.MatchString(piece):
				checked++
				for _, name := range word.FindAllString(piece, -1) {
					if !s.words[name] {
						say("no source has the name %q", name)
					}
				}
			}
		}
	}
	for _, target := range link.FindAllStringSubmatch(text, -1) {
		if strings.Contains(target[1], ":") {
			continue
		}
		checked++
		if !exists(filepath.Join(folder, target[1])) {
			say("%q is linked and not in the tree", target[1])
		}
	}
	return missing, checked
}
