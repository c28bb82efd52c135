// SPDX-License-Identifier: Apache-2.0

package runc_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// stayScript is a container's program that waits for nothing.
const stayScript = "exec sleep 1000"

func TestRun(t *testing.T) {
	want := outcome{"status": "7", "stdout": "uid=0 gid=0\nrunc\n", "stderr": "to stderr\n"}
	onEach(t, want, func(t *testing.T, v *variant) outcome {
		c := newContainer(t, v, nil, "id; hostname; echo to stderr >&2; exit 7")
		return c.runc("run", containerID).outcome()
	})
}

// waitForSize prints the terminal's size as soon as it has one: runc sets it when the program may
// already run.
const waitForSize = "until stty size 2>/dev/null | grep -v '^0 0$'; do :; done"

func TestRunOnTerminal(t *testing.T) {
	want := outcome{"status": "3", "stdout": "/dev/pts/0\n43 132\nthrough /dev/tty\n"}
	onEach(t, want, func(t *testing.T, v *variant) outcome {
		c := newContainer(t, v, nil, "tty; "+waitForSize+"; echo through /dev/tty >/dev/tty; exit 3", func(s *specs.Spec) {
			s.Process.Terminal = true
		})
		return c.onTerminal("run", containerID).outcome()
	})
}

func TestLifecycle(t *testing.T) {
	want := outcome{
		"after create": "created",
		"after start":  "running",
		"after kill":   "stopped",
		"deleted":      "true",
		"output":       "started\n",

		"created Uid":            "0 0 0 0",
		"running ns cgroup":      "new",
		"running ns ipc":         "new",
		"running ns mnt":         "new",
		"running ns net":         "new",
		"running ns pid":         "new",
		"running ns time":        "host",
		"running ns user":        "host",
		"running ns uts":         "new",
		"running Groups":         "",
		"running session leader": "true",
	}
	onEach(t, want, func(t *testing.T, v *variant) outcome {
		c := newContainer(t, v, nil, "echo started >/tmp/out; "+stayScript, withNamespace(specs.CgroupNamespace, ""))
		o := make(outcome)
		c.must("create", containerID)
		status, pid := c.state()
		adopt(pid)
		o["after create"] = status
		created := look(t, pid)
		// What the Go side holds open and catches while it waits for start is not ours to compare.
		for _, fact := range []string{"open fds", "SigCgt", "SigIgn", "SigBlk", "Umask"} {
			delete(created, fact)
		}
		o.with("created ", created)

		c.must("start", containerID)
		c.waitForProgram(pid)
		o["after start"], _ = c.state()
		o.with("running ", look(t, pid))

		c.must("kill", containerID, "KILL")
		waitUntil(t, "the container is stopped", func() bool {
			o["after kill"], _ = c.state()
			return o["after kill"] == "stopped"
		})
		text, err := os.ReadFile(filepath.Join(c.bundle(), "rootfs", "tmp", "out"))
		if err != nil {
			t.Fatal(err)
		}
		o["output"] = string(text)
		c.must("delete", containerID)
		o["deleted"] = fmt.Sprint(c.runc("state", containerID).status != 0)
		return o
	})
}

func TestExec(t *testing.T) {
	want := outcome{
		"status": "5",
		"stdout": "uid=0 gid=0\nPATH=/bin\nnot a tty\n",
		"stderr": "to stderr\n",

		"ns cgroup": "container",
		"ns ipc":    "container",
		"ns mnt":    "container",
		"ns net":    "container",
		"ns pid":    "container",
		"ns time":   "host",
		"ns user":   "host",
		"ns uts":    "container",

		"session leader":       "true",
		"controlling terminal": "false",
		"Groups":               "",
		"as user Uid":          "1234 1234 1234 1234",
		"as user Gid":          "55 55 55 55",
	}
	onEach(t, want, func(t *testing.T, v *variant) outcome {
		c := newContainer(t, v, nil, stayScript, withNamespace(specs.CgroupNamespace, ""), func(s *specs.Spec) {
			s.Process.Env = []string{"PATH=/bin"}
		})
		pid := c.detach()
		container := namespacesOf(t, "container", pid)
		r := c.runc("exec", containerID, "/bin/sh", "-c",
			"id; env | grep PATH; test -t 0 || echo not a tty; echo to stderr >&2; exit 5")
		o := r.outcome()
		o.with("", look(t, c.execDetached(), container))
		o.with("as user ", look(t, c.execDetached("--user", "1234:55", "--additional-gids", "66", "--additional-gids", "77"),
			container))
		return o
	})
}

func TestExecOnTerminal(t *testing.T) {
	want := outcome{
		"status": "5",
		"stdout": "/dev/pts/0\n43 132\nthrough /dev/tty\n",

		"detached controlling terminal": "true",
		"detached session leader":       "true",
		"detached shown":                "a terminal\n",
	}
	onEach(t, want, func(t *testing.T, v *variant) outcome {
		c := newContainer(t, v, nil, stayScript)
		c.detach()
		o := c.onTerminal("exec", "--tty", containerID, "/bin/sh", "-c",
			"tty; "+waitForSize+"; echo through /dev/tty >/dev/tty; exit 5").outcome()

		// Detached, the terminal's master goes to whoever listens on a socket, as with an engine.
		receive := consoleSocket(t, c)
		pidFile := filepath.Join(c.dir, "state", "terminal.pid")
		c.must("exec", "--tty", "--detach", "--console-socket", receive.path, "--pid-file", pidFile, containerID,
			"/bin/sh", "-c", "test -t 0 && echo a terminal; "+stayScript)
		master := receive.master(t)
		defer master.Close()
		text, err := os.ReadFile(pidFile)
		if err != nil {
			t.Fatal(err)
		}
		pid := 0
		if _, err := fmt.Sscan(string(text), &pid); err != nil {
			t.Fatal(err)
		}
		adopt(pid)
		buffer := make([]byte, 64)
		if err := master.SetReadDeadline(time.Now().Add(deadline)); err != nil {
			t.Fatal(err)
		}
		n, err := master.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		o["detached shown"] = strings.ReplaceAll(string(buffer[:n]), "\r", "")
		c.waitForProgram(pid)
		return o.with("detached ", look(t, pid))
	})
}

// Exec into a container that has a namespace of every type.
func TestExecAllNamespaces(t *testing.T) {
	want := outcome{"status": "0", "stdout": "uid=0 gid=0\n"}
	for _, typ := range namespaceTypes {
		want["init ns "+typ] = "new"
		want["exec ns "+typ] = "container"
		want["on terminal"] = "uid=0 gid=0\n"
	}
	onEach(t, want, func(t *testing.T, v *variant) outcome {
		c := newContainer(t, v, nil, stayScript, withUserNamespace, withTimeNamespace,
			withNamespace(specs.CgroupNamespace, ""))
		pid := c.detach()
		o := c.runc("exec", containerID, "id").outcome()
		o["on terminal"] = c.onTerminal("exec", "--tty", containerID, "id").stdout
		o.with("init ", look(t, pid))
		return o.with("exec ", look(t, c.execDetached(), namespacesOf(t, "container", pid)))
	})
}

// A container that goes on when its runc has gone.
func TestDetached(t *testing.T) {
	want := outcome{
		"parent":        "whoever reaps orphans",
		"state":         "running",
		"exec stdout":   "still here\n",
		"after TERM":    "stopped",
		"log held open": "false",
	}
	onEach(t, want, func(t *testing.T, v *variant) outcome {
		o := make(outcome)
		c := newContainer(t, v, nil, "trap 'exit 0' TERM; sleep 1000 & wait")
		pid := c.detach()
		var stat unix.Stat_t
		if err := unix.Stat(c.log(), &stat); err != nil {
			t.Fatal(err)
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(status), fmt.Sprintf("\nPPid:\t%d\n", os.Getpid())) {
			o["parent"] = "whoever reaps orphans"
		}
		o["log held open"] = fmt.Sprint(holdsOpen(t, pid, stat))
		o["state"], _ = c.state()
		o.with("exec ", c.runc("exec", containerID, "echo", "still here").outcome())
		c.must("kill", containerID, "TERM")
		waitUntil(t, "the container is stopped", func() bool {
			o["after TERM"], _ = c.state()
			return o["after TERM"] == "stopped"
		})
		return o
	})
}

func TestOOMScoreAdj(t *testing.T) {
	want := outcome{
		"init oom_score_adj": "567",
		"exec oom_score_adj": "567",
	}
	onEach(t, want, func(t *testing.T, v *variant) outcome {
		score := 567
		c := newContainer(t, v, nil, stayScript, func(s *specs.Spec) { s.Process.OOMScoreAdj = &score })
		pid := c.detach()
		return make(outcome).with("init ", look(t, pid)).with("exec ",
			look(t, c.execDetached(), namespacesOf(t, "container", pid)))
	})
}

// The log that `runc --debug` shows: what programs match, and which processes of nsexec spoke.
func TestDebugLog(t *testing.T) {
	want := outcome{
		"run => setup":  "nsexec[",
		"run affinity":  "nsexec[",
		"run <= setup":  "nsexec-2[1]",
		"exec => setup": "nsexec[",
		"exec affinity": "nsexec[",
		"exec <= setup": "nsexec-2[",
		"unparsed":      "",
	}
	onEach(t, want, func(t *testing.T, v *variant) outcome {
		o := make(outcome)
		c := newContainer(t, v, nil, stayScript)
		c.detach()
		logs := map[string]string{"run": c.messages()}
		c.must("exec", containerID, "true")
		logs["exec"] = strings.TrimPrefix(c.messages(), logs["run"])
		for name, log := range logs {
			o[name+" => setup"] = speaker(log, "=> nsexec container setup")
			o[name+" affinity"] = speaker(log, "affinity: 0x")
			o[name+" <= setup"] = speaker(log, "<= nsexec container setup")
			wantTags := "nsexec nsexec-0 nsexec-1 nsexec-2"
			if v.ours { // no id maps, so there is no helper
				wantTags = "nsexec nsexec-0 nsexec-2"
			}
			if got := tags(log); got != wantTags {
				t.Errorf("%s: lines of %s, want %s\n%s", name, got, wantTags, log)
			}
		}
		// The pid in the tag is that of the exec'd process in the container: 2 or more.
		if got := o["exec <= setup"]; strings.HasPrefix(got, "nsexec-2[") && got != "nsexec-2[1]" {
			o["exec <= setup"] = "nsexec-2["
		}
		for _, name := range []string{"run => setup", "run affinity", "exec => setup", "exec affinity"} {
			if strings.HasPrefix(o[name], "nsexec[") {
				o[name] = "nsexec[" // a pid of the machine
			}
		}
		// runc's reader complains of lines that it cannot decode.
		o["unparsed"] = ""
		for _, line := range strings.Split(c.messages(), "\n") {
			if strings.Contains(line, "failed to decode") {
				o["unparsed"] += line
			}
		}
		return o
	})
}

// speaker returns the tag of the log line with the text, as "nsexec-2[7]".
func speaker(log, text string) string {
	at := strings.Index(log, "]: "+text)
	if at < 0 {
		return ""
	}
	return log[strings.LastIndexByte(log[:at], '\n')+1 : at+1]
}

// holdsOpen tells whether a process has the file open.
func holdsOpen(t *testing.T, pid int, file unix.Stat_t) bool {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	fds, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		var st unix.Stat_t
		if unix.Stat(filepath.Join(dir, fd.Name()), &st) == nil && st.Dev == file.Dev && st.Ino == file.Ino {
			return true
		}
	}
	return false
}

// A terminalReceiver listens on a socket for the master of a terminal.
type terminalReceiver struct {
	path     string
	listener *net.UnixListener
}

func consoleSocket(t *testing.T, c *container) *terminalReceiver {
	t.Helper()
	path := filepath.Join(c.dir, "state", "console.sock")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return &terminalReceiver{path, listener}
}

// master returns what was sent. runc waits for no answer, so it may be long gone.
func (r *terminalReceiver) master(t *testing.T) *os.File {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	end, _ := ctx.Deadline()
	if err := r.listener.SetDeadline(end); err != nil {
		t.Fatal(err)
	}
	conn, err := r.listener.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(end); err != nil {
		t.Fatal(err)
	}
	text, control := make([]byte, 4096), make([]byte, 128)
	_, n, _, _, err := conn.ReadMsgUnix(text, control)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil || len(messages) != 1 {
		t.Fatalf("%d control messages: %v", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		t.Fatalf("%d fds: %v", len(fds), err)
	}
	if err := syscall.SetNonblock(fds[0], true); err != nil { // so that reads can have a deadline
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fds[0]), "terminal")
}
