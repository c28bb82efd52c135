// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"nsenter-cpp.example/nsenter/parent"
)

// insideArgument is the argument with which the demo starts itself to be moved into the namespaces.
const insideArgument = "report-from-inside"

// patience is how long anything in the demo may take.
const patience = 20 * time.Second

// joined are the namespaces that the classic protocol joins; the others stay what they were.
var (
	joined = []string{"ipc", "uts", "net", "pid", "mnt"}
	kept   = []string{"user", "cgroup"}
)

// view is what a process sees of the namespaces it is in.
type view struct {
	Hostname   string
	PID        int
	Namespaces map[string]string // "net" -> "net:[4026531840]"
}

// currentView looks at the namespaces of this process.
func currentView() (view, error) {
	hostname, err := os.Hostname()
	if err != nil {
		return view{}, err
	}
	namespaces, err := namespacesOf("self")
	return view{Hostname: hostname, PID: os.Getpid(), Namespaces: namespaces}, err
}

func namespacesOf(process string) (map[string]string, error) {
	namespaces := make(map[string]string)
	for _, name := range append(append([]string{}, joined...), kept...) {
		link, err := os.Readlink("/proc/" + process + "/ns/" + name)
		if err != nil {
			return nil, err
		}
		namespaces[name] = link
	}
	return namespaces, nil
}

// reportFromInside runs in the init process, after nsexec: an ordinary Go program that has never called
// setns. It says what it sees and ends.
func reportFromInside() error {
	v, err := currentView()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(v)
}

// joining lets this program enter the namespaces of a running process, as runc did in June 2015, and compares
// what it saw before with what it sees inside.
func joining() error {
	before, err := currentView()
	if err != nil {
		return err
	}
	target, err := startTarget()
	if err != nil {
		return fmt.Errorf("failed to start a process in namespaces of its own: %w", err)
	}
	defer func() {
		_ = target.Process.Kill()
		_ = target.Wait()
	}()
	pid := strconv.Itoa(target.Process.Pid)
	want, err := namespacesOf(pid)
	if err != nil {
		return err
	}
	say("A process with namespaces of its own is running: pid %s, hostname \"demo-target\".", pid)
	say("This program now starts itself again with _LIBCONTAINER_INITPID=%s.", pid)

	after, err := enter(target.Process.Pid)
	if err != nil {
		return err
	}

	say("")
	say("  %-10s %-24s %-24s", "", "before", "after: inside")
	say("  %-10s %-24s %-24s", "hostname", before.Hostname, after.Hostname)
	say("  %-10s %-24d %-24d", "its pid", before.PID, after.PID)
	var wrong []string
	for _, name := range append(append([]string{}, joined...), kept...) {
		expected, remark := want[name], "the target's"
		if contains(kept, name) {
			expected, remark = before.Namespaces[name], "unchanged, as the protocol says"
		}
		if after.Namespaces[name] != expected {
			wrong = append(wrong, name)
			remark = "WRONG, expected " + expected
		}
		say("  %-10s %-24s %-24s %s", name, before.Namespaces[name], after.Namespaces[name], remark)
	}
	say("")
	if len(wrong) != 0 {
		return fmt.Errorf("not in the expected namespaces: %s", strings.Join(wrong, ", "))
	}
	if after.Hostname != "demo-target" {
		return fmt.Errorf("the hostname inside is %q, not that of the target", after.Hostname)
	}
	say("All as expected: the Go program runs inside, without having called setns itself.")
	return nil
}

// startTarget starts a process that has its own namespaces of the kinds that are joined.
func startTarget() (*exec.Cmd, error) {
	cmd := exec.Command("sh", "-c", "hostname demo-target && echo ready && exec sleep 60")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS | syscall.CLONE_NEWNET |
			syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
		Pdeathsig: syscall.SIGKILL,
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ready := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(stdout, ready); err != nil {
		return nil, fmt.Errorf("it did not get ready: %w", err)
	}
	return cmd, nil
}

// enter starts this program again, inside, and asks it what it sees there.
func enter(pid int) (view, error) {
	stdout, initStdout, err := os.Pipe()
	if err != nil {
		return view{}, err
	}
	defer stdout.Close()
	cmd := &parent.Cmd{
		Path:    "/proc/self/exe",
		Args:    []string{"demo", insideArgument},
		Stdout:  initStdout,
		Stderr:  os.Stderr,
		Classic: &parent.Classic{Pid: pid},
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	init, err := cmd.Start(ctx)
	initStdout.Close()
	if err != nil {
		return view{}, err
	}
	defer init.Wait()
	say("nsexec answered: pid %d is the process inside. It is our child too, as the other was.", init.Pid)

	var inside view
	if err := json.NewDecoder(stdout).Decode(&inside); err != nil {
		return view{}, fmt.Errorf("no report from inside: %w", err)
	}
	return inside, nil
}

func contains(list []string, wanted string) bool {
	for _, s := range list {
		if s == wanted {
			return true
		}
	}
	return false
}
