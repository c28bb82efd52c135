// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package attack has processes of others try to get at those of a launch, at each of its system calls
// (tests/faults/inject/attack.h), and compares what they get at with tests/faults/inject/openings.txt.
package attack

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

const root = "../../.."

func requireMachine(t *testing.T) {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("the injector knows the registers of x86-64 only")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root: attackers stand in namespaces and have uids of others")
	}
	for file, wanted := range map[string]string{
		// Attackers would be kept from more than they are elsewhere.
		"/proc/sys/kernel/yama/ptrace_scope": "0",
		// What is promised needs 0 or 2.
		"/proc/sys/fs/suid_dumpable": "0 2",
	} {
		text, err := os.ReadFile(file)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if value := strings.TrimSpace(string(text)); !strings.Contains(wanted, value) {
			t.Skipf("%s is %s here", file, value)
		}
	}
}

// Run runs a command in the root folder of the tree, and kills it at the deadline.
func run(t *testing.T, deadline time.Duration, argv ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = root
	output, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%v: killed after %v\n%s", argv, deadline, output)
	}
	return string(output), err
}

// Build compiles the injector and its probes, or what of it is named, and returns the folder.
func build(t *testing.T, name, source string, options []string, targets ...string) string {
	t.Helper()
	folder := filepath.Join("_build", name)
	steps := [][]string{
		append([]string{"cmake", "-S", source, "-B", folder, "-G", "Ninja"}, options...),
		append([]string{"cmake", "--build", folder, "--target"}, targets...),
	}
	for _, argv := range steps {
		if output, err := run(t, 10*time.Minute, argv...); err != nil {
			t.Fatalf("%v: %v\n%s", argv, err, output)
		}
	}
	return folder
}

func buildAll(t *testing.T) string {
	t.Helper()
	return build(t, "attack", "tests/faults/inject", nil, "injector", "probe", "probe-timed")
}

func attack(t *testing.T, folder, probe string, options ...string) (string, error) {
	t.Helper()
	argv := append([]string{filepath.Join(folder, "injector"), "attack", "--probe=" + probe}, options...)
	return run(t, 3*time.Minute, argv...)
}

var summary = regexp.MustCompile(`(?m)^all: (.*)`)

var verdict = regexp.MustCompile(`(?m)^(ok  |FAIL|found|none ) ([^:\n]*)(.*)`)

// Report makes a test of each line that says what came of something, and shows all of what was said of a core.
func report(t *testing.T, core, output string, err error) {
	t.Helper()
	t.Logf("%s: %s\n%s", core, summary.FindString(output), output)
	lines := verdict.FindAllStringSubmatch(output, -1)
	for _, line := range lines {
		line := line
		t.Run(line[2], func(t *testing.T) {
			if line[1] == "FAIL" {
				t.Error(line[2] + line[3])
			}
		})
	}
	if err != nil && !t.Failed() {
		t.Error(err)
	}
	if len(lines) < 10 {
		t.Errorf("only %d verdicts", len(lines))
	}
}

func TestNothingIsOpenButWhatIsListed(t *testing.T) {
	requireMachine(t)
	folder := buildAll(t)
	output, err := attack(t, folder, filepath.Join(folder, "probe"))
	report(t, "the core", output, err)
}

// Where processes cannot share memory there are others to attack.
func TestNothingElseIsOpenWhereMemoryIsCopied(t *testing.T) {
	requireMachine(t)
	folder := buildAll(t)
	copying := build(t, "attack-copying", "tests/faults/inject", []string{"-DCMAKE_CXX_FLAGS=-DNSEXEC_COPY_MEMORY"},
		"probe")
	output, err := attack(t, folder, filepath.Join(copying, "probe"))
	report(t, "the core where memory is copied", output, err)
}

// Each call that makes a process non-dumpable is left out.
func TestPlantedDefectsAreFound(t *testing.T) {
	requireMachine(t)
	folder := buildAll(t)
	output, err := attack(t, folder, filepath.Join(folder, "probe"), "--plant")
	report(t, "with planted defects, which have to be found", output, err)
}

// A core that looks at /proc when it has joined a mount namespace believes what a container has put there.
func TestABelieverInSomebodyElsesProcIsFound(t *testing.T) {
	requireMachine(t)
	folder := buildAll(t)
	const source = "_build/attack-believing-source"
	if output, err := run(t, time.Minute, "sh", "-euc", `rm -rf $0; mkdir -p $0/tests/faults
		cp -r CMakeLists.txt cmake cpp parent $0; cp -r tests/faults/inject $0/tests/faults`, source); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	file := filepath.Join(root, source, "cpp/namespaces.cc")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const asked, late = "if (!candidate.own) {", "if (!IsOwnUserNamespace(candidate.fd.get()).value()) {"
	if strings.Count(string(text), asked) != 1 {
		t.Fatalf("nothing to plant in %s: %s", file, asked)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), asked, late, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	believing := build(t, "attack-believing", source+"/tests/faults/inject", nil, "probe")
	output, err := attack(t, folder, filepath.Join(believing, "probe"), "--scenario=join-user-hostile-proc")
	for _, wanted := range []string{
		"makes newfstatat(/proc/self/ns/user) when it has joined namespaces",
		"the lies in /proc are believed",
	} {
		if err == nil || !strings.Contains(output, wanted) {
			t.Errorf("not found (%v): %s\n%s", err, wanted, output)
		}
	}
}

// How long is for a reader to see. That there are the two windows is for the test.
func TestWindowsAreMeasured(t *testing.T) {
	requireMachine(t)
	folder := buildAll(t)
	output, err := attack(t, folder, filepath.Join(folder, "probe-timed"), "--times=200")
	times := regexp.MustCompile(`(?m)^time .*`).FindAllString(output, -1)
	t.Log(strings.Join(times, "\n"))
	if err != nil || len(times) < 4 {
		t.Errorf("%v\n%s", err, output)
	}
}
