// SPDX-License-Identifier: Apache-2.0

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
	"syscall"
	"time"
)

// A suite is something that runs tests. Run gives a row for each group of tests that is counted on its
// own.
type suite struct {
	name string
	run  func(name string) []row
	// The rows that have to come of it.
	expected []string
	// It is not run beside others.
	alone bool
}

// AllSuites is what `make test` runs, what is quick to fail first.
func allSuites() ([]suite, error) {
	var suites []suite
	for _, check := range []string{
		"gofmt", "clang-format", "spdx", "nolint", "columns", "subjects", "manual", "shellcheck", "vet",
		"staticcheck", "clang-tidy",
	} {
		suites = append(suites, oneRow("lint "+check, command("scripts/lint", check)))
	}
	text, err := os.ReadFile("CMakePresets.json")
	if err != nil {
		return nil, err
	}
	names, err := presets(text)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		run := ctest
		if name == "valgrind" {
			run = valgrind
		}
		suites = append(suites, oneRow("cpp "+name, run("ci-"+name)))
	}

	modules, err := goModules()
	if err != nil {
		return nil, err
	}
	testFiles, err := treeFiles("*_test.go")
	if err != nil {
		return nil, err
	}
	folders := testFolders(modules, testFiles)
	for _, module := range modules {
		if len(folders[module]) == 0 {
			continue // has nothing but a requirement, or what a test builds
		}
		s := suite{name: "go " + module, run: goTest(module)}
		for _, folder := range folders[module] {
			s.expected = append(s.expected, "go "+folder)
		}
		suites = append(suites, s)
	}
	return suites, nil
}

// OneRow is a suite that is counted as a whole.
func oneRow(name string, run func(string) []row) suite {
	return suite{name: name, run: run, expected: []string{name}}
}

// QuickSuites is what `make quick` runs before each commit: it has to end within a minute.
func quickSuites() []suite {
	var suites []suite
	for _, check := range []string{
		"gofmt", "clang-format", "spdx", "nolint", "columns", "subjects", "shellcheck", "vet",
	} {
		suites = append(suites, oneRow("quick "+check, command("scripts/lint", check)))
	}
	suites = append(suites, oneRow("quick cpp debug", ctest("ci-debug")))
	packages := suite{name: "quick go", run: goTest(".", quickPackages...)}
	for _, folder := range quickPackages {
		packages.expected = append(packages.expected, "go "+strings.TrimPrefix(folder, "./"))
	}
	return append(suites, packages)
}

var quickPackages = []string{
	"./nsenter/bootstrap", "./nsenter/parent", "./tests/conformance/protocol", "./tests/tools/run",
}

// CheckSuites is what `make check` runs: what takes its time, or needs what few have installed.
func checkSuites() []suite {
	sweep := oneRow("check sweep", printingCommand("scripts/sweep", "check"))
	// Each launch has to be over in the second that is promised; and what mutants builds for itself is this.
	sweep.alone = true
	suites := []suite{
		sweep,
		// Of one small file, so that `make mutate`, which takes its time, goes on working.
		oneRow("check mutants", printingCommand("go", "run", "./tests/tools/mutate", "init_process.cc")),
	}
	for _, machine := range []string{"clang", "s390x", "i386", "arm64", "riscv64"} {
		suites = append(suites, oneRow("check foreign "+machine, printingCommand("tests/system/foreign/run", machine)))
	}
	for _, part := range []string{"names", "configurations", "planted"} {
		suites = append(suites, oneRow("check model "+part, printingCommand("tests/model/run", part)))
	}
	// The longest one is last, where the second lane begins.
	return append(suites,
		oneRow("check fuzz", printingCommand("tests/fuzz/run", "check")),
		oneRow("check uml", printingCommand("tests/system/uml/run")),
		oneRow("check platforms", printingCommand("tests/system/platforms/run", "ci")))
}

// GoModules lists the folders with a go.mod, the root first.
func goModules() ([]string, error) {
	files, err := treeFiles("go.mod", "*/go.mod")
	if err != nil {
		return nil, err
	}
	var folders []string
	for _, file := range files {
		folders = append(folders, filepath.Dir(file))
	}
	sort.Strings(folders)
	return folders, nil
}

// Execute runs a command to its end, or kills it and its children at the deadline, and returns its
// standard output. All output goes to the log.
func execute(log *suiteLog, folder string, argv ...string) ([]byte, error) {
	fmt.Fprintf(log, "$ cd %s && %s\n", folder, strings.Join(argv, " "))
	ctx, cancel := context.WithTimeout(context.Background(), log.timeout)
	defer cancel()
	var stdout bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = folder
	cmd.Stdout = &stdout
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	log.Write(stdout.Bytes())
	if state := cmd.ProcessState; state != nil {
		log.processor += state.UserTime() + state.SystemTime()
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("killed after %v", log.timeout)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", strings.Join(argv, " "), err)
	}
	return stdout.Bytes(), err
}

// A suiteLog keeps all output of a suite, and counts what its commands took of the processors.
type suiteLog struct {
	*os.File
	timeout   time.Duration // of each command
	processor time.Duration
}

// WithLog opens the log of a suite. A suite that has no log has failed.
func withLog(name string, run func(log *suiteLog) []row) []row {
	file, err := os.Create(logPath(name))
	if err != nil {
		return failure(name, err)
	}
	defer file.Close()
	log := &suiteLog{File: file, timeout: suiteTimeout}
	rows := run(log)
	if len(rows) > 0 {
		rows[0].processor = log.processor
	}
	return rows
}

func failure(name string, err error) []row {
	return []row{{name: name, result: result{failed: 1, remarks: []string{"FAIL " + name + ": " + err.Error()}}}}
}

// FailureWithLog is for what tells its story in its output.
func failureWithLog(name string, err error) []row {
	text, _ := os.ReadFile(logPath(name))
	return failure(name, fmt.Errorf("%w\n%s", err, text))
}

// Command is a check that is one test: it passes with exit status 0.
func command(argv ...string) func(string) []row {
	return runCommand(argv, false)
}

// PrintingCommand is a command whose standard output is for whoever runs it.
func printingCommand(argv ...string) func(string) []row {
	return runCommand(argv, true)
}

func runCommand(argv []string, printed bool) func(string) []row {
	return func(name string) []row {
		return withLog(name, func(log *suiteLog) []row {
			output, err := execute(log, ".", argv...)
			if err != nil {
				return failureWithLog(name, err)
			}
			passed := result{passed: 1}
			if printed {
				passed.remarks = []string{string(output)}
			}
			return []row{{name: name, result: passed}}
		})
	}
}

// Ctest configures, builds and tests with a CMake preset.
func ctest(preset string) func(string) []row {
	return func(name string) []row {
		return withLog(name, func(log *suiteLog) []row {
			report, err := filepath.Abs(filepath.Join(logFolder, preset+".xml"))
			if err != nil {
				return failure(name, err)
			}
			os.Remove(report)
			programs, err := testPrograms()
			if err != nil {
				return failure(name, err)
			}
			if err := build(log, preset); err != nil {
				return failureWithLog(name, err)
			}
			_, err = execute(log, ".", "ctest", "--preset", preset, "--parallel", "2", "--timeout", "60",
				"--no-tests=error", "--output-junit", report)
			return []row{{name: name, result: readReports(name, err, report, programs...)}}
		})
	}
}

// Build configures and builds with a CMake preset.
func build(log *suiteLog, preset string) error {
	for _, argv := range [][]string{
		{"cmake", "--preset", preset},
		{"cmake", "--build", "--preset", preset},
	} {
		if _, err := execute(log, ".", argv...); err != nil {
			return err
		}
	}
	return nil
}

// Valgrind builds the test programs with a preset and runs them. ctest is left out: it starts a process for
// each test, and valgrind takes its time to start.
func valgrind(preset string) func(string) []row {
	return func(name string) []row {
		return withLog(name, func(log *suiteLog) []row {
			if err := build(log, preset); err != nil {
				return failureWithLog(name, err)
			}
			programs, err := testPrograms()
			if err != nil {
				return failure(name, err)
			}
			rows := make([]row, len(programs))
			twoAtATime(len(programs), func(i int) {
				rows[i] = runInValgrind(name+" "+programs[i], filepath.Join("_build", preset, programs[i]))
			})
			total := row{name: name}
			for _, r := range rows {
				total.result.add(r.result)
				log.processor += r.processor
			}
			return []row{total}
		})
	}
}

func runInValgrind(name, program string) row {
	return withLog(name, func(log *suiteLog) []row {
		report := filepath.Join(logFolder, "valgrind-"+filepath.Base(program)+".xml")
		os.Remove(report)
		_, err := execute(log, ".", "valgrind", "--quiet", "--error-exitcode=99",
			"--leak-check=full", program, "--gtest_output=xml:"+report)
		return []row{{name: name, result: readReports(name, err, report)}}
	})[0]
}

// GoTest runs the tests of some packages in a module, or of all. Results are never taken from the go command's cache:
// it does not see what a test reads through another process.
func goTest(module string, packages ...string) func(string) []row {
	if len(packages) == 0 {
		packages = []string{"./..."}
	}
	return func(name string) []row {
		return withLog(name, func(log *suiteLog) []row {
			path, err := execute(log, module, "go", "list", "-m")
			if err != nil {
				return failureWithLog(name, err)
			}
			argv := []string{"go", "test", "-json", "-count=1", "-timeout", suiteTimeout.String()}
			output, err := execute(log, module, append(argv, packages...)...)
			return parseGoTest(output, err, module, strings.TrimSpace(string(path)))
		})
	}
}
