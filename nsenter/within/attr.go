// SPDX-License-Identifier: Apache-2.0

//go:build linux && go1.22

package within

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// Attr is what the process of a Cmd's program is besides its namespaces, as syscall.SysProcAttr is for os/exec. A field
// that is not set leaves the process what it is without it: uid 0 and gid 0 in the namespaces, and else what the caller
// has. The process takes all of it before it executes the program, so the program has it from its first instruction on.
// A step that fails is an error of Cmd.Start's, which names the step, its value and the errno, and nothing is executed.
//
// The steps are, in this order: cgroups, processors, scheduling, root directory, umask, limits, no_new_privs, label,
// bounding set, groups, gid, uid, capabilities, working directory, look-up of the program, seccomp filters. A filter
// without NoNewPrivs is installed before the bounding set is limited, since that takes CAP_SYS_ADMIN. RLIMIT_AS and
// RLIMIT_DATA come before the filters that come last.
//
// Files are the caller's, and can be closed when Cmd.Start has returned.
type Attr struct {
	// Credential is as with os/exec, and its numbers are those of the user namespace that the program is in: the real,
	// effective and saved ids, and the supplementary groups, of which there are none if Groups is nil, unless NoSetGroups
	// is set. From uid 0 to another one the kernel takes all capabilities (capabilities(7)), but for KeepCaps and
	// Capabilities. Pipes that this package makes for standard streams are given to the user, but for a user namespace, so
	// that the program can open /dev/stdout.
	Credential *syscall.Credential
	// KeepCaps has a program of another uid than 0 keep the capabilities that the process has in the namespaces: all of
	// them become inheritable and ambient. It excludes Capabilities.
	KeepCaps bool
	// Capabilities are those of the process when it executes the program; execve(2) then makes of them what the program
	// has: all of Bounding for uid 0, and Ambient for others. nil leaves them as they are.
	Capabilities *Capabilities
	NoNewPrivs   bool // execve(2) grants nothing from now on (PR_SET_NO_NEW_PRIVS(2const))
	// Seccomp are filters, installed in this order just before the program is executed, if NoNewPrivs is set. They have to
	// allow what executes the program: execve(2), or execveat(2) for one FromCaller, and futex(2) for an error of it. No
	// filter is no error here. Confine tells nil, which it replaces, from a list of none, which it leaves.
	Seccomp []SeccompFilter
	// AppArmorProfile and SELinuxLabel are taken when the program is executed. The text is that of
	// /proc/PID/attr/current, without AppArmor's mode in brackets. Where the kernel does not have that module, it is an
	// error.
	AppArmorProfile, SELinuxLabel string

	Rlimits []Rlimit // a hard limit is raised with CAP_SYS_RESOURCE only, in the initial user namespace
	// Cgroups are directories of a cgroup file system: that of a cgroup of version 2, or one of each hierarchy of
	// version 1. The program is in these cgroups before its first instruction. This package's child, which is there
	// before the program, is in the caller's cgroups, and its memory counts there. But where a cgroup namespace is
	// created, the child is in them too, for the namespace begins where its creator is.
	Cgroups   []*os.File
	CPUs      []int      // numbers of the processors that it may run on, as sched_setaffinity(2) has them; nil: as it is
	Scheduler *Scheduler // nil: as it is

	// Chroot is the program's root directory: a path in the root of its mount namespace. Root is the same as an open
	// directory, which may be one outside. At most one of the two is set.
	Chroot string
	Root   *os.File
	// Dir is the working directory as an open directory, which may be one outside, in place of Proc.Dir, which is a path
	// in the program's root directory. It is entered with the program's ids and capabilities.
	Dir   *os.File
	Umask *int // file permission bits that are taken from what the program creates (umask(2))
}

// SeccompFilter is a filter program of seccomp(2), as a compiler like libseccomp makes it.
type SeccompFilter struct {
	Program []syscall.SockFilter // 1 to 4096 instructions
	Flags   uint                 // SECCOMP_FILTER_FLAG_LOG and _SPEC_ALLOW of seccomp(2); all others are refused
}

// Rlimit is a limit of getrlimit(2), in the units that are said there.
type Rlimit struct {
	Resource       int // RLIMIT_NOFILE
	syscall.Rlimit     // Cur is the soft limit, Max the hard one
}

const (
	seccompFlagLog       = 1 << 1
	seccompFlagSpecAllow = 1 << 2
)

// check refuses what contradicts itself, before anything is done.
func (a *Attr) check(p *Proc) error {
	switch {
	case a.KeepCaps && a.Capabilities != nil:
		return errors.New("within: KeepCaps and Capabilities are both set")
	case a.Chroot != "" && a.Root != nil:
		return errors.New("within: Chroot and Root are both set")
	case a.Dir != nil && p.Dir != "":
		return errors.New("within: Attr.Dir and Proc.Dir are both set")
	}
	for _, text := range []struct{ field, value string }{
		{"Chroot", a.Chroot}, {"AppArmorProfile", a.AppArmorProfile}, {"SELinuxLabel", a.SELinuxLabel},
	} {
		if strings.ContainsAny(text.value, "\x00\n") {
			return fmt.Errorf("within: a NUL or line end in %s %q: %w", text.field, text.value, syscall.EINVAL)
		}
	}
	for i, f := range a.Seccomp {
		const bpfMaxInstructions = 4096 // <linux/bpf_common.h>
		if n := len(f.Program); n == 0 || n > bpfMaxInstructions {
			return fmt.Errorf("within: seccomp filter %d has %d instructions: %w", i, n, syscall.EINVAL)
		}
		if f.Flags&^(seccompFlagLog|seccompFlagSpecAllow) != 0 {
			return fmt.Errorf("within: seccomp filter %d has flags %#x: %w", i, f.Flags, syscall.EINVAL)
		}
	}
	const mostCPUs = 1 << 16 // more than NR_CPUS can be
	for _, cpu := range a.CPUs {
		if cpu < 0 || cpu >= mostCPUs {
			return fmt.Errorf("within: there is no processor %d: %w", cpu, syscall.EINVAL)
		}
	}
	for i, cgroup := range a.Cgroups {
		if cgroup == nil {
			return fmt.Errorf("within: cgroup %d is nil", i)
		}
	}
	return nil
}
