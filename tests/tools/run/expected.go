// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"
)

// What has to run is what the tree has tests for: nobody keeps a list of it.

// TreeFiles lists the files in the tree, committed or not yet, that match a pattern of git's.
func treeFiles(patterns ...string) ([]string, error) {
	arguments := append([]string{"ls-files", "--cached", "--others", "--exclude-standard", "--"}, patterns...)
	output, err := exec.Command("git", arguments...).Output()
	if err != nil {
		return nil, fmt.Errorf("failed to list %s: %w", strings.Join(patterns, " "), err)
	}
	var files []string
	for _, file := range strings.Fields(string(output)) {
		if _, err := os.Stat(file); err == nil {
			files = append(files, file)
		}
	}
	return files, nil
}

// TestFolders sorts the folders of test files by the Go module that they are in, which is the innermost one.
func testFolders(modules, testFiles []string) map[string][]string {
	isModule := map[string]bool{}
	for _, module := range modules {
		isModule[module] = true
	}
	folders := map[string][]string{}
	known := map[string]bool{}
	for _, file := range testFiles {
		folder := path.Dir(file)
		if known[folder] {
			continue
		}
		known[folder] = true
		module := folder
		for !isModule[module] && module != "." {
			module = path.Dir(module)
		}
		folders[module] = append(folders[module], folder)
	}
	return folders
}

// Presets are the names of the CMake presets for continuous integration, without "ci-".
func presets(text []byte) ([]string, error) {
	var file struct {
		ConfigurePresets []struct{ Name string }
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("failed to read the CMake presets: %w", err)
	}
	var names []string
	for _, preset := range file.ConfigurePresets {
		if name, ok := strings.CutPrefix(preset.Name, "ci-"); ok {
			names = append(names, name)
		}
	}
	return names, nil
}

// TestPrograms are the names of the C++ test programs, one for each source.
func testPrograms() ([]string, error) {
	sources, err := treeFiles("*_test.cc")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, source := range sources {
		names = append(names, strings.TrimSuffix(path.Base(source), ".cc"))
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("the tree has no C++ tests")
	}
	return names, nil
}

// RequireTests adds a failure for each suite that is expected, or was run, and has no test at all.
func requireTests(rows []row, expected ...string) []row {
	ran := map[string]bool{}
	for i := range rows {
		r := &rows[i]
		ran[r.name] = true
		if r.result.passed+r.result.failed+r.result.skipped == 0 {
			r.result.add(nothingRan(r.name))
		}
	}
	for _, name := range expected {
		if !ran[name] {
			rows = append(rows, row{name: name, result: nothingRan(name)})
		}
	}
	return rows
}

func nothingRan(name string) result {
	return result{failed: 1, remarks: []string{"FAIL " + name + ": no test of it ran"}}
}
