// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

type verdict string

const (
	noBuild  verdict = "does not compile"
	same     verdict = "same machine code" // with optimisation: whatever runs it cannot tell
	noticed  verdict = "noticed"
	survived verdict = "SURVIVED"
)

// A layer is a kind of test, the cheapest first.
type layer string

const (
	unitLayer     layer = "C++ tests"
	protocolLayer layer = "whole flow"
	sweepLayer    layer = "fault sweep"
)

type result struct {
	verdict verdict
	layer   layer
	by      string // the program, or the group of faults
	hung    bool   // it was the deadline that noticed
}

func (r result) String() string {
	text := string(r.verdict)
	if r.verdict == noticed {
		text += " by " + r.by
	}
	if r.hung {
		text += " (deadline)"
	}
	return text
}

const (
	// What ctest allows a test is a minute, and all tests of a program take a second.
	unitDeadline = 30 * time.Second
	flowDeadline = 3 * time.Minute
	// The test that needs Go's runtime in the program, which opens descriptors that are closed.
	onlyInGo = "TestVectors/stdin-closed"
)

// The groups of faults that are tried on a mutant that is still unnoticed, and one case in how many of
// each: errors of every call with the errno that is most at home there, deaths, and then some of all.
var sweeps = [][]string{
	{"--only=EPERM"}, {"--only=EINTR", "--every=2"}, {"--only=SIGKILL", "--every=2"}, {"--every=30"},
}

// A worker has a copy of the sources of its own, in which it makes one mutant after the other.
type worker struct {
	base   *base
	folder string
	// Of the present mutant: the objects that were compiled again.
	replaced map[string]string
}

func newWorker(b *base, number int) (*worker, error) {
	w := &worker{base: b, folder: filepath.Join(b.root, buildFolder, fmt.Sprintf("worker%d", number))}
	if err := os.RemoveAll(w.folder); err != nil {
		return nil, err
	}
	for _, folder := range []string{"cpp", "tests/unit"} {
		if err := os.MkdirAll(filepath.Join(w.folder, folder), 0o777); err != nil {
			return nil, err
		}
		entries, err := os.ReadDir(filepath.Join(b.root, folder))
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			if entry.IsDir() {
				continue
			}
			text, err := os.ReadFile(filepath.Join(b.root, folder, entry.Name()))
			if err != nil {
				return nil, err
			}
			if err := os.WriteFile(filepath.Join(w.folder, folder, entry.Name()), text, 0o666); err != nil {
				return nil, err
			}
		}
	}
	return w, nil
}

// Judge makes a mutant and runs tests on it until one notices.
func (w *worker) judge(m *mutant) (result, error) {
	original, err := os.ReadFile(filepath.Join(w.base.root, "cpp", m.file))
	if err != nil {
		return result{}, err
	}
	path := filepath.Join(w.folder, "cpp", m.file)
	if err := os.WriteFile(path, []byte(m.apply(string(original))), 0o666); err != nil {
		return result{}, err
	}
	defer os.WriteFile(path, original, 0o666)
	w.replaced = map[string]string{}

	if source := "cpp/" + m.file; w.base.commands[source] != nil {
		if !w.compile(source) {
			return result{verdict: noBuild}, nil
		}
	}
	own := ownTests(m.file)
	asked := false
	for _, p := range w.order(m.file) {
		if !asked && !contains(own, p.name) {
			asked = true
			if w.isSame(m.file) {
				return result{verdict: same}, nil
			}
		}
		built, compiles, err := w.buildProgram(p, m)
		if err != nil {
			return result{}, err
		}
		if !compiles {
			return result{verdict: noBuild}, nil
		}
		ok, hung := w.runUnitTest(built)
		if !ok {
			return result{noticed, unitLayer, p.name, hung}, nil
		}
	}
	return w.wholeFlow(m)
}

// WholeFlow is for what no program of unit tests has noticed.
func (w *worker) wholeFlow(m *mutant) (result, error) {
	for _, source := range w.dependents(m.file, "cpp/") {
		if !w.compile(source) {
			return result{verdict: noBuild}, nil
		}
	}
	var objects []string
	for _, object := range w.replaced {
		if strings.HasPrefix(object, filepath.Join(w.folder, "object-cpp-")) {
			objects = append(objects, object)
		}
	}
	sort.Strings(objects)
	r, err := w.launch(objects)
	if err == nil && r.verdict == noticed {
		err = w.base.checkLaunches(w)
	}
	return r, err
}

// Launch puts objects in the place of those of the core, and runs the tests of whole launches.
func (w *worker) launch(objects []string) (result, error) {
	probe := filepath.Join(w.folder, "probe")
	argv := append([]string{"g++", "-std=c++20", "-static", "-o", probe, "tests/faults/inject/probe.cc"}, objects...)
	if output, err := exec.Command(argv[0], append(argv[1:], w.base.archive)...).CombinedOutput(); err != nil {
		return result{}, fmt.Errorf("%v: %w\n%s", argv, err, output)
	}
	ok, hung := w.runTestTwice("env", "NSEXEC="+probe, "sh", "-c",
		"cd tests/conformance/protocol && exec "+w.base.protocol+" -test.failfast -test.skip="+onlyInGo)
	if !ok {
		return result{noticed, protocolLayer, "tests/conformance/protocol", hung}, nil
	}
	for _, options := range sweeps {
		argv := append([]string{w.base.injector, "sweep", "--probe=" + probe, "--jobs=2"}, options...)
		if ok, hung := w.runTestTwice(argv...); !ok {
			return result{noticed, sweepLayer, "sweep " + strings.Join(options, " "), hung}, nil
		}
	}
	return result{verdict: survived}, nil
}

// CheckPrograms runs on the core as it is the programs that will judge mutants of some files: a test that fails there
// would notice every mutant. It tells how many these are.
func (w *worker) checkPrograms(files map[string]bool) (int, error) {
	ran := map[string]bool{}
	for file := range files {
		for _, p := range w.order(file) {
			if ran[p.name] {
				continue
			}
			ran[p.name] = true
			if ok, hung := w.runUnitTest(w.base.unmutated(p)); !ok {
				return 0, unfit(result{noticed, unitLayer, p.name, hung})
			}
		}
	}
	return len(ran), nil
}

// CheckLaunches does the same with whole launches, once, and only when they are the first to notice a mutant: most
// files have no such mutant.
func (b *base) checkLaunches(w *worker) error {
	b.launchesChecked.Do(func() {
		r, err := w.launch(nil)
		if err == nil && r.verdict == noticed {
			err = unfit(r)
		}
		b.launchesError = err
	})
	return b.launchesError
}

func unfit(r result) error {
	return fmt.Errorf("the core as it is, without a mutant, is %s: nothing can be judged", r)
}

func (w *worker) runUnitTest(program string) (ok, hung bool) {
	return w.runTest(unitDeadline, program, "--gtest_brief=1", "--gtest_fail_fast")
}

// RunTestTwice runs whole launches, which have deadlines of their own that a busy machine misses now and then: what
// notices a mutant fails again.
func (w *worker) runTestTwice(argv ...string) (ok, hung bool) {
	if ok, _ := w.runTest(flowDeadline, argv...); ok {
		return true, false
	}
	return w.runTest(flowDeadline, argv...)
}

// OwnTests are the programs that test a file itself.
func ownTests(file string) []string {
	stem := strings.TrimSuffix(strings.TrimSuffix(file, ".cc"), ".h")
	return []string{stem + "_scripted_test", stem + "_test"}
}

// Order puts the programs first that test the file itself, then those of whole launches.
func (w *worker) order(file string) []program {
	names := append(ownTests(file), "nsexec_scripted_test", "nsexec_test",
		"netlink_scripted_test", "classic_scripted_test")
	rank := func(p program) int {
		for i, name := range names {
			if p.name == name {
				return i
			}
		}
		return len(names)
	}
	source := "cpp/" + file
	isSource := w.base.commands[source] != nil
	var programs []program
	for _, p := range w.base.programs {
		if !isSource || p.members[source] {
			programs = append(programs, p)
		}
	}
	sort.SliceStable(programs, func(i, j int) bool { return rank(programs[i]) < rank(programs[j]) })
	return programs
}

// BuildProgram links a program with the mutant. Of a header, what includes it is compiled again: of the core
// what this program has, of the tests the header's own, which use it themselves. A constant may be the size of
// something, about which all must agree.
func (w *worker) buildProgram(p program, m *mutant) (string, bool, error) {
	sources := w.dependents(m.file, "cpp/")
	if m.kind == constant || contains(ownTests(m.file), p.name) {
		sources = append(sources, w.dependents(m.file, "tests/unit/")...)
	}
	for _, source := range sources {
		if !p.members[source] && !contains(p.sources, source) {
			continue
		}
		if !w.compile(source) {
			return "", false, nil
		}
	}
	built := filepath.Join(w.folder, "program")
	os.Remove(built)
	argv := append([]string{linker, "-o", built}, w.base.linkArguments(p, w.replaced)...)
	if output, err := exec.Command("g++", argv...).CombinedOutput(); err != nil {
		return "", false, fmt.Errorf("g++ %v: %w\n%s", argv, err, output)
	}
	return built, true, nil
}

func contains(list []string, what string) bool {
	for _, s := range list {
		if s == what {
			return true
		}
	}
	return false
}

// Dependents lists the sources below a folder that include a header.
func (w *worker) dependents(file, folder string) []string {
	var sources []string
	for source, headers := range w.base.headers {
		if strings.HasPrefix(source, folder) && headers[file] {
			sources = append(sources, source)
		}
	}
	sort.Strings(sources)
	return sources
}

// Compile compiles a source of the worker's, if that is not done yet.
func (w *worker) compile(source string) bool {
	if w.replaced[source] != "" {
		return true
	}
	object := w.object(source, "")
	if !w.compileTo(source, w.folder, object, nil) {
		return false
	}
	w.replaced[source] = object
	return true
}

func (w *worker) object(source, suffix string) string {
	return filepath.Join(w.folder, "object-"+strings.ReplaceAll(source, "/", "-")+suffix+".o")
}

func (w *worker) compileTo(source, root, object string, more []string) bool {
	var argv []string
	command := w.base.commands[source]
	for i := 0; i < len(command); i++ {
		word := command[i]
		if word == "-o" {
			argv = append(argv, "-o", object)
			i++
			continue
		}
		for _, folder := range []string{"/cpp", "/tests/unit"} {
			if rest := strings.TrimPrefix(strings.TrimPrefix(word, "-I"), w.base.root+folder); rest != strings.TrimPrefix(word,
				"-I") &&
				(rest == "" || rest[0] == '/') {
				word = strings.Replace(word, w.base.root, root, 1)
				break
			}
		}
		argv = append(argv, word)
	}
	argv = append(argv, "-w", "-fmax-errors=1")
	argv = append(argv, more...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = w.base.folder
	return cmd.Run() == nil
}

// IsSame compares what an optimising compiler makes of the mutant and of the original.
func (w *worker) isSame(file string) bool {
	sources := w.dependents(file, "cpp/")
	if source := "cpp/" + file; w.base.commands[source] != nil {
		sources = []string{source}
	}
	for _, source := range sources {
		mutated, original := w.object(source, "-mutated"), w.object(source, "-original")
		if !w.compileTo(source, w.folder, mutated, []string{optimised}) {
			return false
		}
		if _, err := os.Stat(original); err != nil && !w.compileTo(source, w.base.root, original, []string{optimised}) {
			return false
		}
		a, errA := os.ReadFile(mutated)
		b, errB := os.ReadFile(original)
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			return false
		}
	}
	return len(sources) > 0
}

// RunTest runs a command in a pid namespace of its own, so that nothing is left of it, and with limits:
// a mutant may do anything. It tells whether the command succeeded, and whether it was the deadline that
// ended it.
func (w *worker) runTest(deadline time.Duration, argv ...string) (ok, hung bool) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	// The shell is pid 1, which the kernel treats in its own way, so that the tests are not.
	all := append([]string{"--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc", "--", "prlimit", "--core=0",
		"--fsize=200000000", "--", "sh", "-c", `"$@"; exit $?`, "sh"}, argv...)
	cmd := exec.CommandContext(ctx, "unshare", all...)
	cmd.Env = append(os.Environ(), "REQUIRE_ALL=1")
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	return err == nil, ctx.Err() != nil
}
