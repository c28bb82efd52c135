// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Names of the contestants, which are the build tags they are made with, but for copying.
const (
	none      = "none"       // no constructor: what a Go program costs by itself
	started   = "start"      // a constructor that replies at once: the zero of the time to the reply
	peer      = "runc"       // runc's own C code
	peerAgain = "runc-again" // the same program once more: what the measurement makes of no difference
	ours      = "ours"
	copying   = "copying" // ours, whose init process has a copy of the launched process's memory
	yardstick = "yardstick"
)

// Programs are what is built for the benchmark.
type programs struct {
	stopwatch string
	small     map[string]program // by contestant
	large     map[string]program // the same as 15 MB position-independent executables
	touched   map[string]program // the same, writing to 64 MB before
	also      string             // name of one more contestant, or empty
}

// A program is linked several times, each time with Go's functions in another order and part of its data elsewhere, and
// lies at prefix.0, prefix.1 and so on. Where code and data happen to lie, and in which page of memory each page of the
// file, makes more difference than some of what is measured here: see docs/decisions/0011.
type program struct {
	prefix  string
	layouts int
}

const (
	smallLayouts = 32
	largeLayouts = 8
)

func (p program) path(layout int) string { return fmt.Sprintf("%s.%d", p.prefix, layout) }

// String is how the stopwatch is told of it.
func (p program) String() string { return fmt.Sprintf("%s,%d", p.prefix, p.layouts) }

// Source is the build tag and the environment that a contestant is made with. Copying is chosen by the macro, and not
// by the variable of that name when it is started: so all programs have the same environment, and this one has no code
// for what it never does.
func source(name string) (tag string, env []string) {
	if name != copying {
		return name, nil
	}
	flags, set := os.LookupEnv("CGO_CXXFLAGS")
	if !set {
		flags = "-g -O2" // what the go command takes if nobody says anything
	}
	return ours, []string{"CGO_CXXFLAGS=" + flags + " -DNSEXEC_COPY_MEMORY"}
}

// Build links a contestant in all its layouts.
func (p program) build(name, moreTags string, flags ...string) error {
	tag, env := source(name)
	progress(fmt.Sprintf("building %s, %d times", filepath.Base(p.prefix), p.layouts))
	for i := 0; i < p.layouts; i++ {
		overlay, err := padding(i, p.layouts)
		if err != nil {
			return err
		}
		layout := []string{"-overlay", overlay, fmt.Sprintf("-ldflags=-randlayout=%d", i+1)}
		if err := buildContestant(p.path(i), tag+moreTags, env, append(layout, flags...)...); err != nil {
			return err
		}
	}
	return nil
}

// Padding makes a file for -overlay with which Go's tables, behind the constants, and the variables that begin as zero
// begin elsewhere in each layout: the kernel maps a file in pieces of 64 KiB, and gives a program memory page by page.
func padding(layout, layouts int) (string, error) {
	const piece = 64 << 10
	random := rand.New(rand.NewSource(int64(layout)))
	source := filepath.Join(buildDir(), fmt.Sprintf("padding.%d.go", layout))
	text := fmt.Sprintf("package main\n\nvar (\n\treadOnly = %q\n\twritten = [%d]byte{1}\n)\n",
		strings.Repeat("x", 1+(layout*piece+random.Intn(piece))/layouts), 1+random.Intn(os.Getpagesize()))
	if err := os.WriteFile(source, []byte(text), 0o644); err != nil {
		return "", err
	}
	replaced := filepath.Join(repoRoot(), "tests", "bench", "contestant", "padding.go")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {replaced: source}})
	if err != nil {
		return "", err
	}
	file := filepath.Join(buildDir(), fmt.Sprintf("padding.%d.json", layout))
	return file, os.WriteFile(file, overlay, 0o644)
}

// Command runs a command and returns its standard output, with all output in the error.
func command(dir string, env []string, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

// BuildSteps is how often buildAll and measureBuilds tell their progress.
func buildSteps(also string) int {
	const kinds = 3
	all := 1 + kinds*len(contestantNames) + 1
	if also != "" {
		all++
	}
	return all
}

func buildAll(also string) (*programs, error) {
	p, err := buildSmall(smallLayouts)
	if err != nil {
		return nil, err
	}
	if p.large, err = buildKind(largeSuffix, largeLayouts, ",bench_large", "-buildmode=pie"); err != nil {
		return nil, err
	}
	if err := p.buildTouched(largeLayouts); err != nil {
		return nil, err
	}
	if also == "" {
		return p, nil
	}
	name, dir, found := strings.Cut(also, "=")
	if !found || p.small[name].prefix != "" {
		return nil, fmt.Errorf("not NAME=DIR with a new name: %s", also)
	}
	p.also = name
	p.small[name] = program{filepath.Join(buildDir(), "also"), smallLayouts}
	if err := p.small[name].buildOther(dir); err != nil {
		return nil, err
	}
	return p, settle(p.small, smallLayouts)
}

// What is built; runc's C code takes part twice.
var contestantNames = []string{none, started, peer, ours, copying, yardstick}

func buildSmall(layouts int) (*programs, error) {
	p := &programs{}
	if err := p.buildStopwatch(); err != nil {
		return nil, err
	}
	var err error
	p.small, err = buildKind("", layouts, "")
	return p, err
}

func (p *programs) buildTouched(layouts int) (err error) {
	p.touched, err = buildKind(touchedSuffix, layouts, ",bench_touched")
	return err
}

// BuildKind builds a program of one kind for each contestant.
func buildKind(suffix string, layouts int, moreTags string, flags ...string) (map[string]program, error) {
	built := map[string]program{}
	for _, name := range contestantNames {
		built[name] = program{filepath.Join(buildDir(), name+suffix), layouts}
		if err := built[name].build(name, moreTags, flags...); err != nil {
			return nil, err
		}
	}
	var err error
	if built[peerAgain], err = built[peer].copy(peerAgain + suffix); err != nil {
		return nil, err
	}
	return built, settle(built, layouts)
}

func (p *programs) buildStopwatch() error {
	progress("building the stopwatch")
	sources, err := filepath.Glob(filepath.Join(repoRoot(), "tests", "bench", "stopwatch", "*.cc"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(buildDir(), 0o755); err != nil {
		return err
	}
	p.stopwatch = filepath.Join(buildDir(), "stopwatch")
	compiler := os.Getenv("CXX")
	if compiler == "" {
		compiler = "g++"
	}
	args := []string{"-std=c++20", "-O2", "-Wall", "-Wextra", "-static", "-o", p.stopwatch}
	_, err = command(".", nil, compiler, append(args, sources...)...)
	return err
}

// BuildContestant builds the one Go file with the import that the build tag chooses.
func buildContestant(path, tags string, env []string, flags ...string) error {
	args := append([]string{"build", "-trimpath", "-tags", "bench_" + tags, "-o", path}, flags...)
	_, err := command(filepath.Join(repoRoot(), "tests", "bench"), append(env, "CGO_ENABLED=1", "GOWORK=off"),
		"go", append(args, "./contestant")...)
	return err
}

// Copy makes files of its own: one that is executed twice a round is in the processor's cache more often than the
// others, and faster.
func (p program) copy(name string) (program, error) {
	copied := program{filepath.Join(buildDir(), name), p.layouts}
	for i := 0; i < p.layouts; i++ {
		if err := copyInPages(p.path(i), copied.path(i)); err != nil {
			return program{}, err
		}
	}
	return copied, nil
}

// Settle writes programs anew, one after the other, layout by layout. In which pages of memory a file lies depends on
// when it was written, and with it how fast it is.
func settle(programs map[string]program, layouts int) error {
	for i := 0; i < layouts; i++ {
		for _, p := range programs { // in an order that is another one each time
			if err := copyInPages(p.path(i), p.path(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// CopyInPages copies a program, or writes it anew, so that its pages lie in the page cache one by one. As the linker
// writes it, some are kept in pieces of many pages, which one fault maps at once, others are not; that would add or
// take away ten faults of the Go runtime, at random for each program that is built.
func copyInPages(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	even := to + ".even"
	file, err := os.OpenFile(even, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	for page := os.Getpagesize(); len(text) > 0; {
		piece := text[:min(page, len(text))]
		if _, err := file.Write(piece); err != nil {
			file.Close()
			return err
		}
		text = text[len(piece):]
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(even, to)
}

// BuildOther builds our contestant from the sources in another folder.
func (p program) buildOther(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	here := filepath.Join(repoRoot(), "tests", "bench")
	for _, file := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(here, file))
		if err != nil {
			return err
		}
		text = bytes.ReplaceAll(text, []byte("=> ../.."), []byte("=> "+dir))
		if err := os.WriteFile(filepath.Join(buildDir(), file), text, 0o644); err != nil {
			return err
		}
	}
	return p.build(ours, "", "-modfile", filepath.Join(buildDir(), "go.mod"))
}

// BuildCost is what a contestant adds to a program that has none.
type buildCost struct {
	name    string
	size    int64         // of the stripped program
	compile time.Duration // of its C or C++ code, and linking
}

// MeasureBuilds builds each contestant with a definition that no build had before, so that the go
// command's cache has nothing of the C code.
func measureBuilds() ([]buildCost, error) {
	progress("measuring how long builds take")
	var costs []buildCost
	for _, name := range []string{none, peer, ours} {
		fresh := fmt.Sprintf("-O2 -g -DBENCH_BUILT_AT=%d", time.Now().UnixNano())
		path := filepath.Join(buildDir(), name+"-stripped")
		start := time.Now()
		err := buildContestant(path, name, []string{"CGO_CFLAGS=" + fresh, "CGO_CXXFLAGS=" + fresh}, "-ldflags=-s -w")
		if err != nil {
			return nil, err
		}
		took := time.Since(start)
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		costs = append(costs, buildCost{name, info.Size(), took})
	}
	return costs, nil
}
