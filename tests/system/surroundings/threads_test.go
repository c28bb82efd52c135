// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package surroundings

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nsenter-cpp.example/internal/testutil"
	"nsenter-cpp.example/nsenter/bootstrap"
)

// compile makes a shared library of a file in testdata, with the core in it if that is wanted.
func compile(t testing.TB, source string, withCore bool) string {
	t.Helper()
	_, err := exec.LookPath("g++")
	testutil.Require(t, err == nil, "g++")
	library := filepath.Join(t.TempDir(), strings.TrimSuffix(source, filepath.Ext(source))+".so")
	arguments := []string{"-std=c++20", "-fno-exceptions", "-fno-rtti", "-fPIC", "-shared", "-O1", "-o", library,
		filepath.Join("testdata", source), "-pthread"}
	if withCore {
		core, err := filepath.Glob("../../../cpp/*.cc")
		if err != nil || len(core) == 0 {
			t.Fatalf("no core: %v", err)
		}
		arguments = append(arguments, core...)
	}
	if output, err := exec.Command("g++", arguments...).CombinedOutput(); err != nil {
		t.Fatalf("g++: %v\n%s", err, output)
	}
	return library
}

// A preloaded library has started a thread before nsexec() runs, as monitoring agents in /etc/ld.so.preload do.
func TestPreloadedThread(t *testing.T) {
	testutil.RequireRoot(t)
	preload := "LD_PRELOAD=" + compile(t, "thread.cc", false)
	maps := []bootstrap.IDRange{{Outside: 100000, Count: 65536}}
	for _, kind := range []struct {
		name string
		request
	}{
		{"nothing", request{}},
		{"create", request{message: bootstrap.Message{Create: bootstrap.Mount | bootstrap.PID |
			bootstrap.UTS | bootstrap.IPC}}},
		{"create with a helper", request{message: bootstrap.Message{Create: bootstrap.User |
			bootstrap.Mount, UIDMap: maps, GIDMap: maps}}},
		{"join", request{message: bootstrap.Message{Join: []bootstrap.Join{
			{Kind: bootstrap.Mount, Path: fmt.Sprintf("/proc/%d/ns/mnt", os.Getpid())},
			{Kind: bootstrap.Net, Path: fmt.Sprintf("/proc/%d/ns/net", os.Getpid())}}}}},
		{"classic", request{classic: true}},
	} {
		t.Run(kind.name, func(t *testing.T) {
			kind.env = append(kind.env, preload)
			l := kind.launchAll(t)
			if l.Init != 0 && !kind.classic {
				if l.Stage1 >= 1<<22 {
					t.Errorf("stage1_pid is %d, want the copy that did the work", l.Stage1)
				}
				if !strings.Contains(l.log, "there are other threads") {
					t.Errorf("nothing about threads in the log:\n%s", l.log)
				}
			}
			l.mustRun(t)
		})
	}
	t.Run("failure", func(t *testing.T) {
		l := request{env: []string{preload},
			message: bootstrap.Message{Join: []bootstrap.Join{{Kind: bootstrap.Net, Path: "/etc/passwd"}}}}.launchAll(t)
		if l.status == nil || strings.Count(l.log, `"fatal"`) != 1 || !strings.Contains(l.log, "it is no namespace") {
			t.Errorf("the launched process ended with %v, and said:\n%s", l.status, l.log)
		}
	})
}

// libc waits for ever for the thread that loads a library, if that is another process by then.
func TestLoadedByARunningProgram(t *testing.T) {
	library := compile(t, "constructor.cc", true)
	program := filepath.Join(t.TempDir(), "load")
	if output, err := exec.Command("g++", "-o", program, "testdata/load.cc").CombinedOutput(); err != nil {
		t.Fatalf("g++: %v\n%s", err, output)
	}
	for _, asked := range []bool{false, true} {
		cmd := exec.CommandContext(testutil.Deadline(t, patience), program, library)
		if asked {
			ours, theirs := socketPair(t)
			message, err := (&bootstrap.Message{}).Encode()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ours.Write(message); err != nil {
				t.Fatal(err)
			}
			cmd.ExtraFiles = []*os.File{theirs}
			cmd.Env = append(os.Environ(), "_LIBCONTAINER_INITPIPE=3")
		}
		cmd.WaitDelay = time.Second
		output, err := cmd.CombinedOutput()
		const refused = "FATAL: refused: a running program loads this code as a library (dlopen), and libc would wait for " +
			"ever for the thread that does so\n"
		if !asked && (err != nil || string(output) != "loaded\n") {
			t.Errorf("not asked for anything: %v, %q", err, output)
		}
		if asked && (err == nil || string(output) != refused) {
			t.Errorf("asked for something: %v, %q", err, output)
		}
	}
	// The same library, loaded when the program starts, may.
	ours, theirs := socketPair(t)
	defer ours.Close()
	message, err := (&bootstrap.Message{}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	ours.Write(message)
	cmd := exec.CommandContext(testutil.Deadline(t, patience), program)
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Env = append(os.Environ(), "_LIBCONTAINER_INITPIPE=3", "LD_PRELOAD="+library)
	if output, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(output), "loaded") {
		t.Errorf("preloaded: %v, %q", err, output)
	}
}
