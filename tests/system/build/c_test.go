// SPDX-License-Identifier: Apache-2.0

//go:build linux

package build

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"nsenter-cpp.example/internal/testutil"
	"nsenter-cpp.example/tests/internal/harness"
)

// A toolchain compiles the core for one libc and links C programs with it.
type toolchain struct {
	name     string
	cc       string
	cxxFlags func(t testing.TB) []string
}

var toolchains = []toolchain{
	{"glibc", "gcc", func(testing.TB) []string { return nil }},
	{"musl", "musl-gcc", muslFlags},
}

// muslFlags makes g++ compile against musl's headers. Debian has no g++ for musl, but its libstdc++ has
// nothing in its headers that needs glibc, but for one macro.
func muslFlags(t testing.TB) []string {
	t.Helper()
	output := command{".", nil, []string{"g++", "-E", "-v", "-x", "c++", os.DevNull}}.mustRun(t)
	_, listed, _ := strings.Cut(output, "#include <...> search starts here:")
	listed, _, _ = strings.Cut(listed, "End of search list")
	flags := []string{"-D__GLIBC_PREREQ(a,b)=0", "-nostdinc"}
	for _, folder := range strings.Fields(listed) {
		if strings.Contains(folder, "/c++/") && !strings.HasSuffix(folder, "/backward") {
			flags = append(flags, "-isystem", folder)
		}
	}
	machine := strings.TrimSpace(command{".", nil, []string{"g++", "-dumpmachine"}}.mustRun(t))
	flags = append(flags, "-isystem", "/usr/include/"+strings.Replace(machine, "gnu", "musl", 1))
	own := strings.TrimSpace(command{".", nil, []string{"g++", "-print-file-name=include"}}.mustRun(t))
	flags = append(flags, "-isystem", own)

	// The kernel's headers lie among glibc's.
	kernel := t.TempDir()
	for name, source := range map[string]string{
		"linux":       "/usr/include/linux",
		"asm-generic": "/usr/include/asm-generic",
		"asm":         "/usr/include/" + machine + "/asm",
	} {
		if err := os.Symlink(source, filepath.Join(kernel, name)); err != nil {
			t.Fatal(err)
		}
	}
	return append(flags, "-isystem", kernel)
}

// compiledCores are the objects that compileCore has made, in the scratch folder of all tests.
var compiledCores = map[string][]string{}

// compileCore returns the objects of the core, compiled with the flags that the go command uses.
func (c toolchain) compileCore(t testing.TB) []string {
	t.Helper()
	need(t, "g++", c.cc)
	if objects := compiledCores[c.name]; objects != nil {
		return objects
	}
	folder, err := os.MkdirTemp(scratch, c.name)
	if err != nil {
		t.Fatal(err)
	}
	argv := append([]string{"g++", "-c", "-O2", "-fPIC"}, goFiles(t, root(t), "CgoCXXFLAGS")...)
	argv = append(argv, c.cxxFlags(t)...)
	for _, source := range goFiles(t, root(t), "CXXFiles") {
		argv = append(argv, filepath.Join(root(t), "cpp", source))
	}
	command{folder, nil, argv}.mustRun(t)
	objects, err := filepath.Glob(filepath.Join(folder, "*.o"))
	if err != nil || len(objects) == 0 {
		t.Fatalf("no objects (%v)", err)
	}
	compiledCores[c.name] = objects
	return objects
}

// compileC compiles and links a program of testdata/c.
func (c toolchain) compileC(t testing.TB, source string, arguments ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), strings.TrimSuffix(source, ".c"))
	argv := []string{c.cc, "-Wall", "-Wextra", "-Werror", "-I" + filepath.Join(root(t), "cpp"), "-o", program,
		filepath.Join("testdata/c", source)}
	command{".", nil, append(argv, arguments...)}.mustRun(t)
	return program
}

// What the C probe says of a sound process that got SIGUSR2 blocked and SIGHUP ignored.
func soundProcess(ignored string) string {
	return "cached thread id: gettid\n" +
		"pthread_getattr_np: 0\n" +
		"threads that ran: 1\n" +
		"signals caught after raise: 1\n" +
		"signals caught after pthread_kill: 2\n" +
		"blocked: 12\n" +
		"ignored: " + ignored + "\n" +
		"caught:\n" +
		"open: 0 1 2 3 4\n"
}

func TestInitProcessIsASoundCProcess(t *testing.T) {
	for _, libc := range toolchains {
		for _, static := range []bool{false, true} {
			link := map[bool]string{false: "dynamic", true: "static"}[static]
			t.Run(libc.name+"/"+link, func(t *testing.T) {
				arguments := append([]string(nil), libc.compileCore(t)...)
				if static {
					arguments = append(arguments, "-static")
				}
				arguments = append(arguments, "-pthread")
				program := libc.compileC(t, "probe.c", arguments...)
				prepare := libc.compileC(t, "prepare.c", "-static")
				// SIGPIPE in both of its usual dispositions: nsexec changes it for a while.
				for _, ignored := range []string{"1", "13"} {
					want := map[string]string{"1": "1", "13": "1 13"}[ignored]
					checkFlows(t, prepare, soundProcess(want), "PREPARE_PROGRAM="+program, "PREPARE_IGNORE="+ignored)
				}
			})
		}
	}
}

// TestVectorsWithMusl: all launches, with the C library that others than Debian build for. Debian's is 1.2.3; what its
// clone(3) refuses from 1.2.5 on is refused here too.
func TestVectorsWithMusl(t *testing.T) {
	testutil.RequireRoot(t)
	musl := toolchains[1]
	program := musl.compileC(t, "launched.c", append([]string{"testdata/c/later_musl.c", "-Wl,--wrap=clone", "-static"},
		musl.compileCore(t)...)...)
	// What Go's runtime does with a closed standard input is not for a program in C. The others have texts of glibc's for
	// an errno (strerror(3)) that are not musl's.
	const skipped = "^TestVectors/(stdin-closed|offsets-before-boot|classic-console-(null|fifo|file))"
	command{root(t), []string{"REQUIRE_ALL=1", "NSEXEC=" + program}, []string{
		"go", "test", "-count=1", "-skip=" + skipped, "./tests/conformance/protocol",
	}}.mustRun(t)
}

// A program that runs with privileges its caller lacks does not let that caller's environment steer it.
func TestSetuidProgramIsRefused(t *testing.T) {
	testutil.RequireRoot(t)
	program := toolchains[0].compileC(t, "probe.c", toolchains[0].compileCore(t)...)
	c := flows()[0].request
	c.Program = program
	c.UID, c.GID = 1000, 1000
	c.Setup = []string{"setuid"}
	outcome, err := harness.Run(c)
	if err != nil {
		t.Fatal(err)
	}
	if outcome.Status != "1" || outcome.Initpipe != "" || outcome.Stdout != "" || len(outcome.Left) > 0 {
		t.Errorf("%+v", outcome)
	}
	said := outcome.Stderr + strings.Join(outcome.Fatal, "\n")
	if !strings.Contains(said, "privileges") || strings.Count(said, "\n") > 1 {
		t.Errorf("said: %q", said)
	}
}

// A library with the core inside refuses when a running program loads it, whether that has threads or not.
func TestSharedLibrary(t *testing.T) {
	gcc := toolchains[0]
	library := filepath.Join(t.TempDir(), "library.so")
	argv := append([]string{"g++", "-std=c++20", "-fPIC", "-shared", "-o", library,
		"-I" + filepath.Join(root(t), "cpp"), filepath.Join(root(t), "cmake/constructor.cc")},
		gcc.compileCore(t)...)
	command{".", nil, argv}.mustRun(t)
	host := gcc.compileC(t, "host.c", "-pthread", "-ldl")

	for _, c := range []struct {
		name string
		argv []string
		want string
	}{
		{"threads", []string{host, library, "thread"}, "FATAL: refused: a running program loads this code"},
		{"no threads", []string{host, library}, "FATAL: refused: a running program loads this code"},
	} {
		t.Run(c.name, func(t *testing.T) {
			pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			syscall.Close(pair[0])
			theirs := os.NewFile(uintptr(pair[1]), "INITPIPE")
			defer theirs.Close()
			cmd := exec.Command(c.argv[0], c.argv[1:]...)
			cmd.Env = append(os.Environ(), "_LIBCONTAINER_INITPIPE=3")
			cmd.ExtraFiles = []*os.File{theirs}
			output, _ := cmd.CombinedOutput()
			if got := cmd.ProcessState.ExitCode(); got != 1 {
				t.Errorf("exit status %d, not 1", got)
			}
			if !strings.HasPrefix(string(output), c.want) || strings.Count(string(output), "\n") != 1 {
				t.Errorf("said %q, not %q", output, c.want)
			}
		})
	}

	if got := (command{".", nil, []string{host, library, "thread"}}).mustRun(t); got != "library loaded\n" {
		t.Errorf("where nothing is asked: %q", got)
	}
}
