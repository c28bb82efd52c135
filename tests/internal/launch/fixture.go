// SPDX-License-Identifier: Apache-2.0

//go:build linux

package launch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Not in package syscall of Go 1.18 for every architecture, or not at all.
const (
	cloneNewCgroup = 0x02000000
	cloneNewTime   = 0x00000080
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
	all := uintptr(cloneNewCgroup | syscall.CLONE_NEWIPC | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET |
		syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS)
	switch kind {
	case "none":
		return nil
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

	if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(FixturePid-1)), 0); err != nil {
		return err
	}
	pid, err := syscall.ForkExec(path, argv, attr)
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
