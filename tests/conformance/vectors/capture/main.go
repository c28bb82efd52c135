// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command capture records the bootstrap messages that a stock runc sends, and prints each as a
// section of the vector table, with a comment for each field:
//
//	go run ./tests/conformance/vectors/capture -runc /usr/local/bin/runc [-only NAME]
//
// It needs root, strace and a static busybox; a runc built without its Makefile knows its release with
// -ldflags "-X main.version=$(cat VERSION)". Each scenario runs in a pid and a mount namespace of
// its own; the container that an exec enters has pid 4711 there, as the harness's fixture has. The
// bytes are those of runc's write call, as strace saw it; nothing here encodes a message.
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"nsenter-cpp.example/tests/internal/harness"
)

const scenarioVariable = "CAPTURE_SCENARIO"

var (
	runc = flag.String("runc", "", "the stock runc, an absolute path")
	only = flag.String("only", "", "capture one scenario")
)

func main() {
	flag.Parse()
	if !filepath.IsAbs(*runc) {
		fmt.Fprintln(os.Stderr, "capture: -runc wants an absolute path")
		os.Exit(2)
	}
	if name := os.Getenv(scenarioVariable); name != "" {
		if err := captureHere(find(name)); err != nil {
			fmt.Fprintf(os.Stderr, "capture: %s: %v\n", name, err)
			os.Exit(1)
		}
		return
	}
	failed := false
	for _, s := range scenarios {
		if *only != "" && *only != s.name {
			continue
		}
		inner := exec.Command("/proc/self/exe", os.Args[1:]...)
		inner.Env = append(os.Environ(), scenarioVariable+"="+s.name)
		inner.Stdout, inner.Stderr = os.Stdout, os.Stderr
		inner.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
		failed = inner.Run() != nil || failed
	}
	if failed {
		os.Exit(1)
	}
}

func find(name string) scenario {
	for _, s := range scenarios {
		if s.name == name {
			return s
		}
	}
	panic("no scenario " + name)
}

// captureHere is pid 1 of the scenario's namespaces.
func captureHere(s scenario) error {
	program, err := os.ReadFile(*runc)
	if err != nil {
		return err
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	image, err := os.ReadFile(busybox)
	if err != nil {
		return err
	}
	for _, mount := range []struct {
		source, target, kind string
		flags                uintptr
	}{
		{"", "/", "", syscall.MS_REC | syscall.MS_PRIVATE},
		{"proc", "/proc", "proc", 0},
		{"tmpfs", "/mnt", "tmpfs", 0},
	} {
		if err := syscall.Mount(mount.source, mount.target, mount.kind, mount.flags, ""); err != nil {
			return fmt.Errorf("mount %s: %w", mount.target, err)
		}
	}
	syscall.Umask(0)
	for _, dir := range []string{"/mnt/bundle", "/mnt/state", "/mnt/rootfs/bin", "/mnt/rootfs/proc",
		"/mnt/rootfs/dev", "/mnt/rootfs/sys"} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
	}
	for path, content := range map[string][]byte{
		"/mnt/runc": program, "/mnt/rootfs/bin/busybox": image, "/mnt/bundle/config.json": s.config(),
	} {
		if err := os.WriteFile(path, content, 0o755); err != nil {
			return err
		}
	}
	if s.user != 0 {
		for _, path := range []string{"/mnt/state", "/mnt/bundle", "/mnt/rootfs", "/mnt/rootfs/proc",
			"/mnt/rootfs/dev", "/mnt/rootfs/sys"} {
			if err := os.Chown(path, s.user, s.user); err != nil {
				return err
			}
		}
	}
	fixture := s.fixture
	if fixture == "" {
		fixture = "none"
	}
	if err := harness.StartFixture(fixture); err != nil {
		return err
	}
	args := []string{"run", "--bundle", "/mnt/bundle", "c"}
	if s.exec != nil {
		if err := s.createAt(harness.FixturePid); err != nil {
			return err
		}
		defer s.runc("delete", "--force", "c")
		args = append(append([]string{"exec"}, s.exec...), "c", "/bin/busybox", "true")
	}
	traced := s.command("strace", append([]string{"-f", "-e", "trace=write,sendto", "-xx", "-s", "65536",
		"-o", "/mnt/state/trace",
		"/mnt/runc", "--root", "/mnt/state"}, args...)...)
	// The container may well fail after the message, for which an unprivileged strace is enough.
	noise, _ := runToEnd(traced)
	if s.exec == nil {
		defer s.runc("delete", "--force", "c")
	}
	message, err := findMessage("/mnt/state/trace")
	if err != nil {
		return fmt.Errorf("%w\n%s", err, noise)
	}
	version, err := exec.Command("/mnt/runc", "--version").Output()
	if err != nil {
		return err
	}
	release := strings.Fields(string(version))[2]
	fmt.Printf("[captured-%s]\ncaptured: runc %s, `runc %s` (tests/conformance/vectors/capture -only %s)\n", s.name,
		release, strings.Join(args, " "), s.name)
	dissect(message)
	fmt.Println()
	return nil
}

func (s scenario) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = "/mnt/bundle"
	// One running thread makes the pids of runc's children predictable.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GOMAXPROCS=1", "XDG_RUNTIME_DIR=/mnt/state"}
	if s.user != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(s.user), Gid: uint32(s.user)}}
	}
	return cmd
}

func (s scenario) runc(args ...string) error {
	cmd := s.command("/mnt/runc", append([]string{"--root", "/mnt/state"}, args...)...)
	if text, err := runToEnd(cmd); err != nil {
		return fmt.Errorf("runc %s: %w\n%s", args[0], err, text)
	}
	return nil
}

// runToEnd runs a command with its output in a file: the container keeps it open, so it must not be a
// pipe that somebody reads to its end.
func runToEnd(cmd *exec.Cmd) (string, error) {
	log, err := os.OpenFile("/mnt/log", os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return "", err
	}
	stop := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	defer stop.Stop()
	err = cmd.Wait()
	text, _ := os.ReadFile("/mnt/log")
	return string(text), err
}

// createAt creates containers until one has the pid.
func (s scenario) createAt(pid int) error {
	const attempts = 300
	for guess, attempt := pid-20, 0; attempt < attempts; attempt++ {
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(guess)), 0); err != nil {
			return err
		}
		if err := s.runc("create", "--bundle", "/mnt/bundle", "c"); err != nil {
			return err
		}
		text, err := os.ReadFile("/mnt/state/c/state.json")
		if err != nil {
			return err
		}
		var state struct {
			Pid int `json:"init_process_pid"`
		}
		if err := json.Unmarshal(text, &state); err != nil {
			return err
		}
		if state.Pid == pid {
			return s.runc("start", "c")
		}
		if err := s.runc("delete", "--force", "c"); err != nil {
			return err
		}
		// How many pids runc's own threads take varies a little: a guess is tried more than once.
		if attempt%3 == 0 {
			guess += pid - state.Pid
		}
	}
	return fmt.Errorf("no container with pid %d in %d attempts", pid, attempts)
}

var writeCall = regexp.MustCompile(`(?:write|sendto)\([0-9]+, "((?:\\x[0-9a-f]{2})+)", `)

// findMessage looks for the one write that begins with a header of type 62000.
func findMessage(trace string) ([]byte, error) {
	text, err := os.ReadFile(trace)
	if err != nil {
		return nil, err
	}
	for _, call := range writeCall.FindAllSubmatch(text, -1) {
		message, err := hex.DecodeString(strings.ReplaceAll(string(call[1]), `\x`, ""))
		if err != nil {
			return nil, err
		}
		if len(message) >= 16 && binary.LittleEndian.Uint16(message[4:]) == 62000 {
			return message, nil
		}
	}
	return nil, errors.New("no bootstrap message in the trace")
}

var attributeNames = map[uint16]string{
	27281: "CLONE_FLAGS", 27282: "NS_PATHS", 27283: "UIDMAP", 27284: "GIDMAP", 27285: "SETGROUP",
	27286: "OOM_SCORE_ADJ", 27287: "ROOTLESS_EUID", 27288: "UIDMAPPATH", 27289: "GIDMAPPATH",
	27290: "TIMENSOFFSET",
}

// dissect prints the bytes as they are, field by field.
func dissect(message []byte) {
	field := func(n int, format string, args ...interface{}) {
		fmt.Printf("hex: % x  # %s\n", message[:n], fmt.Sprintf(format, args...))
		message = message[n:]
	}
	field(4, "nlmsg_len %d", binary.LittleEndian.Uint32(message))
	field(2, "nlmsg_type 62000")
	field(10, "nlmsg_flags, nlmsg_seq, nlmsg_pid")
	for len(message) >= 4 {
		size := int(binary.LittleEndian.Uint16(message))
		kind := binary.LittleEndian.Uint16(message[2:])
		field(4, "%s, nla_len %d", attributeNames[kind], size)
		switch value := message[:size-4]; kind {
		case 27281, 27285, 27287:
			field(len(value), "0x%x", binary.LittleEndian.Uint32(value))
		default:
			for rest := value; len(rest) > 0; {
				n := bytes.IndexAny(rest, ",\n") + 1
				if n == 0 {
					n = len(rest)
				}
				field(n, "%q", rest[:n])
				rest = rest[n:]
			}
		}
		if padding := (4 - size%4) % 4; padding > 0 {
			field(padding, "padding")
		}
	}
	if len(message) > 0 {
		field(len(message), "what is left")
	}
}
