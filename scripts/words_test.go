// SPDX-License-Identifier: Apache-2.0

package scripts

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// allowed are the places where a forbidden word of the glossary means something else. A pattern is a path, of which a
// trailing "/" stands for all below it. Every entry must be needed.
var allowed = []struct{ word, pattern, reason string }{
	{"stage 0", "docs/architecture.md", "the table of runc's names"},
	{"stage 1", "docs/architecture.md", "the table of runc's names"},
	{"stage 2", "docs/architecture.md", "the table of runc's names"},
	{"stage 1", "tests/conformance/vectors/differences.txt", "error texts of runc's C code"},
	{"netlink payload", "tests/conformance/vectors/differences.txt", "error texts of runc's C code"},
	{"original", "LICENSE", "the text of the licence"},
	{"original", "docs/decisions/0010-one-memory.md", "a process that is copied, in general"},
	{"original", "nsenter/within/", "a file that is copied"},
	{"original", "tests/model/", "the process of the model that has threads"},
	{"original", "tests/tools/mutate/", "the source that a mutant is made of"},
	{"first process", "nsenter/parent/init.go", "a session's first process group"},
	{"first process", "tests/system/platforms/", "pid 1 of a machine or a namespace"},
	{"child process", "nsenter/parent/fatal.go", "a text of strerror(3)"},
	{"child process", "tests/system/runc/main_test.go", "processes that runc has left behind"},
	{"frame", "docs/architecture.md", "the table of the frames of within"},
	{"frame", "nsenter/within/", "a frame of within"},
	{"frame", "docs/decisions/0012-newer-go-in-the-root-module.md", "a frame of within"},
	{"frame", "docs/pictures/within-call.txt", "a frame of within"},
	{"frame", "scripts/docs_test.go", "the test of the table of the frames of within"},
	{"frame", "CMakeLists.txt", "an option of the compiler"},
	{"rpc", "nsenter/within/nss.go", "a database of nsswitch.conf(5)"},
	{"rpc", "tests/bench/contestant/large.go", "a package of Go's"},
	{"mutation", "tests/fuzz/script.h", "a change that libFuzzer makes to an input"},
}

// A term is a row of the glossary.
type term struct {
	words   []string // one, or several that belong together
	instead []string // words that nobody uses for it
}

var (
	glossaryRow = regexp.MustCompile(`^\| ([^|]+) \| [^|]+ \| ([^|]+) \| [^|]+ \|$`)
	camelCase   = regexp.MustCompile(`([a-z0-9])([A-Z])`)
)

const glossaryHeading = "## Our own names"

// readGlossary reads the tables below the heading of the glossary. Each has four columns: the word, its meaning, the
// words that are not used for it, and where it is defined.
func readGlossary(t *testing.T) (terms []term, rest string) {
	t.Helper()
	text, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	inside := false
	for _, line := range strings.SplitAfter(string(text), "\n") {
		if strings.HasPrefix(line, "## ") {
			inside = strings.TrimSpace(line) == glossaryHeading
		}
		if !inside {
			rest += line
			continue
		}
		rest += "\n" // so that lines keep their numbers
		row := glossaryRow.FindStringSubmatch(strings.TrimSpace(line))
		if row == nil || row[1] == "word" {
			if strings.HasPrefix(line, "|") && row == nil && !strings.HasPrefix(line, "|---") {
				t.Errorf("a row of the glossary has not four columns: %s", line)
			}
			continue
		}
		words := strings.Split(strings.ReplaceAll(row[1], "`", ""), ", ")
		instead := strings.Split(strings.ToLower(row[2]), ", ")
		terms = append(terms, term{words, instead})
	}
	return terms, rest
}

// asWritten matches a word of the glossary, or several, also where a line of text or of a comment ends between them.
func asWritten(words string) *regexp.Regexp {
	gap := `(?:[ -]|[ \t]*\n[ \t]*(?://+|#|\*)?[ \t]*)`
	return regexp.MustCompile(`(?i)\b` + strings.Join(strings.Fields(regexp.QuoteMeta(words)), gap) + `(?:s|es)?\b`)
}

// forbidden finds a word that is not the project's in a text. It passes over places where it is a part of one that is.
func forbidden(text, word string, terms []term) (lines []int) {
	for _, t := range terms {
		for _, ours := range t.words {
			if ours != word && strings.Contains(" "+strings.ToLower(ours)+" ", " "+word+" ") {
				text = asWritten(ours).ReplaceAllStringFunc(text, blank)
			}
		}
	}
	if !strings.Contains(word, " ") {
		text = camelCase.ReplaceAllString(text, "$1 $2")
	}
	for _, at := range asWritten(word).FindAllStringIndex(text, -1) {
		lines = append(lines, 1+strings.Count(text[:at[0]], "\n"))
	}
	return lines
}

func blank(text string) string { return strings.Repeat("\n", strings.Count(text, "\n")) }

// TestOneWordForOneThing demands that no text in the tree has a word that the glossary of docs/architecture.md forbids,
// and that the glossary forbids some for each of its words.
func TestOneWordForOneThing(t *testing.T) {
	terms, glossaryless := readGlossary(t)
	if len(terms) < 50 {
		t.Errorf("the glossary has only %d rows", len(terms))
	}
	texts := readTexts(t, "..")
	texts["docs/architecture.md"] = glossaryless
	delete(texts, "scripts/words_test.go")
	lower := make(map[string]string)
	for file, text := range texts {
		lower[file] = strings.ToLower(text)
	}
	needed := make([]bool, len(allowed))
	seen := make(map[string]bool)
	for _, term := range terms {
		for _, word := range term.words {
			if seen[word] {
				t.Errorf("%q has two rows in the glossary", word)
			}
			seen[word] = true
			used := asWritten(word)
			if !anyMatches(texts, used) {
				t.Errorf("%q is in the glossary and in no text", word)
			}
		}
		for _, word := range term.instead {
			for file, text := range texts {
				// Most files are done with here: regular expressions take long.
				if !strings.Contains(lower[file], strings.Fields(word)[0]) {
					continue
				}
				for _, line := range forbidden(text, word, terms) {
					if !isAllowed(word, file, needed) {
						t.Errorf("%s:%d: %q is not our word: the glossary of docs/architecture.md says %q", file, line, word,
							strings.Join(term.words, ", "))
					}
				}
			}
		}
	}
	for i, a := range allowed {
		if !needed[i] {
			t.Errorf("%q is allowed in %s (%s) and not there", a.word, a.pattern, a.reason)
		}
	}
}

func anyMatches(texts map[string]string, wanted *regexp.Regexp) bool {
	for _, text := range texts {
		if wanted.MatchString(text) {
			return true
		}
	}
	return false
}

func isAllowed(word, file string, needed []bool) bool {
	found := false
	for i, a := range allowed {
		if a.word == word && (a.pattern == file || strings.HasSuffix(a.pattern, "/") && strings.HasPrefix(file, a.pattern)) {
			needed[i], found = true, true
		}
	}
	return found
}

// TestForbiddenWords demands that a planted synonym is found.
func TestForbiddenWords(t *testing.T) {
	terms := []term{{words: []string{"stack frame"}}, {words: []string{"frame"}}}
	for _, tt := range []struct {
		text, word string
		lines      int
	}{
		{"the launcher starts it", "launcher", 1},
		{"func buildLauncher() {", "launcher", 1},
		{"kLauncherPath, launchers", "launcher", 2},
		{"launch, launched", "launcher", 0},
		{"in stage-1 and\n// stage\n// 1", "stage 1", 2},
		{"stage1_pid", "stage 1", 0},
		{"on a stack frame", "frame", 0},
		{"on a stack\n/// frame", "frame", 0},
		{"in the frame", "frame", 1},
	} {
		if lines := forbidden(tt.text, tt.word, terms); len(lines) != tt.lines {
			t.Errorf("%q in %q: lines %v", tt.word, tt.text, lines)
		}
	}
}

// readTexts reads what is text in the tree, but for folders that are built, pictures, and what programs write.
func readTexts(t *testing.T, root string) map[string]string {
	t.Helper()
	texts := make(map[string]string)
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if notInTree.MatchString(entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		name, err := filepath.Rel(root, file)
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		if e := path.Ext(name); e == ".svg" || e == ".sum" || e == ".hex" {
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil || bytes.IndexByte(text, 0) >= 0 {
			return err
		}
		texts[filepath.ToSlash(name)] = string(text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// freeRelative is the beginning of a sentence that has a clause where a noun could be: "What is left is ...". It is
// looked for in the middle of a text: at its beginning it may say what the thing below it is.
var freeRelative = regexp.MustCompile(
	`[.:;!?)"*] ((?:What|Whatever|Who|Whoever|Whom|Whose|Whichever) [^.?|]*[.?|])`)

var commentLine = regexp.MustCompile(`^\s*(?://+|\*|/\*) ?(.*)`)

// TestSentencesBeginWithNouns demands it of the documents, and of the comments in C++ and Go.
func TestSentencesBeginWithNouns(t *testing.T) {
	for file, text := range readTexts(t, "..") {
		var blocks []string
		switch path.Ext(file) {
		case ".md":
			blocks = paragraphs(text)
		case ".go", ".cc", ".c", ".h", ".pml":
			blocks = comments(text)
		}
		for _, block := range blocks {
			for _, sentence := range free(block) {
				t.Errorf("%s: begin this with a noun: %s", file, sentence)
			}
		}
	}
}

// TestFreeRelatives demands that planted sentences are found.
func TestFreeRelatives(t *testing.T) {
	const source = "// It ends. What is left\n// is nothing.\nfunc f() {}\n// What f does. Who knows?\n"
	var found []string
	for _, block := range comments(source) {
		found = append(found, free(block)...)
	}
	for _, block := range paragraphs("# What it is\nIt ends.\n\nWho reads?\n\n- First. Whoever waits,\n  waits.\n") {
		found = append(found, free(block)...)
	}
	if got := strings.Join(found, "|"); got != "What is left is nothing.|Whoever waits, waits." {
		t.Error(got)
	}
}

// paragraphs are those of a text in Markdown, without its headings.
func paragraphs(text string) (blocks []string) {
	var lines []string
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "#") {
			line = ""
		}
		lines = append(lines, line)
	}
	return strings.Split(strings.Join(lines, "\n"), "\n\n")
}

// comments are the blocks of lines that have only a comment.
func comments(source string) (blocks []string) {
	block := ""
	for _, line := range append(strings.Split(source, "\n"), "") {
		if found := commentLine.FindStringSubmatch(line); found != nil {
			block += found[1] + "\n"
		} else if block != "" {
			blocks = append(blocks, block)
			block = ""
		}
	}
	return blocks
}

// free finds sentences that begin with a free relative, and are no questions.
func free(block string) (sentences []string) {
	for _, found := range freeRelative.FindAllStringSubmatch(strings.Join(strings.Fields(block), " "), -1) {
		if !strings.HasSuffix(found[1], "?") {
			sentences = append(sentences, found[1])
		}
	}
	return sentences
}
