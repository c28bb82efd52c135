// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
)

// OnlyInGo is the test that needs Go's runtime in the program, which opens descriptors that are closed.
const onlyInGo = "TestVectors/stdin-closed"

// A compiler makes two builds of the core: as it is, and with NSEXEC_COPY_MEMORY, where the init
// process and the helper get a copy of the launched process's memory. The tests in C++ are in the first.
type compiler struct {
	name, command   string
	compile, link   string // flags
	shared, copying build
}

type build struct {
	folder   string
	counters string // where its programs keep their counters, see counters/counters.cc
	programs []string
	counted  []counted
}

// Counted is a file with the counters of a program, or of a copy of it.
type counted struct{ program, file string }

func newGcc() *compiler {
	return newCompiler("gcc", "g++",
		// Each function's counters need a section, for counters/counters.ld to find. Without -fno-builtin gcc has its
		// own fork and exec, which write counters.
		"-O0 --coverage -fprofile-update=atomic -fdata-sections -fno-builtin",
		"--coverage -Wl,--wrap=__gcov_exit")
}

func newClang() *compiler {
	return newCompiler("clang", "clang++-19",
		"-O0 -fprofile-instr-generate -fcoverage-mapping -fprofile-update=atomic",
		"-fprofile-instr-generate")
}

func newCompiler(name, command, compile, link string) *compiler {
	return &compiler{name: name, command: command, compile: compile, link: link,
		shared:  newBuild(filepath.Join(buildFolder, name)),
		copying: newBuild(filepath.Join(buildFolder, name+"-copying"))}
}

// NewBuild names a build's folders. Launched processes may come as somebody who cannot enter the
// working tree, so their counters lie elsewhere.
func newBuild(folder string) build {
	hash := fnv.New32()
	absolute, _ := filepath.Abs(folder)
	hash.Write([]byte(absolute))
	return build{folder: folder, counters: fmt.Sprintf("/tmp/nsexec-coverage-%08x", hash.Sum32())}
}

func (c *compiler) builds() []*build { return []*build{&c.shared, &c.copying} }

// Measure builds the programs, runs the tests on them, and has each write what it has counted.
func (c *compiler) measure(t tools, every int) error {
	for _, b := range c.builds() {
		if err := b.removeCounters(); err != nil {
			return err
		}
		if err := c.build(b, b == &c.copying); err != nil {
			return err
		}
		// Compiling runs the tests' programs, too, to have their names.
		if err := b.removeCounters(); err != nil {
			return err
		}
		fmt.Printf("%s: running the tests in %s\n", c.name, b.folder)
		if err := b.runTests(t, every); err != nil {
			return err
		}
		if err := b.writeCounted(); err != nil {
			return err
		}
	}
	return nil
}

func (b *build) removeCounters() error {
	if err := os.RemoveAll(b.counters); err != nil {
		return err
	}
	if err := os.Mkdir(b.counters, 0o700); err != nil {
		return err
	}
	// Whatever the umask is.
	if err := os.Chmod(b.counters, 0o777); err != nil {
		return err
	}
	return filepath.Walk(b.folder, func(path string, info os.FileInfo, err error) error {
		if err == nil && strings.HasSuffix(path, ".gcda") {
			return os.Remove(path)
		}
		if os.IsNotExist(err) {
			return nil
		}
		return err
	})
}

func (c *compiler) build(b *build, copying bool) error {
	fmt.Printf("%s: building %s\n", c.name, b.folder)
	if err := os.MkdirAll(b.folder, 0o777); err != nil {
		return err
	}
	here, err := filepath.Abs("tests/tools/coverage/counters")
	if err != nil {
		return err
	}
	folder, err := filepath.Abs(b.folder)
	if err != nil {
		return err
	}
	log := filepath.Base(b.folder)
	counters := filepath.Join(folder, "counters.o")
	if err := quietly(log+"-counters", nil, c.command, "-std=c++20", "-Wall", "-Wextra", "-c",
		"-DCOVERAGE_FOLDER=\""+b.counters+"\"", filepath.Join(here, "counters.cc"), "-o", counters); err != nil {
		return err
	}
	compile, tests := c.compile, "ON"
	if copying {
		compile, tests = compile+" -DNSEXEC_COPY_MEMORY", "OFF"
	}
	link := strings.Join([]string{c.link, "-Wl,-T," + filepath.Join(here, "counters.ld"), counters}, " ")
	if err := quietly(log+"-configure", nil, "cmake", "-S", ".", "-B", folder, "-G", "Ninja",
		"-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_COMPILER="+c.command, "-DNSEXEC_TESTS="+tests,
		"-DCMAKE_CXX_FLAGS="+compile, "-DCMAKE_EXE_LINKER_FLAGS="+link); err != nil {
		return err
	}
	if err := quietly(log+"-build", nil, "cmake", "--build", folder); err != nil {
		return err
	}
	// The program that is launched by the whole-flow tests.
	probe := []string{c.command, "-std=c++20", "-static", "tests/faults/inject/probe.cc",
		"-o", filepath.Join(folder, "probe"), filepath.Join(folder, "libnsexec.a")}
	if err := quietly(log+"-probe", nil, append(probe, strings.Fields(link)...)...); err != nil {
		return err
	}

	b.programs, err = filepath.Glob(filepath.Join(folder, "*_test"))
	if err != nil {
		return err
	}
	if !copying && len(b.programs) == 0 {
		return fmt.Errorf("no test programs in %s", folder)
	}
	b.programs = append(b.programs, filepath.Join(folder, "probe"))
	return nil
}

func (b *build) runTests(t tools, every int) error {
	log := filepath.Base(b.folder)
	for _, program := range b.programs {
		name := filepath.Base(program)
		if name == "probe" {
			continue
		}
		if err := quietly(log+"-"+name, []string{"REQUIRE_ALL=1"}, program); err != nil {
			return err
		}
	}
	probe := b.programs[len(b.programs)-1]
	protocol, err := filepath.Abs(t.protocol)
	if err != nil {
		return err
	}
	if err := quietly(log+"-protocol", []string{"REQUIRE_ALL=1", "NSEXEC=" + probe},
		"sh", "-c", "cd tests/conformance/protocol && exec "+protocol+" -test.timeout=8m -test.skip="+onlyInGo); err != nil {
		return err
	}
	return quietly(log+"-sweep", nil, t.injector, "sweep", "--probe="+probe, fmt.Sprintf("--every=%d", every))
}

// WriteCounted turns all counters into what the compiler's tools read. Each program must have counted, and
// so may copies of the probe, which tests make to have one that is setuid.
func (b *build) writeCounted() error {
	programs := map[string]string{}
	for _, program := range b.programs {
		programs[filepath.Base(program)] = program
	}
	files, err := os.ReadDir(b.counters)
	if err != nil {
		return err
	}
	for _, file := range files {
		c := counted{programs[file.Name()], filepath.Join(b.counters, file.Name())}
		delete(programs, file.Name())
		if c.program == "" {
			c.program = b.programs[len(b.programs)-1]
		}
		if err := quietly("write", []string{"COVERAGE_WRITE=" + c.file}, c.program); err != nil {
			return err
		}
		b.counted = append(b.counted, c)
	}
	for name := range programs {
		return fmt.Errorf("%s has counted nothing", name)
	}
	return nil
}
