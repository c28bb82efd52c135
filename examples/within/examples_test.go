// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

// Package examples tests the programs in the folders below it.
package examples

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"nsenter-cpp.example/internal/testutil"
	"nsenter-cpp.example/nsenter/within"
)

var bin string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if bin, err = os.MkdirTemp("", "examples"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(bin)
	if err := os.Chmod(bin, 0o755); err != nil { // for other users
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	build := exec.Command("go", "build", "-o", bin, "./...")
	if output, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, output)
		return 1
	}
	return m.Run()
}

// example runs a program as a user, and demands that it goes well.
func example(t *testing.T, uid uint32, name string, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, name), arguments...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin:/bin", "SECRET=of the host"}
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, arguments, err, output)
	}
	return string(output)
}

// container is a process in namespaces of its own that has run a script.
func container(t *testing.T, script string) string {
	t.Helper()
	const kinds = syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID
	return fmt.Sprint(testutil.Fixture(t, kinds, "mount --make-rprivate /\n"+script))
}

func TestInterfaces(t *testing.T) {
	testutil.RequireRoot(t)
	pid := container(t, "")
	output := example(t, 0, "interfaces")
	if !regexp.MustCompile(`(?m)^net:\[\d+\] ` + pid + ` lo  \[\]$`).MatchString(output) {
		t.Errorf("no interface of process %s in\n%s", pid, output)
	}
}

func TestCopyout(t *testing.T) {
	testutil.RequireRoot(t)
	dir := t.TempDir()
	pid := container(t, "mount -t tmpfs tmpfs "+dir+"\necho secret >"+dir+"/file\nln -s "+dir+"/file "+dir+"/link")
	if got := example(t, 0, "copyout", pid, dir+"/link"); got != "secret\n" {
		t.Errorf("got %q", got)
	}
}

func TestBind(t *testing.T) {
	testutil.RequireRoot(t)
	dir := t.TempDir()
	pid := container(t, "mount -t tmpfs tmpfs "+dir+"\nmkdir "+dir+"/at")
	folder := t.TempDir()
	if err := os.WriteFile(folder+"/file", []byte("of the host\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	example(t, 0, "bind", pid, folder, dir+"/at")
	if got := example(t, 0, "copyout", pid, dir+"/at/file"); got != "of the host\n" {
		t.Errorf("got %q", got)
	}
}

func TestSandbox(t *testing.T) {
	testutil.RequireRoot(t) // to be somebody else
	for _, uid := range []uint32{0, 1000} {
		got := example(t, uid, "sandbox", "/bin/sh", "-c",
			"echo $$ $(id -u) $(cat /proc/net/route | wc -l) $(readlink /proc/1/x || echo none)")
		if !strings.HasPrefix(got, "1 0 ") {
			t.Errorf("uid %d: got %q", uid, got)
		}
	}
}

// TestSandboxAtATerminal: Ctrl-C ends what runs in the sandbox's shell, and not the sandbox.
func TestSandboxAtATerminal(t *testing.T) {
	testutil.RequireRoot(t)
	terminal, err := within.OpenTerminal()
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	cmd := exec.Command(filepath.Join(bin, "sandbox"), "/bin/sh", "-i")
	cmd.Env = []string{"PATH=/usr/bin:/bin", "PS1=ready> "}
	testutil.StartAt(t, terminal.Slave, cmd)
	defer cmd.Wait()
	defer cmd.Process.Kill()
	seen := ""
	sees := func(text string) {
		t.Helper()
		terminal.Master.SetReadDeadline(time.Now().Add(20 * time.Second))
		for !strings.Contains(seen, text) {
			b := make([]byte, 1000)
			n, err := terminal.Master.Read(b)
			if seen += string(b[:n]); err != nil {
				t.Fatalf("%v, it says %q, and not %q", err, seen, text)
			}
		}
		seen = ""
	}
	sees("ready> ")
	io.WriteString(terminal.Master, "echo sle''eps; sleep 100\n")
	sees("sleeps\r\n")
	time.Sleep(100 * time.Millisecond)
	io.WriteString(terminal.Master, "\x03")
	io.WriteString(terminal.Master, "echo still $$ here\n")
	sees("still 1 here")
	io.WriteString(terminal.Master, "exit 7\n")
	if cmd.Wait(); cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("the sandbox ended with %v", cmd.ProcessState)
	}
}

func TestSandboxEndsWhenInterrupted(t *testing.T) {
	testutil.RequireRoot(t)
	cmd := exec.Command(filepath.Join(bin, "sandbox"), "/bin/sh", "-c", "echo ready; sleep 60")
	output, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	cmd.Stdout = write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	output.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, err := io.ReadFull(output, make([]byte, 6)); n != 6 {
		t.Errorf("no sandbox: %v", err)
	}
	cmd.Process.Signal(os.Interrupt)
	// Whoever is left has it open.
	if n, err := output.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("%d bytes more, %v", n, err)
	}
	cmd.Process.Kill()
	cmd.Wait()
}

func TestContainer(t *testing.T) {
	testutil.RequireRoot(t) // to be somebody else
	for _, uid := range []uint32{0, 1000} {
		root, err := os.MkdirTemp("/tmp", "root")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(root)
		busybox(t, root)
		if err := os.Chown(root, int(uid), int(uid)); err != nil {
			t.Fatal(err)
		}
		got := example(t, uid, "container", "-hostname", "small", root, "/bin/program", "look")
		// Its number varies with the threads that pid 1 has, which have numbers too.
		got = regexp.MustCompile(`^pid \d+ `).ReplaceAllString(got, "")
		want := "uid 0 host small root bin,dev,proc,tmp secret \"\" processes 2 interfaces lo\n"
		if got != want {
			t.Errorf("uid %d: got %q, want %q", uid, got, want)
		}
		cmd := exec.Command(filepath.Join(bin, "container"), root, "/bin/program", "exit", "9")
		if err := cmd.Run(); cmd.ProcessState.ExitCode() != 9 {
			t.Errorf("the exit status is lost: %v", err)
		}
	}
}

// busybox puts a static program into a root.
func busybox(t *testing.T, root string) {
	t.Helper()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", root+"/bin/program", "testdata/program.go")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
}
