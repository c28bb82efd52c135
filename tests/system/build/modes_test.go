// SPDX-License-Identifier: Apache-2.0

//go:build linux

package build

import (
	"debug/elf"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"

	"nsenter-cpp.example/internal/testutil"
)

func neededLibraries(t testing.TB, program string) []string {
	t.Helper()
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	libraries, err := file.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	sort.Strings(libraries)
	return libraries
}

// With every compiler and set of flags, the program needs its libc and nothing else.
func TestCompilersAndFlags(t *testing.T) {
	for _, compiler := range []string{"g++", "clang++-19"} {
		for _, flags := range []struct{ name, value string }{
			{"default", ""}, {"unoptimised", "-O0 -g"}, {"hardened", hardening},
		} {
			t.Run(compiler+"/"+flags.name, func(t *testing.T) {
				need(t, compiler)
				env := []string{"CXX=" + compiler}
				if flags.value != "" {
					env = append(env, "CGO_CXXFLAGS="+flags.value)
				}
				program := goBuild(t, root(t), env, "./tests/conformance/probe")
				if got := neededLibraries(t, program); len(got) != 1 || got[0] != "libc.so.6" {
					t.Errorf("program needs %v, not libc.so.6 alone", got)
				}
				checkObjects(t, env)
				checkFlows(t, program, "")
			})
		}
	}
}

func TestBuildModes(t *testing.T) {
	for _, mode := range []struct {
		name      string
		needs     []string
		env       []string
		arguments []string
		check     func(t *testing.T, program string)
	}{
		{name: "race", arguments: []string{"-race"}},
		{name: "pie", arguments: []string{"-buildmode=pie"}, check: func(t *testing.T, program string) {
			if kind := elfType(t, program); kind != elf.ET_DYN {
				t.Errorf("program is of type %v", kind)
			}
		}},
		{name: "static", arguments: []string{"-ldflags=-extldflags=-static"}, check: func(t *testing.T, program string) {
			if got := neededLibraries(t, program); len(got) != 0 {
				t.Errorf("static program needs %v", got)
			}
		}},
		{name: "asan", arguments: []string{"-asan"}},
		{name: "clang asan", needs: []string{"clang-19", "clang++-19"}, arguments: []string{"-asan"},
			env: []string{"CC=clang-19", "CXX=clang++-19"}},
		{name: "gccgo", needs: []string{"gccgo-12"}, arguments: []string{"-compiler=gccgo"},
			env: []string{"GCCGO=gccgo-12"}},
	} {
		t.Run(mode.name, func(t *testing.T) {
			need(t, mode.needs...)
			program := goBuild(t, root(t), mode.env, append(mode.arguments, "./tests/conformance/probe")...)
			if mode.check != nil {
				mode.check(t, program)
			}
			checkFlows(t, program, "")
		})
	}
}

func elfType(t testing.TB, program string) elf.Type {
	t.Helper()
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	return file.Type
}

// Ours asks for no libstdc++, and leaves it to those who do.
func TestBesideOtherCxx(t *testing.T) {
	folder := consumer(t, root(t), map[string]string{
		"main.go": `package main

import (
	"io"
	"os"

	"consumer.example/other"
	_ "` + modulePath + `/nsenter"
)

func main() {
	os.Stdout.WriteString("nsexec returned\n")
	other.Talk()
	io.Copy(os.Stdout, os.NewFile(3, "INITPIPE"))
}
`,
		"other/other.go": `package other

// void Talk(void);
import "C"

func Talk() { C.Talk() }
`,
		"other/other.cc": `#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

const std::vector<std::string> global = {"built", "before", "main"};

}  // namespace

extern "C" void Talk() {
  static const std::string once(100, 'x');
  try {
    throw std::runtime_error("thrown");
  } catch (const std::exception& error) {
    std::cout << "caught: " << error.what() << ", " << global.at(2) << ", " << once.size() << std::endl;
  }
}
`,
	})
	program := goBuild(t, folder, nil, ".")
	if got := strings.Join(neededLibraries(t, program), " "); !strings.Contains(got, "libstdc++") {
		t.Errorf("the other package needs libstdc++, the program has %s", got)
	}
	checkFlows(t, program, "caught: thrown, main, 100\n")
}

// From exec to the Go runtime's first system call, the package makes none.
func TestNothingAskedCostsNothing(t *testing.T) {
	need(t, "strace")
	const without = "package main\n\nimport \"C\"\n\nfunc main() {}\n"
	const with = "package main\n\nimport \"C\"\nimport _ \"" + modulePath + "/nsenter\"\n\nfunc main() {}\n"
	for _, mode := range []struct{ name, flag string }{
		{"dynamic", "-ldflags="}, {"static", "-ldflags=-extldflags=-static"},
	} {
		t.Run(mode.name, func(t *testing.T) {
			var calls [2][]string
			for i, source := range []string{without, with} {
				program := goBuild(t, consumer(t, root(t), map[string]string{"main.go": source}), nil, mode.flag, ".")
				calls[i] = callsBeforeGo(t, program)
			}
			if strings.Join(calls[0], " ") != strings.Join(calls[1], " ") {
				t.Errorf("without the package:\n%v\nwith it:\n%v", calls[0], calls[1])
			}
		})
	}
}

// callsBeforeGo lists the system calls of a program before the first one of the Go runtime, which asks for
// the size of huge pages.
func callsBeforeGo(t testing.TB, program string) []string {
	t.Helper()
	trace := filepath.Join(t.TempDir(), "trace")
	// None of these asks for anything.
	env := []string{"_LIBCONTAINER_INITPIPE=", "_LIBCONTAINER_LOGPIPE=x", "_LIBCONTAINER_CONSOLE_PATH=/"}
	output, err := command{".", env, []string{"strace", "-f", "-o", trace, program}}.run()
	if err != nil {
		// Some sandboxes forbid ptrace.
		testutil.Require(t, !strings.Contains(output, "Operation not permitted"), "strace to be permitted")
		t.Fatalf("strace: %v\n%s", err, output)
	}
	text := readFile(t, trace)
	end := strings.Index(text, "hpage_pmd_size")
	if end < 0 {
		t.Fatalf("the Go runtime's first call is not in\n%s", text)
	}
	var names []string
	for _, line := range strings.Split(text[:end], "\n") {
		// "PID name(arguments"
		if _, call, found := strings.Cut(line, " "); found {
			name, _, _ := strings.Cut(strings.TrimSpace(call), "(")
			names = append(names, name)
		}
	}
	if len(names) < 5 {
		t.Fatalf("only %v in\n%s", names, text)
	}
	return names
}

// checkObjects looks at what the go command compiled the core to, in an environment: no object has
// anything to run before main, and what they refer to is on the list.
func checkObjects(t testing.TB, env []string) {
	t.Helper()
	need(t, "ar")
	allowed := map[string]bool{}
	for _, name := range listed(t, "testdata/allowed-symbols") {
		allowed[name] = true
	}
	archive := strings.TrimSpace(command{root(t), env,
		[]string{"go", "list", "-export", "-f", "{{.Export}}", "./cpp"}}.mustRun(t))
	folder := t.TempDir()
	command{folder, nil, []string{"ar", "x", archive}}.mustRun(t)
	objects, err := filepath.Glob(filepath.Join(folder, "_x*.o"))
	if err != nil {
		t.Fatal(err)
	}
	if sources := len(goFiles(t, root(t), "CXXFiles")); len(objects) < sources {
		t.Fatalf("%d objects of %d sources in %s", len(objects), sources, archive)
	}

	defined, undefined := map[string]bool{}, map[string]bool{}
	for _, object := range objects {
		file, err := elf.Open(object)
		if err != nil {
			t.Fatal(err)
		}
		for _, section := range file.Sections {
			if strings.HasPrefix(section.Name, ".init_array") || strings.HasPrefix(section.Name, ".ctors") {
				t.Errorf("%s has a section %s", filepath.Base(object), section.Name)
			}
		}
		symbols, err := file.Symbols()
		if err != nil {
			t.Fatal(err)
		}
		for _, symbol := range symbols {
			if symbol.Section == elf.SHN_UNDEF {
				undefined[symbol.Name] = true
			} else {
				defined[symbol.Name] = true
			}
		}
		file.Close()
	}
	if !defined["nsexec"] {
		t.Error("the core does not define nsexec")
	}
	for name := range undefined {
		if name != "" && !defined[name] && !allowed[name] {
			t.Errorf("the core refers to %s, which is not in testdata/allowed-symbols", name)
		}
	}
}

// listed reads a list of names, one a line.
func listed(t testing.TB, file string) []string {
	t.Helper()
	var names []string
	for _, line := range strings.Split(readFile(t, file), "\n") {
		if line != "" && !strings.HasPrefix(line, "#") {
			names = append(names, line)
		}
	}
	if len(names) == 0 {
		t.Fatalf("%s is empty", file)
	}
	return names
}

// The list itself holds nothing that allocates, prints, mounts, changes a root or capabilities, or is C++.
func TestAllowedSymbols(t *testing.T) {
	for _, name := range listed(t, "testdata/allowed-symbols") {
		for _, forbidden := range append(notOurs, "_Z", "alloc", "free", "printf", "__cxa", "__gxx", "_Unwind") {
			if strings.Contains(name, forbidden) {
				t.Errorf("%s is allowed", name)
			}
		}
	}
}

// notOurs is in the names of calls, of prctl's too, that are the runtime's: mounts (mount, umount2, mount_setattr,
// move_mount, fsopen, fsmount, open_tree), root directories (pivot_root, chroot), capabilities (capset,
// PR_CAPBSET_DROP, PR_CAP_AMBIENT, PR_SET_KEEPCAPS, PR_SET_SECUREBITS).
var notOurs = []string{"mount", "fsopen", "fsconfig", "fspick", "open_tree", "root", "cap", "CAP", "SECUREBITS"}

var (
	comment  = regexp.MustCompile(`//.*`)
	callName = regexp.MustCompile(`\b(?:SYS|PR)_[A-Za-z0-9_]+`)
	// A call by number: its first argument.
	callNumber = regexp.MustCompile(`\b(?:syscall|Call|CallOnce|Id)\(([^,()]*)`)
	assembly   = regexp.MustCompile(`\basm\b[^("]*\("([^"]*)`)
	register   = regexp.MustCompile(`^[rx][0-9]+$`)
)

// TestAllowedCalls: the core makes no system call by number but those of a list, in which is none that mounts
// something, changes the root directory or sets capabilities. With the list of symbols, and since what it executes
// are the mapping tools alone, no launch does.
func TestAllowedCalls(t *testing.T) {
	allowed := map[string]bool{}
	for _, name := range listed(t, "testdata/allowed-calls") {
		allowed[name] = false
		for _, forbidden := range notOurs {
			if strings.Contains(name, forbidden) {
				t.Errorf("%s is allowed", name)
			}
		}
	}
	numbers := 0
	for _, pattern := range []string{"*.cc", "*.h"} {
		files, err := filepath.Glob(filepath.Join(root(t), "cpp", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no %s in cpp: %v", pattern, err)
		}
		for _, file := range files {
			text := comment.ReplaceAllString(readFile(t, file), "")
			for _, name := range callName.FindAllString(text, -1) {
				if _, found := allowed[name]; !found {
					t.Errorf("%s has %s, which is not in testdata/allowed-calls", filepath.Base(file), name)
				}
				allowed[name] = true
			}
			for _, call := range callNumber.FindAllStringSubmatch(text, -1) {
				numbers++
				switch number := call[1]; {
				case strings.HasPrefix(number, "SYS_"), strings.HasPrefix(number, "NSENTER_SYS_"):
				case number == "long number", number == "number": // of those functions themselves
				default:
					t.Errorf("%s makes a call without its name: %s", filepath.Base(file), call[0])
				}
			}
			for _, code := range assembly.FindAllStringSubmatch(text, -1) {
				switch instruction := code[1]; {
				case instruction == "rdsspq %0", instruction == "hint #40":
				case instruction == "mr %0, 13", instruction == "mr %0, 2":
				case instruction == "", register.MatchString(instruction):
				// What makes the calls that have been looked at here.
				case filepath.Base(file) == "sys_call.cc" && (instruction == "syscall" || instruction == "svc #0"):
				default:
					t.Errorf("%s has assembly that might make a call: %s", filepath.Base(file), code[0])
				}
			}
		}
	}
	for name, used := range allowed {
		if !used {
			t.Errorf("nothing uses %s, which is in testdata/allowed-calls", name)
		}
	}
	if numbers < len(allowed)/2 {
		t.Errorf("found only %d calls by number", numbers)
	}
}
