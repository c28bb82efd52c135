// SPDX-License-Identifier: Apache-2.0

// Package runc_test runs containers on runc, once as it is and once with its nsenter replaced by
// ours at build time, and demands the same outcome of both.
//
// It needs root, a C and a C++ compiler, libseccomp's headers, a static busybox, newuidmap, setsid, script and
// strace (Debian: libseccomp-dev pkg-config busybox-static uidmap util-linux bsdutils strace), and namespaces and
// cgroups that runc can use. A test says what is missing and is skipped; with REQUIRE_ALL=1 in the environment it
// fails instead. Nothing on the machine is changed: runc's state and the bundles are
// in a temporary folder, users and their id ranges exist in a mount namespace of the test only.
package runc_test

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// scratch is a temporary folder that every user can enter.
var scratch string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	// Orphans become our children: so a detached container has a parent that is not runc, and
	// processes that were left behind can be found.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// What is handled here is back at its default in what is started, although nohup(1) may have started us: runc
	// passes on an ignored SIGHUP now and then, and then its containers differ.
	signal.Notify(make(chan os.Signal, 1), unix.SIGHUP)
	unix.Umask(0o022)
	var err error
	if scratch, err = os.MkdirTemp("", "nsenter-runc-"); err == nil {
		err = os.Chmod(scratch, 0o755)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(scratch)
	return m.Run()
}

// skip skips the test and says why, or fails it where everything has to run.
func skip(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("REQUIRE_ALL") == "1" {
		t.Fatalf("REQUIRE_ALL=1, but "+format, args...)
	}
	t.Skipf(format, args...)
}

// requireTools skips the test unless the tools are there.
func requireTools(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			skip(t, "this test needs %s: %v", name, err)
		}
	}
}

// requireMachine skips the test unless runc can be built and run here as root.
func requireMachine(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		skip(t, "this test needs root, to run containers")
	}
	requireTools(t, "gcc", "g++", "pkg-config", "strace")
	if _, err := command(".", nil, "pkg-config", "--exists", "libseccomp"); err != nil {
		skip(t, "this test needs the headers of libseccomp: %v", err)
	}
	if busybox() == "" {
		skip(t, "this test needs a static busybox (Debian: busybox-static)")
	}
	if err := runcWorks(t); err != nil {
		skip(t, "this test needs namespaces and cgroups that runc can use as root: %v", err)
	}
}

// busybox returns the path of a statically linked busybox, or "".
var busybox = sync.OnceValue(func() string {
	path, err := exec.LookPath("busybox")
	if err != nil {
		return ""
	}
	file, err := elf.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	for _, prog := range file.Progs {
		if prog.Type == elf.PT_INTERP {
			return ""
		}
	}
	return path
})

var machine struct {
	checked bool
	err     error
}

// runcWorks tells whether the stock runc can run a container at all.
func runcWorks(t *testing.T) error {
	if machine.checked {
		return machine.err
	}
	all, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	c := newContainer(t, all[0], nil, "true")
	if r := c.runc("run", containerID); r.status != 0 {
		machine.err = fmt.Errorf("exit status %d: %s", r.status, r.stderr)
	}
	machine.checked = true
	return machine.err
}

// children returns our child processes.
func children(t *testing.T) []int {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(tasks) == 0 {
		t.Fatalf("no /proc/self/task/*/children: %v", err)
	}
	var pids []int
	for _, task := range tasks {
		text, _ := os.ReadFile(task) // a thread may have ended
		for _, field := range strings.Fields(string(text)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// noProcessLeft arranges that, after all cleaning up of a test, no process is left that it started.
// Ended orphans are ours to reap, being their subreaper.
func noProcessLeft(t *testing.T) {
	t.Helper()
	waitUntil(t, "no process is left", func() bool {
		for _, pid := range children(t) {
			_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
		}
		return len(children(t)) == 0
	})
}

var launchChecked = make(map[*variant]bool)

var (
	// strace's lines are PID CALL(...) = RESULT, split by "<unfinished ...>" and "<... CALL resumed>".
	execInit   = regexp.MustCompile(`^(\d+) +execve\(.*, "init"\]`)
	cloneStart = regexp.MustCompile(`^(\d+) +(?:clone|clone3|fork|vfork)\(`)
	cloneEnd   = regexp.MustCompile(`^(\d+) +(?:clone|clone3|fork|vfork|<\.\.\. (?:clone|clone3|fork|vfork) resumed>).* ` +
		`= (\d+)`)
)

// checkLaunch checks, once for each variant, that the processes of nsexec are as many as its shape
// demands when there are no id maps to write: two of ours, three of runc's C code. They are counted
// from outside, by what strace saw of the launched process and of all that it cloned.
func checkLaunch(t *testing.T, v *variant) {
	t.Helper()
	if launchChecked[v] {
		return
	}
	c := newContainer(t, v, nil, "true")
	trace := filepath.Join(c.dir, "trace")
	c.prefix = []string{"strace", "-f", "-qq", "-e", "trace=execve,clone,clone3,fork,vfork", "-e",
		"signal=none", "-o", trace}
	c.must("run", containerID)
	c.prefix = nil
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}

	launched := ""
	family := make(map[string]bool) // the launched process, and whatever was cloned in its family
	thread := make(map[string]bool) // processes whose clone under way makes a thread
	for _, line := range strings.Split(string(text), "\n") {
		if m := execInit.FindStringSubmatch(line); m != nil {
			if launched != "" && launched != m[1] {
				t.Fatalf("two launched processes in\n%s", text)
			}
			launched = m[1]
			family[launched] = true
		}
		if m := cloneStart.FindStringSubmatch(line); m != nil {
			thread[m[1]] = strings.Contains(line, "CLONE_THREAD")
		}
		if m := cloneEnd.FindStringSubmatch(line); m != nil && family[m[1]] && !thread[m[1]] {
			family[m[2]] = true
		}
	}
	want := 3
	if v.ours {
		want = 2
	}
	if len(family) != want {
		t.Fatalf("%s: a launch makes %d processes of nsexec, want %d\n%s", v.name, len(family), want, text)
	}
	launchChecked[v] = true
}

// tags returns which of nsexec's processes wrote log lines, by the tags of these.
func tags(log string) string {
	var found []string
	for _, tag := range []string{"nsexec", "nsexec-0", "nsexec-1", "nsexec-2"} {
		if strings.Contains("\n"+log, "\n"+tag+"[") {
			found = append(found, tag)
		}
	}
	return strings.Join(found, " ")
}
