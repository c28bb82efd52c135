// SPDX-License-Identifier: Apache-2.0

//go:build linux

package build

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"syscall"
	"testing"

	"nsenter-cpp.example/internal/testutil"
)

// A target as CMake describes it (cmake-file-api(7)).
type target struct {
	Name    string
	Sources []struct{ Path string }

	CompileGroups []struct {
		CompileCommandFragments []struct{ Fragment string }
	}
}

// describeTarget configures the project and reads what CMake makes of a target.
func describeTarget(t testing.TB, name string) target {
	t.Helper()
	folder := t.TempDir()
	writeFiles(t, folder, map[string]string{".cmake/api/v1/query/codemodel-v2": ""})
	command{root(t), nil, []string{"cmake", "-S", ".", "-B", folder, "-DNSEXEC_TESTS=OFF"}}.mustRun(t)
	replies, err := filepath.Glob(filepath.Join(folder, ".cmake/api/v1/reply/target-"+name+"-*.json"))
	if err != nil || len(replies) != 1 {
		t.Fatalf("CMake describes target %s in %v (%v)", name, replies, err)
	}
	var described target
	if err := json.Unmarshal([]byte(readFile(t, replies[0])), &described); err != nil {
		t.Fatal(err)
	}
	return described
}

// CMake and the go command compile the same sources with the same flags.
func TestCMakeAndGoCompileTheSame(t *testing.T) {
	need(t, "cmake")
	described := describeTarget(t, "nsexec")
	var byCMake []string
	for _, source := range described.Sources {
		byCMake = append(byCMake, strings.TrimPrefix(source.Path, "cpp/"))
	}
	byGo := append(goFiles(t, root(t), "CXXFiles"), goFiles(t, root(t), "HFiles")...)
	sort.Strings(byCMake)
	sort.Strings(byGo)
	if strings.Join(byCMake, " ") != strings.Join(byGo, " ") {
		t.Errorf("CMakeLists.txt has\n%v\nthe go command compiles\n%v", byCMake, byGo)
	}

	flags := map[string]bool{}
	for _, group := range described.CompileGroups {
		for _, fragment := range group.CompileCommandFragments {
			for _, flag := range strings.Fields(fragment.Fragment) {
				flags[flag] = true
			}
		}
	}
	for _, flag := range goFiles(t, root(t), "CgoCXXFLAGS") {
		if !flags[flag] {
			t.Errorf("cpp/cpp.go has %s, CMake compiles without", flag)
		}
	}
}

// What was installed below DESTDIR and moved to its place is found with find_package, and works.
func TestCMakeInstall(t *testing.T) {
	need(t, "cmake")
	folder := t.TempDir()
	build, staged := filepath.Join(folder, "build"), filepath.Join(folder, "staged")
	command{root(t), nil, []string{"cmake", "-S", ".", "-B", build, "-DNSEXEC_TESTS=OFF",
		"-DCMAKE_INSTALL_PREFIX=/opt/nsexec", "-DCMAKE_INSTALL_LIBDIR=lib", "-DCMAKE_BUILD_TYPE=Release"}}.mustRun(t)
	command{root(t), nil, []string{"cmake", "--build", build, "--parallel", "2"}}.mustRun(t)
	command{root(t), []string{"DESTDIR=" + staged}, []string{"cmake", "--install", build}}.mustRun(t)
	entries, err := os.ReadDir(staged)
	if err != nil || len(entries) != 1 || entries[0].Name() != "opt" {
		t.Fatalf("installed below DESTDIR: %v (%v)", entries, err)
	}
	installed := filepath.Join(folder, "installed")
	if err := os.Rename(filepath.Join(staged, "opt/nsexec"), installed); err != nil {
		t.Fatal(err)
	}

	packages := filepath.Join(folder, "packages")
	command{build, nil, []string{"cpack", "-G", "TGZ", "-B", packages}}.mustRun(t)
	if _, err := exec.LookPath("dpkg-deb"); err == nil {
		command{build, nil, []string{"cpack", "-G", "DEB", "-B", packages}}.mustRun(t)
	}

	// The build folder is gone from here on: nothing that was installed may point there.
	if err := os.RemoveAll(build); err != nil {
		t.Fatal(err)
	}
	consume := func(source string, options ...string) (built string) {
		built = filepath.Join(folder, filepath.Base(source))
		argv := append([]string{"cmake", "-S", source, "-B", built, "-DCMAKE_PREFIX_PATH=" + installed}, options...)
		command{".", nil, argv}.mustRun(t)
		command{".", nil, []string{"cmake", "--build", built}}.mustRun(t)
		return built
	}
	consumer := consume("testdata/cmake-consumer")
	example := consume("../../../examples/cpp", "-DCMAKE_CXX_STANDARD=17", "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror")

	for _, program := range []string{"calls", "constructed"} {
		path := filepath.Join(consumer, program)
		if got := (command{".", nil, []string{path}}).mustRun(t); got != "nsexec returned\n" {
			t.Errorf("%s prints %q", program, got)
		}
		// That nsexec is in there, and runs, shows where it refuses what it is asked.
		command{".", []string{"_LIBCONTAINER_INITPIPE=x"}, []string{path}}.mustFail(t,
			"FATAL: ", "_LIBCONTAINER_INITPIPE")
	}
	testExample(t, filepath.Join(example, "enter"))
	t.Run("pkg-config", func(t *testing.T) { testPkgConfig(t, installed) })
	t.Run("TGZ", func(t *testing.T) {
		command{packages, nil, []string{"sh", "-c", "tar xzf nsexec-*.tar.gz"}}.mustRun(t)
		testPkgConfig(t, onlyOne(t, filepath.Join(packages, "nsexec-*[^z]")))
	})
	t.Run("DEB", func(t *testing.T) {
		need(t, "dpkg-deb")
		command{packages, nil, []string{"sh", "-c", "dpkg-deb -x libnsexec-dev_*.deb deb"}}.mustRun(t)
		testPkgConfig(t, filepath.Join(packages, "deb/usr"))
		onlyOne(t, filepath.Join(packages, "deb/usr/share/doc/libnsexec-dev/copyright"))
	})
}

// onlyOne returns the one file that there is of a pattern.
func onlyOne(t testing.TB, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %v (%v)", pattern, found, err)
	}
	return found[0]
}

// testPkgConfig compiles and links with what pkg-config says of the installed libraries.
func testPkgConfig(t *testing.T, installed string) {
	need(t, "pkg-config", "c++")
	environment := []string{"PKG_CONFIG_PATH=" + onlyOne(t, filepath.Join(installed, "lib/pkgconfig"))}
	const refused = "_LIBCONTAINER_INITPIPE"
	for _, c := range []struct{ library, source, standard string }{
		{"nsexec", "testdata/cmake-consumer/calls.cc", "-std=c++11"},
		{"nsexec-constructor", "testdata/cmake-consumer/constructed.cc", "-std=c++11"},
		{"nsexec-parent", "../../../examples/cpp/enter.cc", "-std=c++17"},
	} {
		flags := command{".", environment, []string{"pkg-config", "--cflags", "--libs", c.library}}.mustRun(t)
		program := filepath.Join(t.TempDir(), c.library)
		argv := append([]string{"c++", c.standard, "-o", program, c.source}, strings.Fields(flags)...)
		command{".", nil, argv}.mustRun(t)
		command{".", []string{refused + "=x"}, []string{program}}.mustFail(t, "FATAL: ", refused)
		if c.library == "nsexec-parent" {
			testExample(t, program)
		} else if got := (command{".", nil, []string{program}}).mustRun(t); got != "nsexec returned\n" {
			t.Errorf("%s prints %q", program, got)
		}
	}
}

// testExample lets the example of the C++ library look around in a container.
func testExample(t *testing.T, program string) {
	testutil.RequireRoot(t)
	container := exec.Command("/bin/sh", "-c", "hostname container && echo ready && exec sleep 60")
	container.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUTS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWNS,
	}
	output, err := container.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := container.Start(); err != nil {
		t.Fatal(err)
	}
	defer container.Wait()
	defer container.Process.Kill()
	if said, err := bufio.NewReader(output).ReadString('\n'); err != nil {
		t.Fatalf("the container says %q: %v", said, err)
	}
	got := command{".", nil, []string{program, fmt.Sprint(container.Process.Pid), "Who?"}}.mustRun(t)
	if want := regexp.MustCompile(`^Who\? pid \d, host container, 1 interfaces\n$`); !want.MatchString(got) {
		t.Errorf("the example says %q, want %v", got, want)
	}
	command{".", nil, []string{program, "4194305", "Who?"}}.mustFail(t,
		"enter: failed to open cgroup namespace /proc/4194305/ns/cgroup: No such file or directory\n")
}
