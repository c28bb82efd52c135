// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package surroundings

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"nsenter-cpp.example/internal/testutil"
	"nsenter-cpp.example/nsenter/bootstrap"
)

// probe builds the program of tests/conformance/probe, with its symbols.
func probe(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "probe")
	if output, err := exec.Command("go", "build", "-o", path,
		"nsenter-cpp.example/tests/conformance/probe").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	return path
}

// The kernel tells a debugger of a new process by the exit signal among clone's flags. One without it is taken for a
// thread, and killed when the launched process ends.
func TestDebuggerFollowsIntoTheInitProcess(t *testing.T) {
	testutil.RequireRoot(t)
	_, err := exec.LookPath("gdb")
	testutil.Require(t, err == nil, "gdb")
	program := probe(t)
	for _, variable := range []string{"NO=1", "NSEXEC_COPY_MEMORY=1"} {
		ours, theirs := socketPair(t)
		defer ours.Close()
		message, err := (&bootstrap.Message{Create: bootstrap.Mount}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ours.Write(message); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(testutil.Deadline(t, time.Minute), "gdb", "-nx", "-batch",
			"-ex", "set follow-fork-mode child", "-ex", "break main.main", "-ex", "run", "-ex",
			"backtrace 1", "-ex", "kill", program)
		cmd.Env = append(os.Environ(), "_LIBCONTAINER_INITPIPE=3", variable)
		cmd.ExtraFiles = []*os.File{theirs}
		cmd.WaitDelay = time.Second
		output, err := cmd.CombinedOutput()
		theirs.Close()
		if err != nil || !strings.Contains(string(output), `"runc:[2:INIT]" hit Breakpoint 1`) {
			t.Errorf("%q: %v\n%s", variable, err, output)
		}
	}
}

// symbol is where a function lies in a program's file.
func symbol(t testing.TB, program, name string) uint64 {
	t.Helper()
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	symbols, err := file.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range symbols {
		if s.Name != name {
			continue
		}
		for _, p := range file.Progs {
			if p.Type == elf.PT_LOAD && s.Value >= p.Vaddr && s.Value < p.Vaddr+p.Filesz {
				return s.Value - p.Vaddr + p.Off
			}
		}
	}
	t.Fatalf("no %s in %s", name, program)
	return 0
}

// A return probe (uretprobe) on nsexec or on what calls it has the kernel put an address of its own in the place of the
// return address. It knows for which processes, and one that shares memory is not among them: it dies of SIGILL
// (docs/packaging.md). There is a variable for those who want such a probe.
func TestReturnProbe(t *testing.T) {
	testutil.RequireRoot(t)
	tracing := t.TempDir()
	if err := syscall.Mount("none", tracing, "tracefs", 0, ""); err != nil {
		testutil.Require(t, false, "tracefs: "+err.Error())
	}
	defer syscall.Unmount(tracing, 0)
	write := func(name, text string) error {
		file, err := os.OpenFile(filepath.Join(tracing, name), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = file.WriteString(text)
		return err
	}
	program := probe(t)
	const event = "nsenter_cpp_test/nsexec_returns"
	err := write("uprobe_events", fmt.Sprintf("r:%s %s:%#x\n", event, program, symbol(t, program, "nsexec")))
	testutil.Require(t, err == nil, fmt.Sprintf("a kernel with uprobes: %v", err))
	defer func() {
		write("events/"+event+"/enable", "0")
		if err := write("uprobe_events", "-:"+event+"\n"); err != nil {
			t.Error(err)
		}
	}()
	if err := write("events/"+event+"/enable", "1"); err != nil {
		t.Fatal(err)
	}
	r := request{program: program, message: bootstrap.Message{Create: bootstrap.Mount},
		env: []string{"NSEXEC_COPY_MEMORY=1"}}
	l := r.launchAll(t)
	l.mustRun(t)
	if !strings.Contains(l.log, "NSEXEC_COPY_MEMORY is set") {
		t.Errorf("the log does not say why memory is copied:\n%s", l.log)
	}
}
