// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command bench measures what nsexec adds to the start of a Go program, next to runc's own C code and to
// a yardstick that does the same kernel work in as few system calls as can be.
//
//	go run . [-out DIR] [-rounds N] [-scenarios LIST] [-commands=false] [-memory=false] [-also NAME=DIR]
//
// It writes a table and plots to DIR, and every single sample to _build/bench. It needs root, a C++
// compiler, strace and, for whole commands, busybox; crun and nsenter take part if they are there.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Options are what the command line says.
type options struct {
	out       string
	rounds    int
	seed      int
	scenarios string
	commands  bool
	memory    bool
	also      string
	profile   string
	redraw    string
}

func main() {
	var o options
	flag.StringVar(&o.out, "out", "", "write results.md and plots to `DIR`, not only to standard output")
	flag.IntVar(&o.rounds, "rounds", 500, "launches of each program in each scenario, without the warm-up")
	flag.IntVar(&o.seed, "seed", 1, "where the order of launches and the resampling start from")
	flag.StringVar(&o.scenarios, "scenarios", "", "comma-separated `LIST`; empty is all")
	flag.BoolVar(&o.commands, "commands", true, "measure whole commands too")
	flag.BoolVar(&o.memory, "memory", true, "measure what sharing memory brings too")
	flag.StringVar(&o.also, "also", "", "`NAME=DIR`: another copy of this project's sources, as one more contestant")
	flag.StringVar(&o.profile, "profile", "",
		"only show where the time of one `SCENARIO` goes, by the kernel's trace events")
	flag.StringVar(&o.redraw, "redraw", "", "only draw the plots that go with `DIR`/results.md")
	flag.Parse()
	if flag.NArg() != 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(o); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

func run(o options) error {
	if o.redraw != "" {
		return redraw(o.redraw)
	}
	if os.Geteuid() != 0 {
		return errors.New("namespaces are created and joined: this needs root")
	}
	start := time.Now()
	r := &report{machine: thisMachine(), command: commandLine(), rounds: o.rounds}

	if o.profile != "" {
		built, err := buildSmall(1)
		if err != nil {
			return err
		}
		return built.profile(o.profile)
	}
	scenarios, err := chooseScenarios(o.scenarios)
	if err != nil {
		return err
	}
	steps.all = buildSteps(o.also) + len(scenarios)
	if o.memory {
		steps.all += memorySteps()
	}
	if o.commands {
		steps.all += commandSteps()
	}
	built, err := buildAll(o.also)
	if err != nil {
		return err
	}
	if r.costs, err = measureBuilds(); err != nil {
		return err
	}

	for _, s := range scenarios {
		progress(fmt.Sprintf("scenario %q, %d rounds", s.title, o.rounds))
		result, err := built.measure(s, o.rounds, o.seed)
		if err != nil {
			return err
		}
		r.scenarios = append(r.scenarios, result)
	}
	if o.memory {
		if r.memory, err = built.measureMemory(o.rounds/memoryRoundsDivisor, o.seed); err != nil {
			return err
		}
	}
	if o.commands {
		if r.whole, err = measureCommands(o.seed); err != nil {
			return err
		}
	}
	r.took = time.Since(start)

	text := r.markdown()
	fmt.Print(text)
	if r.memory != nil {
		fmt.Print("\n", r.memoryMarkdown())
	}
	if o.out != "" {
		if err := r.write(o.out, text); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "bench: done after %v, see %s/%s\n", r.took.Round(time.Second), o.out, results)
	}
	return r.void()
}

// Steps is how far the run is.
var steps = struct {
	done, all int // all is 0 if nobody knows
	start     time.Time
}{start: time.Now()}

// Progress tells what is done from now on.
func progress(what string) {
	steps.done++
	far := ""
	if steps.all > 0 {
		far = fmt.Sprintf(" [%d of %d, after %v]", steps.done, steps.all, time.Since(steps.start).Round(time.Second))
	}
	fmt.Fprintf(os.Stderr, "bench:%s %s\n", far, what)
}

const makeBench = "make bench"

// CommandLine is how this run is made again.
func commandLine() string {
	args := strings.Join(os.Args[1:], " ")
	if args == "-out docs/bench" {
		return makeBench
	}
	return strings.TrimSpace("cd tests/bench && go run . " + args)
}

// RepoRoot is the root of the module that this one is nested in.
func repoRoot() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// BuildDir is where what is built and measured goes.
func buildDir() string { return filepath.Join(repoRoot(), "_build", "bench") }
