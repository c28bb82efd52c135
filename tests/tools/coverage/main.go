// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command coverage runs the tests of cpp/ on instrumented programs and prints what they reach: lines
// as gcc counts them, branches as clang does. Lines that nothing reaches are compared with
// unreached.txt, where each stands with its reason. See README.md; needs root.
//
//	go run ./tests/tools/coverage
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	buildFolder   = "_build/coverage"
	unreachedList = "tests/tools/coverage/unreached.txt"
	leastPercent  = 97.0
)

func main() {
	every := flag.Int("every", 4, "one case in so many of the fault sweep")
	flag.Parse()
	ok, err := run(*every)
	if err != nil {
		fmt.Fprintln(os.Stderr, "coverage:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

func run(every int) (bool, error) {
	if os.Geteuid() != 0 {
		return false, fmt.Errorf("root is needed")
	}
	if err := os.MkdirAll(buildFolder, 0o777); err != nil {
		return false, err
	}
	tools, err := buildTools()
	if err != nil {
		return false, err
	}

	source, err := filepath.Abs("cpp")
	if err != nil {
		return false, err
	}
	gcc, clang := newGcc(), newClang()
	for _, c := range []*compiler{gcc, clang} {
		if err := c.measure(tools, every); err != nil {
			return false, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	lines, err := readGcov(gcc, source)
	if err != nil {
		return false, err
	}
	branches, err := readLlvmCov(clang, source)
	if err != nil {
		return false, err
	}

	text, err := os.ReadFile(unreachedList)
	if err != nil {
		return false, err
	}
	return report(os.Stdout, lines, branches, func(file string) ([]byte, error) {
		return os.ReadFile(filepath.Join("cpp", file))
	}, string(text))
}

// Tools are the programs that do not depend on the compiler that is measured.
type tools struct{ protocol, injector string }

func buildTools() (tools, error) {
	t := tools{filepath.Join(buildFolder, "protocol.test"), "_build/inject/injector"}
	if err := quietly("build-protocol", nil, "go", "test", "-c", "-o", t.protocol,
		"./tests/conformance/protocol"); err != nil {
		return t, err
	}
	return t, quietly("build-injector", nil, "scripts/sweep", "build")
}

// Quietly runs a command with its output in a log, which is shown if it fails.
func quietly(name string, environment []string, argv ...string) error {
	log, err := os.Create(filepath.Join(buildFolder, name+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), environment...)
	cmd.Stdout = log
	cmd.Stderr = log
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(log.Name())
		const most = 4000
		if len(text) > most {
			text = text[len(text)-most:]
		}
		return fmt.Errorf("%v: %w\n%s", argv, err, text)
	}
	return nil
}
