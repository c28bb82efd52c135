// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A place is a line of a file in cpp/.
type place struct {
	file string
	line int
}

// A branch is one of the two ways that a condition can go. A condition that stands in a macro is one for
// each use of the macro: then position begins with where that is.
type branch struct {
	place
	position string
	taken    bool
}

// A reached set has an entry for each line or branch that can be reached: true if it was.
type (
	reachedLines    map[place]bool
	reachedBranches map[branch]bool
)

// ReadGcov has gcov read what each object of a compiler's builds has counted. A line may be in several
// objects, a template's in many.
func readGcov(c *compiler, source string) (reachedLines, error) {
	lines := reachedLines{}
	for _, b := range c.builds() {
		var notes []string
		err := filepath.Walk(b.folder, func(path string, _ os.FileInfo, err error) error {
			if strings.HasSuffix(path, ".gcno") {
				notes = append(notes, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(notes) == 0 {
			return nil, fmt.Errorf("no .gcno in %s", b.folder)
		}
		output, err := exec.Command("gcov", append([]string{"--json-format", "--stdout"}, notes...)...).Output()
		if err != nil {
			return nil, describe("gcov", err)
		}
		if err := lines.addGcov(output, source); err != nil {
			return nil, err
		}
	}
	return lines, nil
}

func (lines reachedLines) addGcov(output []byte, source string) error {
	decoder := json.NewDecoder(bytes.NewReader(output))
	for {
		var object struct {
			Files []struct {
				File  string
				Lines []struct {
					Number int `json:"line_number"`
					Count  int64
				}
			}
		}
		if err := decoder.Decode(&object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("gcov's output: %w", err)
		}
		for _, f := range object.Files {
			name, ok := within(source, f.File)
			if !ok {
				continue
			}
			for _, l := range f.Lines {
				at := place{name, l.Number}
				lines[at] = lines[at] || l.Count > 0
			}
		}
	}
}

// Within tells the name of a file in a folder.
func within(folder, file string) (string, bool) {
	name, err := filepath.Rel(folder, filepath.Clean(file))
	if err != nil || strings.HasPrefix(name, "..") {
		return "", false
	}
	return name, true
}

// ReadLlvmCov reads what each program has counted on its own: clang has fewer counters than branches and
// calculates the rest, which goes wrong where one process enters a function and two leave it. That is less
// than nothing then, and must not be added to what another program has.
func readLlvmCov(c *compiler, source string) (reachedBranches, error) {
	branches := reachedBranches{}
	for _, b := range c.builds() {
		for _, counted := range b.counted {
			raw, profile := counted.file+".profraw", counted.file+".profdata"
			if err := quietly("profdata", nil, "llvm-profdata-19", "merge", raw, "-o", profile); err != nil {
				return nil, err
			}
			output, err := exec.Command("llvm-cov-19", "export", "-instr-profile="+profile, counted.program).Output()
			if err != nil {
				return nil, describe("llvm-cov-19", err)
			}
			if err := branches.addLlvmCov(output, source); err != nil {
				return nil, fmt.Errorf("%s: %w", counted.file, err)
			}
		}
	}
	return branches, nil
}

// The kind of a region in which a macro stands (llvm/ProfileData/Coverage/CoverageMapping.h).
const expansionRegion = 1

func (branches reachedBranches) addLlvmCov(output []byte, source string) error {
	var export struct {
		Data []struct {
			Functions []struct {
				Filenames []string
				// From line, column to line, column; count; file, and the one that is expanded; kind.
				Regions [][]int64
				// The same, with a count for each way.
				Branches [][]int64
			}
		}
	}
	if err := json.Unmarshal(output, &export); err != nil {
		return fmt.Errorf("llvm-cov's output: %w", err)
	}
	for _, data := range export.Data {
		for _, function := range data.Functions {
			// Where each "file" that is a macro's expansion is expanded.
			expanded := map[int64][]int64{}
			for _, r := range function.Regions {
				if len(r) < 8 {
					return fmt.Errorf("a region of %d numbers", len(r))
				}
				if r[7] == expansionRegion {
					expanded[r[6]] = r
				}
			}
			for _, r := range function.Branches {
				if len(r) < 9 {
					return fmt.Errorf("a branch of %d numbers", len(r))
				}
				b := branch{position: fmt.Sprint(r[0:4])}
				file, line := r[6], r[0]
				for at := expanded[file]; at != nil; at = expanded[file] {
					b.position = fmt.Sprint(at[0:4]) + b.position
					file, line = at[5], at[0]
				}
				if file < 0 || file >= int64(len(function.Filenames)) {
					return fmt.Errorf("no file %d", file)
				}
				name, ok := within(source, function.Filenames[file])
				if !ok {
					continue
				}
				b.place = place{name, int(line)}
				for way, count := range r[4:6] {
					b.taken = way == 0
					branches[b] = branches[b] || count > 0
				}
			}
		}
	}
	return nil
}

func describe(command string, err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("%s: %w\n%s", command, err, exit.Stderr)
	}
	return fmt.Errorf("%s: %w", command, err)
}
