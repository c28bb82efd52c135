// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"

	"nsenter-cpp.example/nsenter/parent"
)

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
