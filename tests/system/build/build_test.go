// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package build tests what becomes of the package in other people's builds: compilers, flags, build modes,
// vendoring, CMake, C programs; and what the result needs at run time.
package build

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"nsenter-cpp.example/internal/testutil"
	"nsenter-cpp.example/tests/internal/harness"
)

const modulePath = "nsenter-cpp.example"

// hardening are the flags with which distributions build.
const hardening = "-O2 -Wp,-D_GLIBCXX_ASSERTIONS -Wp,-U_FORTIFY_SOURCE,-D_FORTIFY_SOURCE=3 " +
	"-fstack-protector-strong -fcf-protection"

// scratch is a folder that lives as long as all tests.
var scratch string

func TestMain(m *testing.M) {
	harness.Main()
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	folder, err := os.MkdirTemp("", "build-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	scratch = folder
	return m.Run()
}

// root is the folder of the module.
func root(t testing.TB) string {
	t.Helper()
	folder, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// need leaves the test out if a program is not installed.
func need(t testing.TB, programs ...string) {
	t.Helper()
	for _, program := range programs {
		_, err := exec.LookPath(program)
		testutil.Require(t, err == nil, program)
	}
}

// A command to be run in a folder, with the environment of the test and these variables.
type command struct {
	folder string
	env    []string
	argv   []string
}

// run returns what the command wrote to both of its outputs.
func (c command) run() (string, error) {
	cmd := exec.Command(c.argv[0], c.argv[1:]...)
	cmd.Dir = c.folder
	// Not a workspace's, and nothing is fetched.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "GOPROXY=off")
	cmd.Env = append(cmd.Env, c.env...)
	output, err := cmd.CombinedOutput()
	return string(output), err
}

func (c command) String() string {
	return "cd " + c.folder + " && " + strings.Join(append(c.env, c.argv...), " ")
}

func (c command) mustRun(t testing.TB) string {
	t.Helper()
	output, err := c.run()
	if err != nil {
		t.Fatalf("%v: %v\n%s", c, err, output)
	}
	return output
}

// mustFail checks that the command fails, with all these words in its output.
func (c command) mustFail(t testing.TB, words ...string) string {
	t.Helper()
	output, err := c.run()
	if err == nil {
		t.Fatalf("%v did not fail:\n%s", c, output)
	}
	for _, word := range words {
		if !strings.Contains(output, word) {
			t.Errorf("%v: no %q in\n%s", c, word, output)
		}
	}
	return output
}

// goBuild builds a package of the module in folder and returns the program's path.
func goBuild(t testing.TB, folder string, env []string, arguments ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	argv := append([]string{"go", "build", "-o", program}, arguments...)
	command{folder, env, argv}.mustRun(t)
	return program
}

// writeFiles puts files into folder; the names are slash-separated.
func writeFiles(t testing.TB, folder string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// lastingFolder is an empty folder where the last run had it: the go command's build cache goes by that, and knows what
// has not changed.
func lastingFolder(t testing.TB, name string) string {
	t.Helper()
	folder := filepath.Join(root(t), "_build", "build-test", name)
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	return folder
}

// copyModule puts what a program imports, and the probe, into an empty folder.
func copyModule(t testing.TB, copied string) string {
	t.Helper()
	for _, part := range []string{"go.mod", "nsenter", "cpp", "tests/conformance/probe"} {
		source := filepath.Join(root(t), part)
		err := filepath.WalkDir(source, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(root(t), path)
			if err != nil {
				return err
			}
			writeFiles(t, copied, map[string]string{name: string(text)})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return copied
}

// consumer makes a module of its own that uses ours from the folder at replaced, with these files, and with the probe
// as its program unless they have another.
func consumer(t testing.TB, replaced string, files map[string]string) string {
	t.Helper()
	return consumerIn(t, t.TempDir(), replaced, files)
}

// consumerIn makes it in a folder.
func consumerIn(t testing.TB, folder, replaced string, files map[string]string) string {
	t.Helper()
	if _, other := files["main.go"]; !other {
		for _, name := range []string{"main.go", "nsenter.go"} {
			probe := readFile(t, filepath.Join(root(t), "tests/conformance/probe", name))
			writeFiles(t, folder, map[string]string{name: probe})
		}
	}
	writeFiles(t, folder, map[string]string{
		"go.mod": "module consumer.example\n\ngo 1.18\n\nrequire " + modulePath + " v0.0.0\n\nreplace " +
			modulePath + " => " + replaced + "\n",
	})
	writeFiles(t, folder, files)
	return folder
}

// netlinkMessage asks for new namespaces.
func netlinkMessage(cloneFlags uint32) []byte {
	const messageType, cloneFlagsType = 62000, 27281
	var message bytes.Buffer
	for _, field := range []any{
		uint32(16 + 8), uint16(messageType), uint16(0), uint32(0), uint32(0), // nlmsghdr
		uint16(8), uint16(cloneFlagsType), cloneFlags,
	} {
		// A buffer takes everything. The message is in host byte order, which is this one wherever the
		// tests run.
		_ = binary.Write(&message, binary.LittleEndian, field)
	}
	return message.Bytes()
}

// The namespaces that a flow asks for, and in both of them the init process gets.
var flowNamespaces = []string{"ipc", "mnt", "net", "pid", "uts"}

const flowCloneFlags = 0x08000000 | 0x00020000 | 0x40000000 | 0x20000000 | 0x04000000

// A flow is one launch of each protocol.
type flow struct {
	name      string
	request   harness.Case
	namespace string // what each of flowNamespaces is then
}

func flows() []flow {
	return []flow{
		{"netlink", harness.Case{
			Env:     []string{"_LIBCONTAINER_INITPIPE=3", "_LIBCONTAINER_LOGPIPE=4"},
			Fixture: "none",
			Message: netlinkMessage(flowCloneFlags),
			Order:   harness.ReadFirst,
		}, "new"},
		{"classic", harness.Case{
			Env:     []string{"_LIBCONTAINER_INITPIPE=3", "_LIBCONTAINER_INITPID=4711"},
			Fixture: "plain",
			Order:   harness.ReadFirst,
		}, "joined"},
	}
}

// checkFlows lets a program that keeps the contract of tests/conformance/probe join and create namespaces. It writes
// `said` between the line that nsexec has returned and what it reads from INITPIPE.
func checkFlows(t *testing.T, program, said string, env ...string) {
	t.Helper()
	testutil.RequireRoot(t)
	for _, f := range flows() {
		c := f.request
		c.Program = program
		c.Env = append(c.Env, env...)
		outcome, err := harness.Run(c)
		if err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
		if want := "nsexec returned\n" + said + harness.Document; outcome.Stdout != want {
			t.Errorf("%s: program wrote %q, not %q", f.name, outcome.Stdout, want)
		}
		if outcome.Status != "0" || outcome.Hang != "" || len(outcome.Left) > 0 || len(outcome.Fatal) > 0 ||
			outcome.Stderr != "" {
			t.Errorf("%s: %+v", f.name, outcome)
		}
		if outcome.Init == nil {
			t.Errorf("%s: no init process", f.name)
			continue
		}
		for _, name := range flowNamespaces {
			if got := outcome.Init.NS[name]; got != f.namespace {
				t.Errorf("%s: %s namespace is %q, not %q", f.name, name, got, f.namespace)
			}
		}
	}
}
