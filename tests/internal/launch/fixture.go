// SPDX-License-Identifier: Apache-2.0

//go:build linux

package launch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// Not in package syscall of Go 1.18 for every architecture, or not at all.
const (
	cloneNewCgroup = 0x02000000
	cloneNewTime   = 0x00000080

	newNamespaces = cloneNewCgroup | syscall.CLONE_NEWIPC | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET |
		syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS
)

// StartFixture makes a process with pid FixturePid, and mounts its namespaces below /mnt/ns. It must
// be called by pid 1 of a pid namespace that has nothing else running, since the pid must be free.
func StartFixture(kind string) error {
	attr := &syscall.ProcAttr{
		Env:   []string{},
		Files: []uintptr{^uintptr(0), ^uintptr(0), ^uintptr(0)},
		Sys:   &syscall.SysProcAttr{},
	}
	argv := []string{"sleep", "infinity"}
	path := "/bin/sleep"
	all := uintptr(newNamespaces)
	switch kind {
	case "none":
		return nil
	case "rootless":
		// The process that creates the namespaces, and so owns them, is unprivileged: see forkFixture.
	case "zombie":
		path, argv = "/proc/self/exe", []string{"zombie"}
		attr.Env = []string{envStage + "=" + zombie}
	case "user":
		attr.Sys.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: 100000, Size: 65536}}
		attr.Sys.GidMappings = attr.Sys.UidMappings
		attr.Sys.GidMappingsEnableSetgroups = true
		attr.Sys.Credential = &syscall.Credential{}
		all |= syscall.CLONE_NEWUSER
		fallthrough
	case "plain":
		attr.Sys.Cloneflags = all
		// The low byte of clone's flags is the exit signal, so time is for unshare. The program that
		// is then executed is the first in the new namespace.
		attr.Sys.Unshareflags = cloneNewTime
	default:
		return fmt.Errorf("unknown fixture %q", kind)
	}

	pid, err := forkFixture(kind, path, argv, attr)
	if err != nil {
		return fmt.Errorf("fixture %s: %w", kind, err)
	}
	if pid != FixturePid {
		return errors.New(errPidTaken)
	}
	if kind == "zombie" {
		return waitFor("zombie", func() bool { return processState(pid) == 'Z' })
	}
	return mountNamespaces(pid)
}

func setLastPid() error {
	return os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(FixturePid-1)), 0)
}

func forkFixture(kind, path string, argv []string, attr *syscall.ProcAttr) (int, error) {
	if kind != "rootless" {
		if err := setLastPid(); err != nil {
			return 0, err
		}
		return syscall.ForkExec(path, argv, attr)
	}
	parent := exec.Command("/proc/self/exe")
	parent.Env = []string{envStage + "=" + rootlessParent, "GOMAXPROCS=1"}
	parent.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
	parent.Stderr = os.Stderr
	start, err := parent.StdinPipe()
	if err != nil {
		return 0, err
	}
	answer, err := parent.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := parent.Start(); err != nil {
		return 0, err
	}
	var ready [1]byte
	if _, err := answer.Read(ready[:]); err != nil {
		return 0, err
	}
	if err := setLastPid(); err != nil {
		return 0, err
	}
	if _, err := start.Write(ready[:]); err != nil {
		return 0, err
	}
	text, err := io.ReadAll(answer)
	if err != nil {
		return 0, err
	}
	if err := parent.Wait(); err != nil {
		return 0, err
	}
	return strconv.Atoi(string(text))
}

// rootlessParentMain makes the fixture of an unprivileged user, which pid 1 inherits.
func rootlessParentMain() {
	own := func(id int) []syscall.SysProcIDMap {
		return []syscall.SysProcIDMap{{ContainerID: 0, HostID: id, Size: 1}}
	}
	attr := &syscall.ProcAttr{
		Files: []uintptr{^uintptr(0), ^uintptr(0), ^uintptr(0)},
		Sys: &syscall.SysProcAttr{
			Cloneflags:   newNamespaces | syscall.CLONE_NEWUSER,
			Unshareflags: cloneNewTime,
			UidMappings:  own(os.Getuid()),
			GidMappings:  own(os.Getgid()),
		},
	}
	os.Stdout.Write([]byte{'r'})
	var start [1]byte
	os.Stdin.Read(start[:])
	pid, err := syscall.ForkExec("/bin/sleep", []string{"sleep", "infinity"}, attr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "fixture rootless:", err)
		os.Exit(1)
	}
	os.Stdout.WriteString(strconv.Itoa(pid))
	os.Exit(0)
}

// mountNamespaces puts the namespaces of process pid below /mnt/ns, where messages find them.
func mountNamespaces(pid int) error {
	if err := os.Mkdir("/mnt/ns", 0o755); err != nil {
		return err
	}
	for _, name := range NamespaceTypes {
		source := fmt.Sprintf("/proc/%d/ns/%s", pid, name)
		target := filepath.Join("/mnt/ns", name)
		if name == "mnt" {
			// A mount namespace in itself is refused if it is older than the one it is mounted in.
			if err := os.Symlink(source, target); err != nil {
				return err
			}
			continue
		}
		if err := os.WriteFile(target, nil, 0o444); err != nil {
			return err
		}
		if err := syscall.Mount(source, target, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("failed to mount %s: %w", source, err)
		}
	}
	own, err := os.Readlink("/proc/self/ns/time")
	if err != nil {
		return err
	}
	if theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/time", pid)); err != nil || theirs == own {
		return fmt.Errorf("the fixture has no time namespace of its own (%v): kernel older than 6.0?", err)
	}
	return nil
}
