// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"sync"
)

// Base is the build without a mutant: all objects, of which a mutant replaces those that it is in.
type base struct {
	root     string
	folder   string
	programs []program
	// Of each source, by its path below the root: how it is compiled, the object, the headers that it
	// includes.
	commands map[string][]string
	objects  map[string]string
	headers  map[string]map[string]bool
	// The core as an archive, and the objects of it that each program takes, by their source.
	archive  string
	protocol string // the whole-flow tests
	injector string

	launchesChecked sync.Once
	launchesError   error
}

// A program has tests of one source.
type program struct {
	name    string
	sources []string // in tests/unit, each with an object of its own
	members map[string]bool
}

const (
	optimised = "-O2"
	// The quickest that is there, and its --trace names what it takes from an archive.
	linker = "-fuse-ld=gold"
)

func buildBase() (*base, error) {
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	b := &base{root: root, folder: filepath.Join(root, buildFolder, "base"), commands: map[string][]string{},
		objects: map[string]string{}, headers: map[string]map[string]bool{}}
	b.archive = filepath.Join(b.folder, "libnsexec.a")
	b.protocol = filepath.Join(root, buildFolder, "protocol.test")
	b.injector = filepath.Join(root, "_build/inject/injector")
	if err := os.MkdirAll(b.folder, 0o777); err != nil {
		return nil, err
	}
	fmt.Println("building what does not change")
	for _, argv := range [][]string{
		{"cmake", "-S", ".", "-B", b.folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=", "-DNSEXEC_TESTS=ON",
			"-DCMAKE_CXX_FLAGS=-O0", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"},
		{"cmake", "--build", b.folder},
		{"go", "test", "-c", "-o", b.protocol, "./tests/conformance/protocol"},
		{"scripts/sweep", "build"},
	} {
		if output, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%v: %w\n%s", argv, err, output)
		}
	}
	if err := b.readCommands(); err != nil {
		return nil, err
	}
	if err := b.readHeaders(); err != nil {
		return nil, err
	}
	return b, b.readPrograms()
}

func (b *base) readCommands() error {
	text, err := os.ReadFile(filepath.Join(b.folder, "compile_commands.json"))
	if err != nil {
		return err
	}
	var entries []struct{ Command, File string }
	if err := json.Unmarshal(text, &entries); err != nil {
		return err
	}
	for _, e := range entries {
		source, err := filepath.Rel(b.root, e.File)
		if err != nil || strings.HasPrefix(source, "_") {
			continue // a precompiled header
		}
		argv := splitCommand(e.Command)
		for i := range argv {
			if argv[i] == "-o" {
				b.objects[source] = filepath.Join(b.folder, argv[i+1])
			}
		}
		b.commands[source] = argv
	}
	return nil
}

// SplitCommand takes a command of compile_commands.json apart, in which a backslash quotes.
func splitCommand(command string) []string {
	var argv []string
	word, quoted := "", false
	for i := 0; i < len(command); i++ {
		switch c := command[i]; {
		case c == '\\' && i+1 < len(command):
			i++
			word += string(command[i])
		case c == '"':
			quoted = !quoted
		case c == ' ' && !quoted:
			if word != "" {
				argv = append(argv, word)
			}
			word = ""
		default:
			word += string(c)
		}
	}
	return append(argv, word)
}

// ReadHeaders asks ninja, which has read what the compiler wrote.
func (b *base) readHeaders() error {
	output, err := exec.Command("ninja", "-C", b.folder, "-t", "deps").Output()
	if err != nil {
		return fmt.Errorf("ninja -t deps: %w", err)
	}
	bySource := map[string]string{}
	for source, object := range b.objects {
		bySource[object] = source
	}
	source := ""
	for _, line := range strings.Split(string(output), "\n") {
		if !strings.HasPrefix(line, " ") {
			object, _, _ := strings.Cut(line, ":")
			source = bySource[filepath.Join(b.folder, object)]
			continue
		}
		file := strings.TrimSpace(line)
		if !filepath.IsAbs(file) {
			file = filepath.Join(b.folder, file)
		}
		name, err := filepath.Rel(filepath.Join(b.root, "cpp"), file)
		if source == "" || err != nil || strings.HasPrefix(name, "..") {
			continue
		}
		if b.headers[source] == nil {
			b.headers[source] = map[string]bool{}
		}
		b.headers[source][name] = true
	}
	if len(b.headers["cpp/nsexec.cc"]) == 0 {
		return fmt.Errorf("ninja knows of no headers of cpp/nsexec.cc")
	}
	return nil
}

var memberLine = regexp.MustCompile(`libnsexec\.a\(([a-z_]+\.cc)\.o\)`)

// The program that launch_test starts, and the library that machine_test loads, have the core in them, and launch_test
// itself has not.
var launchTest = []string{"tests/unit/launch_test.cc", "tests/unit/launched_program.cc", "tests/unit/loaded_library.cc"}

// ReadPrograms finds the tests' programs, and by linking each once what it takes from the archive.
func (b *base) readPrograms() error {
	for _, source := range launchTest {
		if b.commands[source] == nil {
			return fmt.Errorf("%s is not compiled", source)
		}
		delete(b.commands, source)
	}
	var support []string
	for source := range b.commands {
		if strings.HasPrefix(source, "tests/unit/") && !strings.HasSuffix(source, "_test.cc") &&
			source != "tests/unit/scripted_kernel.cc" {
			support = append(support, source)
		}
	}
	sort.Strings(support)
	for source := range b.commands {
		if !strings.HasSuffix(source, "_test.cc") {
			continue
		}
		p := program{name: strings.TrimSuffix(filepath.Base(source), ".cc"), members: map[string]bool{}}
		p.sources = append([]string{source}, support...)
		if strings.HasSuffix(p.name, "_scripted_test") {
			p.sources = append(p.sources, "tests/unit/scripted_kernel.cc")
		}
		argv := append([]string{"g++", linker, "-Wl,--trace", "-o", b.unmutated(p)}, b.linkArguments(p, nil)...)
		output, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%v: %w\n%s", argv, err, output)
		}
		for _, match := range memberLine.FindAllStringSubmatch(string(output), -1) {
			p.members["cpp/"+match[1]] = true
		}
		b.programs = append(b.programs, p)
		if strings.HasPrefix(p.name, "nsexec_") && !p.members["cpp/nsexec.cc"] {
			return fmt.Errorf("%s does not take nsexec.cc from the archive:\n%s", p.name, output)
		}
	}
	sort.Slice(b.programs, func(i, j int) bool { return b.programs[i].name < b.programs[j].name })
	if len(b.programs) == 0 {
		return fmt.Errorf("no programs with tests")
	}
	return nil
}

// Unmutated is where a program is that has no mutant.
func (b *base) unmutated(p program) string { return filepath.Join(b.folder, "unmutated-"+p.name) }

// LinkArguments puts a program together, with other objects in the place of some. Those of the core are
// named first, so that what is inline is taken from them, and nothing of the archive is in their place.
func (b *base) linkArguments(p program, replaced map[string]string) []string {
	var first, last []string
	for source, object := range replaced {
		if strings.HasPrefix(source, "cpp/") && p.members[source] {
			first = append(first, object)
		}
	}
	sort.Strings(first)
	for _, source := range p.sources {
		object := replaced[source]
		if object == "" {
			object = b.objects[source]
		}
		last = append(last, object)
	}
	return append(append(first, last...), b.archive, "-lgtest_main", "-lgtest", "-pthread")
}
