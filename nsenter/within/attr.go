// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package within

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unsafe"

	"nsenter-cpp.example/nsenter/parent"
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

// Capabilities are the sets of capabilities(7), Effective, Permitted, Inheritable, Bounding and Ambient, as bits: 1<<12
// is CAP_NET_ADMIN.
type Capabilities struct{ Effective, Permitted, Inheritable, Bounding, Ambient uint64 }

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

// Scheduler is how a process is scheduled, as sched_setattr(2) has it: Policy is SCHED_OTHER (0) or another one, Nice
// is for that and SCHED_BATCH, Priority for SCHED_FIFO and SCHED_RR. Runtime, Deadline and Period, in nanoseconds, are
// for SCHED_DEADLINE.
type Scheduler struct {
	Policy                    uint32
	Flags                     uint64 // SCHED_FLAG_RESET_ON_FORK
	Nice                      int32
	Priority                  uint32
	Runtime, Deadline, Period uint64
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

// sentAttr is an Attr as a child is sent it. Numbers of descriptors are the child's; 0 is none.
type sentAttr struct {
	NewKeyring          bool
	SetsIDs, SetsGroups bool
	Uid, Gid            uint32
	Groups              []uint32
	KeepCaps            bool
	SetsCapabilities    bool
	Capabilities        Capabilities
	NoNewPrivs          bool
	Seccomp             []SeccompFilter
	AppArmor, SELinux   string
	Rlimits             []Rlimit
	Cgroups             []int // cgroup.procs
	CgroupNames         []string
	CPUs                []int
	SetsScheduler       bool
	Scheduler           Scheduler
	Chroot, Dir         string
	Root, DirFD         int
	Proc                int // the caller's /proc, for labels
	SetsUmask           bool
	Umask               int
}

// addAttr adds the files of c's Attr, and keeps what is to be sent of it.
func (f *childFiles) addAttr(c *Cmd) error {
	a := c.Attr
	s := &sentAttr{NewKeyring: c.isConfined, KeepCaps: a.KeepCaps, NoNewPrivs: a.NoNewPrivs, Seccomp: a.Seccomp,
		AppArmor: a.AppArmorProfile, SELinux: a.SELinuxLabel, Rlimits: a.Rlimits, CPUs: a.CPUs,
		Chroot: a.Chroot, Dir: fromRoot(c.Proc.Dir)}
	if cred := a.Credential; cred != nil {
		s.SetsIDs, s.SetsGroups, s.Uid, s.Gid, s.Groups = true, !cred.NoSetGroups, cred.Uid, cred.Gid, cred.Groups
	}
	if a.Capabilities != nil {
		s.SetsCapabilities, s.Capabilities = true, *a.Capabilities
	}
	if a.Scheduler != nil {
		s.SetsScheduler, s.Scheduler = true, *a.Scheduler
	}
	if a.Umask != nil {
		s.SetsUmask, s.Umask = true, *a.Umask
	}
	for _, folder := range a.Cgroups {
		procs, err := openCgroup(folder)
		if err != nil {
			return err
		}
		f.cgroups = append(f.cgroups, procs)
		s.Cgroups = append(s.Cgroups, f.own(procs))
		s.CgroupNames = append(s.CgroupNames, folder.Name())
	}
	if a.Root != nil {
		s.Root = f.add(a.Root)
	}
	if a.Dir != nil {
		s.DirFD, s.Dir = f.add(a.Dir), ""
	}
	if a.AppArmorProfile != "" || a.SELinuxLabel != "" {
		// In the target anything can lie at /proc (CVE-2019-19921). In ours, thread-self is the child's thread too.
		if err := checkProc(); err != nil {
			return err
		}
		proc, err := os.Open("/proc")
		if err != nil {
			return err
		}
		s.Proc = f.own(proc)
	}
	f.attr = s
	return nil
}

// fromRoot is a working directory as a child would have it, which begins in the root directory.
func fromRoot(dir string) string {
	if !filepath.IsAbs(dir) {
		dir = "/" + dir
	}
	return dir
}

// openCgroup opens the file of a cgroup to which a process is written that moves there. The kernel checks the rights of
// whoever has opened it, so the process itself needs none.
func openCgroup(folder *os.File) (*os.File, error) {
	const cgroupSuper, cgroup2Super = 0x27e0eb, 0x63677270 // <linux/magic.h>
	path := filepath.Join(folder.Name(), "cgroup.procs")
	fd, err := syscall.Openat(int(folder.Fd()), "cgroup.procs", syscall.O_WRONLY|syscall.O_CLOEXEC|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("within: failed to open the cgroup: %w", &os.PathError{Op: "open", Path: path, Err: err})
	}
	file := os.NewFile(uintptr(fd), path)
	var fs syscall.Statfs_t
	err = syscall.Fstatfs(fd, &fs)
	if kind := uint32(fs.Type); err == nil && kind != cgroupSuper && kind != cgroup2Super {
		err = errors.New("it does not lie on a cgroup file system")
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("within: failed to open the cgroup: %w", &os.PathError{Op: "open", Path: path, Err: err})
	}
	return file, nil
}

// prepare does for the launched process what its successor could not do itself.
func (f *childFiles) prepare(command *parent.Cmd, entered, created Namespaces) {
	then := command.BeforeMessage
	var early []*os.File
	if created.Has(Cgroup) { // it begins where its creator is
		early, f.attr.Cgroups = f.cgroups, nil
	}
	command.BeforeMessage = func(pid int) error {
		for _, procs := range early {
			if _, err := fmt.Fprint(procs, pid); err != nil {
				return fmt.Errorf("within: failed to enter the cgroup %s: %w", filepath.Dir(procs.Name()), errors.Unwrap(err))
			}
		}
		if entered.Has(User) { // inside, nobody may raise a hard limit
			if err := raiseLimits(pid, f.attr.Rlimits); err != nil {
				return err
			}
		}
		if then != nil {
			return then(pid)
		}
		return nil
	}
}

// raiseLimits raises hard limits that are lower. The soft ones stay: they are not for what is there before the program.
func raiseLimits(pid int, limits []Rlimit) error {
	for _, l := range limits {
		var has syscall.Rlimit
		err := prlimit(pid, l.Resource, nil, &has)
		if err == nil && l.Max > has.Max {
			err = prlimit(pid, l.Resource, &syscall.Rlimit{Cur: has.Cur, Max: l.Max}, nil)
		}
		if err != nil {
			return fmt.Errorf("within: failed to raise the resource limit %d to %d: %w", l.Resource, l.Max, err)
		}
	}
	return nil
}

func prlimit(pid, resource int, set, get *syscall.Rlimit) error {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), uintptr(resource),
		uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(get)), 0, 0)
	return orNil(errno)
}
