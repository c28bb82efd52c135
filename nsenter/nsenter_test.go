// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package nsenter_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"nsenter-cpp.example/internal/testutil"
	_ "nsenter-cpp.example/nsenter"
)

// goSide is the test program's first argument where it plays the Go side of a launch: the
// constructor of the package under test has run in it before.
const goSide = "go-side"

var kinds = []string{"ipc", "uts", "net", "pid", "mnt"}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == goSide {
		goSideMain()
	}
	os.Exit(m.Run())
}

// goSideMain prints which namespaces it is in, and says what it reads.
func goSideMain() {
	for _, kind := range kinds {
		link, err := os.Readlink("/proc/thread-self/ns/" + kind)
		if err != nil {
			fmt.Println(err)
			os.Exit(2)
		}
		fmt.Println(link)
	}
	_, _ = io.Copy(os.Stdout, os.Stdin)
	os.Exit(0)
}

// launch is what came of starting the test program with an environment.
type launch struct {
	status int    // of the launched process
	stderr string // of all processes
	reply  string // on INITPIPE
	stdout *os.File
}

// start runs the classic protocol as a parent, until the launched process has ended. INITPIPE is
// fd 3 unless `environment` says something else.
func start(t *testing.T, environment ...string) launch {
	t.Helper()
	initPipe, childEnd := pipe(t)
	stdout, childStdout := pipe(t)
	stdin, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	// Not a buffer, for whose end Wait would wait: the init process has standard error too.
	stderr, childStderr := pipe(t)
	cmd := exec.Command(os.Args[0], goSide)
	cmd.Env = environment
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, childStdout, childStderr
	cmd.ExtraFiles = []*os.File{childEnd}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killer := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	defer killer.Stop()
	childEnd.Close()
	childStdout.Close()
	childStderr.Close()
	_ = cmd.Wait()
	return launch{
		status: cmd.ProcessState.ExitCode(),
		stderr: readAll(t, stderr),
		reply:  readAll(t, initPipe),
		stdout: stdout,
	}
}

func pipe(t *testing.T) (read, write *os.File) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { read.Close(); write.Close() })
	return read, write
}

// readAll reads until nobody has the other end, the init process included.
func readAll(t *testing.T, file *os.File) string {
	t.Helper()
	if err := file.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// reap takes the init process, which is a child of ours, and demands that it has ended well.
func (l launch) reap(t *testing.T) {
	t.Helper()
	var init struct{ Pid int }
	if err := json.Unmarshal([]byte(l.reply), &init); err != nil {
		t.Fatalf("the reply is %q: %v", l.reply, err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(init.Pid, &status, 0, nil); err != nil || status != 0 {
		t.Errorf("the init process %d: status %v, %v", init.Pid, status, err)
	}
}

func (l launch) wantRefused(t *testing.T, text string) {
	t.Helper()
	if l.status != 1 || l.reply != "" {
		t.Errorf("status %d, reply %q", l.status, l.reply)
	}
	if l.stderr != "nsenter: "+text+"\n" {
		t.Errorf("said %q, not %q", l.stderr, text)
	}
	if output := readAll(t, l.stdout); output != "" {
		t.Errorf("Go code has run: %q", output)
	}
}

// target is a process in namespaces of its own.
func target(t *testing.T) int {
	t.Helper()
	testutil.RequireRoot(t)
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL,
		Cloneflags: syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS | syscall.CLONE_NEWNET |
			syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd.Process.Pid
}

func namespacesOf(t *testing.T, pid int) string {
	t.Helper()
	var links strings.Builder
	for _, kind := range kinds {
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&links, link)
	}
	return links.String()
}

func initPID(pid interface{}) string { return fmt.Sprint("_LIBCONTAINER_INITPID=", pid) }

const initPipe = "_LIBCONTAINER_INITPIPE=3"

// TestAskedForNothing: a program that imports the package behaves as before.
func TestAskedForNothing(t *testing.T) {
	launched := start(t)
	if output := readAll(t, launched.stdout); output != namespacesOf(t, os.Getpid()) {
		t.Errorf("it is in %q", output)
	}
	if launched.status != 0 || launched.stderr != "" || launched.reply != "" {
		t.Errorf("%+v", launched)
	}
}

// TestAliveProcess: Go boots in the namespaces of a running process.
func TestAliveProcess(t *testing.T) {
	pid := target(t)
	launched := start(t, initPID(pid), initPipe)
	if launched.status != 0 || launched.stderr != "" {
		t.Fatalf("status %d: %s", launched.status, launched.stderr)
	}
	if output := readAll(t, launched.stdout); output != namespacesOf(t, pid) {
		t.Errorf("it is in %q", output)
	}
	launched.reap(t)
}

// TestDeadProcess: a process that has ended has no namespaces to join.
func TestDeadProcess(t *testing.T) {
	testutil.RequireRoot(t)
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	for { // until it is a zombie: its number stays taken, so that it cannot be somebody else's
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(stat, []byte(") Z ")) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	launched := start(t, initPID(cmd.Process.Pid), initPipe)
	launched.wantRefused(t, fmt.Sprintf("failed to open ipc namespace of process %d: it has ended",
		cmd.Process.Pid))
}

func TestInvalidProcess(t *testing.T) {
	for pid, reason := range map[string]string{
		"-1":         "not a decimal number",
		"0":          "not a process",
		"init":       "not a decimal number",
		"7x":         "not a decimal number",
		"4294967297": "out of range",
	} {
		launched := start(t, initPID(pid), initPipe)
		launched.wantRefused(t, fmt.Sprintf("invalid _LIBCONTAINER_INITPID %q: %s", pid, reason))
	}
}

// TestConsole: the terminal becomes the controlling terminal and descriptors 0 to 2.
func TestConsole(t *testing.T) {
	pid := target(t)
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	testutil.Require(t, err == nil, "/dev/ptmx")
	defer master.Close()
	var number, unlock uint32
	for request, value := range map[uintptr]*uint32{
		syscall.TIOCGPTN: &number, syscall.TIOCSPTLCK: &unlock,
	} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, master.Fd(), request,
			uintptr(unsafe.Pointer(value))); errno != 0 {
			t.Fatal(errno)
		}
	}
	// It ends when it has read an end of file from the terminal.
	if _, err := master.WriteString("\x04"); err != nil {
		t.Fatal(err)
	}
	launched := start(t, initPID(pid), initPipe,
		fmt.Sprint("_LIBCONTAINER_CONSOLE_PATH=/dev/pts/", number))
	if launched.status != 0 {
		t.Fatalf("status %d: %s", launched.status, launched.stderr)
	}
	launched.reap(t)
	buffer := make([]byte, 4096)
	var said string
	for !strings.Contains(said, strings.ReplaceAll(namespacesOf(t, pid), "\n", "\r\n")) {
		size, err := master.Read(buffer)
		if err != nil {
			t.Fatalf("on the console is %q, then %v", said, err)
		}
		said += string(buffer[:size])
	}
}
