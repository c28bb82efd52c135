// SPDX-License-Identifier: Apache-2.0

package runc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/console"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

const (
	containerID = "nsenter-test"
	deadline    = time.Minute // for each call of runc, and for each wait
)

// A container is a bundle and the runc that runs it.
type container struct {
	t      *testing.T
	v      *variant
	dir    string              // holds the bundle and runc's state
	user   *syscall.Credential // who runs runc; nil is root
	spec   specs.Spec
	prefix []string // a command that runs runc
	stays  bool     // it is to go on when its runc has ended, on the same terminal

	userNamespace []syscall.SysProcIDMap // maps of a user namespace for runc; nil is ours
}

// result is what a call of runc came to.
type result struct {
	status         int
	stdout, stderr string
}

// newContainer makes a bundle with busybox as its root file system, and cleans up after it.
// The program of the container is a shell that runs script.
func newContainer(t *testing.T, v *variant, user *syscall.Credential, script string,
	edits ...func(*specs.Spec)) *container {
	t.Helper()
	dir, err := os.MkdirTemp(scratch, "")
	if err != nil {
		t.Fatal(err)
	}
	c := &container{t: t, v: v, dir: dir, user: user}
	for _, name := range []string{"bundle", "bundle/rootfs", "bundle/rootfs/bin", "bundle/rootfs/dev",
		"bundle/rootfs/proc", "bundle/rootfs/sys", "bundle/rootfs/tmp", "state"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program, err := os.ReadFile(busybox())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bundle/rootfs/bin/busybox"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, applet := range []string{"cat", "echo", "env", "grep", "hostname", "id", "kill", "ls", "readlink", "sh",
		"sleep", "stty", "tail", "test", "true", "tty"} {
		if err := os.Symlink("busybox", filepath.Join(dir, "bundle/rootfs/bin", applet)); err != nil {
			t.Fatal(err)
		}
	}
	if user != nil {
		if _, err := command(dir, nil, "chown", "-R", "-h", fmt.Sprintf("%d:%d", user.Uid, user.Gid), "."); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}

	args := []string{"spec", "--bundle", c.bundle()}
	if user != nil {
		args = append(args, "--rootless")
	}
	if r := c.runc(args...); r.status != 0 {
		t.Fatalf("runc spec: %+v", r)
	}
	text, err := os.ReadFile(c.config())
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &c.spec); err != nil {
		t.Fatal(err)
	}
	c.spec.Process.Terminal = false
	c.spec.Process.Args = []string{"/bin/sh", "-c", script}
	c.spec.Root.Readonly = false
	for _, edit := range edits {
		edit(&c.spec)
	}
	if text, err = json.Marshal(&c.spec); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.config(), text, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.prefix = nil
		c.runc("delete", "--force", containerID)
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return c
}

func (c *container) bundle() string { return filepath.Join(c.dir, "bundle") }
func (c *container) config() string { return filepath.Join(c.bundle(), "config.json") }
func (c *container) log() string    { return filepath.Join(c.dir, "state", "log") }

// command returns a call of runc that ends with the deadline. The log goes to a file, as it does with
// every engine; --debug is always given, so that our lines take part in every scenario.
func (c *container) command(ctx context.Context, args ...string) *exec.Cmd {
	argv := append([]string{}, c.prefix...)
	argv = append(argv, c.v.path, "--debug", "--log-format", "json", "--log", c.log(), "--root",
		filepath.Join(c.dir, "state"))
	argv = append(argv, args...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = c.bundle()
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "XDG_RUNTIME_DIR=" + filepath.Join(c.dir, "state")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.user}
	if c.userNamespace != nil {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = c.userNamespace
		cmd.SysProcAttr.GidMappings = c.userNamespace
		cmd.SysProcAttr.GidMappingsEnableSetgroups = true
	}
	return cmd
}

// runc calls runc and waits for it. Its output goes to files and not to pipes, which a detached
// container would hold open.
func (c *container) runc(args ...string) result {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	cmd := c.command(ctx, args...)
	stdout, stderr := c.file("stdout"), c.file("stderr")
	defer stdout.Close()
	defer stderr.Close()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		c.t.Fatalf("runc %s: %v, %v", strings.Join(args, " "), err, ctx.Err())
	}
	return result{cmd.ProcessState.ExitCode(), c.text(stdout), c.text(stderr)}
}

// file returns a new file without a name.
func (c *container) file(name string) *os.File {
	c.t.Helper()
	f, err := os.CreateTemp(c.dir, name)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := os.Remove(f.Name()); err != nil {
		c.t.Fatal(err)
	}
	// The container's root may be anybody, and /proc/self/fd/1 is opened anew by some scripts.
	if err := f.Chmod(0o666); err != nil {
		c.t.Fatal(err)
	}
	return f
}

func (c *container) text(f *os.File) string {
	c.t.Helper()
	if _, err := f.Seek(0, 0); err != nil {
		c.t.Fatal(err)
	}
	var text bytes.Buffer
	if _, err := text.ReadFrom(f); err != nil {
		c.t.Fatal(err)
	}
	return text.String()
}

// must calls runc and demands success; it returns the standard output.
func (c *container) must(args ...string) string {
	c.t.Helper()
	r := c.runc(args...)
	if r.status != 0 {
		c.t.Fatalf("runc %s: exit status %d\n%s%s\nlog:\n%s", strings.Join(args, " "), r.status,
			r.stdout, r.stderr, c.messages())
	}
	return r.stdout
}

// messages returns runc's log, each message on a line of its own and without what surrounds it.
func (c *container) messages() string {
	c.t.Helper()
	text, err := os.ReadFile(c.log())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		c.t.Fatal(err)
	}
	var messages strings.Builder
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var entry struct{ Msg string }
		if err := json.Unmarshal([]byte(line), &entry); err == nil {
			line = entry.Msg
		}
		messages.WriteString(line + "\n")
	}
	return messages.String()
}

// outcome gives the result as facts. The error that the user sees is told by the caller, where its
// text is settled.
func (r result) outcome() outcome {
	return outcome{"status": strconv.Itoa(r.status), "stdout": r.stdout, "stderr": r.stderr}
}

// state is what `runc state` says.
func (c *container) state() (status string, pid int) {
	c.t.Helper()
	var s specs.State
	if err := decodeJSON(c.must("state", containerID), &s); err != nil {
		c.t.Fatal(err)
	}
	return string(s.Status), s.Pid
}

// detach starts the container in the background and returns its pid.
func (c *container) detach(args ...string) int {
	c.t.Helper()
	c.must(append(append([]string{"run", "--detach"}, args...), containerID)...)
	status, pid := c.state()
	if status != "running" {
		c.t.Fatalf("the container is %s", status)
	}
	adopt(pid)
	c.waitForProgram(pid)
	return pid
}

// execDetached starts a process in the container that stays there, and returns its pid.
func (c *container) execDetached(args ...string) int {
	c.t.Helper()
	file := filepath.Join(c.dir, "state", "exec.pid")
	argv := append([]string{"exec", "--detach", "--pid-file", file}, args...)
	c.must(append(argv, containerID, "/bin/sleep", "1000")...)
	text, err := os.ReadFile(file)
	if err != nil {
		c.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		c.t.Fatal(err)
	}
	adopt(pid)
	c.waitForProgram(pid)
	return pid
}

// adopt reaps a process when it ends. Its runc has gone, so it is our child: see PR_SET_CHILD_SUBREAPER.
// Until it is reaped its pid exists, and runc would wait for it to go.
func adopt(pid int) {
	go func() {
		for {
			if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.EINTR {
				return
			}
		}
	}()
}

// waitForProgram waits until the process runs its program: runc is done with it a moment before, and
// then stayScript's shell is still to be replaced.
func (c *container) waitForProgram(pid int) {
	c.t.Helper()
	waitUntil(c.t, fmt.Sprintf("process %d runs its program", pid), func() bool {
		program, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		arguments, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		return strings.HasSuffix(program, "/bin/busybox") && !strings.Contains(string(arguments), stayScript)
	})
}

// onTerminal calls runc with a terminal of its own and returns what appeared there.
func (c *container) onTerminal(args ...string) result {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	cmd := c.command(ctx, args...)
	cmd.SysProcAttr.Setsid = true
	cmd.SysProcAttr.Setctty = true
	return c.shown(ctx, cmd)
}

// shown runs a command on a new terminal and returns what appeared there.
func (c *container) shown(ctx context.Context, cmd *exec.Cmd) result {
	c.t.Helper()
	master, path, err := console.NewPty()
	if err != nil {
		c.t.Fatal(err)
	}
	defer master.Close()
	if err := master.Resize(console.WinSize{Width: 132, Height: 43}); err != nil {
		c.t.Fatal(err)
	}
	slave, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.user != nil {
		if err := slave.Chown(int(c.user.Uid), int(c.user.Gid)); err != nil {
			c.t.Fatal(err)
		}
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	slave.Close()
	var shown bytes.Buffer
	if !c.stays {
		_, _ = shown.ReadFrom(master) // ends with EIO when the last user of the terminal is gone
	}
	err = cmd.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		c.t.Fatalf("%s: %v, %v; shown: %q", strings.Join(cmd.Args, " "), err, ctx.Err(), shown.String())
	}
	// Each terminal on the way may add a carriage return, depending on when runc makes ours raw.
	return result{cmd.ProcessState.ExitCode(), strings.ReplaceAll(shown.String(), "\r", ""), ""}
}

// waitUntil waits for a condition with no event to wait for.
func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
