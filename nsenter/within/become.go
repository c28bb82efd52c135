// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"unsafe"

	share "nsenter-cpp.example/internal/spawn"
)

// The child's side of Attr: what the thread does that executes the program. Package syscall would have all threads do
// it, and the others are to keep their rights: they say what has failed. So these are system calls of this thread
// alone. With limits and filters in force the Go runtime does as little as can be: the calls do not tell it, and no
// garbage is collected.

const (
	prSetDumpable = 4
	prSetSeccomp  = 22
	prCapbsetDrop = 24
	prSetKeepcaps = 8
	prSetNoNewPrv = 38
	prCapAmbient  = 47

	capAmbientRaise = 2
	capAmbientClear = 4

	seccompModeFilter    = 2
	seccompSetModeFilter = 1
)

func prctl(option int, arguments ...uintptr) error {
	var a [4]uintptr
	copy(a[:], arguments)
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, uintptr(option), a[0], a[1], a[2], a[3], 0)
	return orNil(errno)
}

func orNil(errno syscall.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}

// failed is an error of a step, in the words of internal/spawn, or nil.
func failed(err error, format string, arguments ...any) error {
	if err == nil {
		return nil
	}
	return &share.Error{What: fmt.Sprintf(format, arguments...), Err: err}
}

// take takes what comes before the death signal.
func (a *sentAttr) take() error {
	debug.SetGCPercent(-1)
	syscall.Exec("", []string{""}, nil) // restores the limit of open files, which the runtime has raised
	labels, err := a.openLabels()
	if err != nil {
		return err
	}
	for _, step := range []func() error{a.joinKeyring, a.enterCgroups, a.takeScheduling, a.enterRoot, a.takeLimits,
		func() error { return a.givePrivilegesUp(labels) }} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// joinKeyring leaves the caller's session keyring, see session-keyring(7). Where a filter refuses that, the program has
// the filter too.
func (a *sentAttr) joinKeyring() error {
	if !a.NewKeyring {
		return nil
	}
	const joinSessionKeyring = 1
	_, _, errno := syscall.RawSyscall(syscall.SYS_KEYCTL, joinSessionKeyring, 0, 0)
	if errno == syscall.ENOSYS || errno == syscall.EPERM {
		return nil
	}
	return failed(orNil(errno), "failed to make a session keyring")
}

func (a *sentAttr) enterCgroups() error {
	for i, fd := range a.Cgroups {
		// 0 is whoever writes it, whatever number it has there.
		if _, err := syscall.Write(fd, []byte("0")); err != nil {
			return failed(err, "failed to enter the cgroup %s", a.CgroupNames[i])
		}
		syscall.Close(fd) // before others could get at this process
	}
	return nil
}

// schedAttr is struct sched_attr, in its first form.
type schedAttr struct {
	size, policy              uint32
	flags                     uint64
	nice                      int32
	priority                  uint32
	runtime, deadline, period uint64
}

// takeScheduling comes after the cgroups: one with a cpuset resets the processors.
func (a *sentAttr) takeScheduling() error {
	if len(a.CPUs) > 0 {
		var set [1024]uintptr
		const bits = 8 * int(unsafe.Sizeof(set[0]))
		for _, cpu := range a.CPUs {
			if cpu/bits >= len(set) {
				return failed(syscall.EINVAL, "failed to set the processors %v", a.CPUs)
			}
			set[cpu/bits] |= 1 << (cpu % bits)
		}
		_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(set),
			uintptr(unsafe.Pointer(&set)))
		if errno != 0 {
			return failed(errno, "failed to set the processors %v", a.CPUs)
		}
	}
	if !a.SetsScheduler {
		return nil
	}
	s := a.Scheduler
	attr := schedAttr{policy: s.Policy, flags: s.Flags, nice: s.Nice, priority: s.Priority,
		runtime: s.Runtime, deadline: s.Deadline, period: s.Period}
	attr.size = uint32(unsafe.Sizeof(attr))
	_, _, errno := syscall.RawSyscall(sysSchedSetattr, 0, uintptr(unsafe.Pointer(&attr)), 0)
	return failed(orNil(errno), "failed to set the scheduling policy %d, nice %d, priority %d", s.Policy, s.Nice,
		s.Priority)
}

func (a *sentAttr) enterRoot() error {
	path := a.Chroot
	if a.Root != 0 {
		if err := syscall.Fchdir(a.Root); err != nil {
			return failed(err, "failed to change the root directory")
		}
		path = "."
	}
	switch {
	case path == "":
		return nil
	case a.Root != 0:
		return failed(syscall.Chroot(path), "failed to change the root directory")
	}
	return failed(syscall.Chroot(path), "failed to change the root directory to %s", path)
}

func (a *sentAttr) takeLimits() error {
	if a.SetsUmask {
		syscall.Umask(a.Umask)
	}
	for _, l := range a.Rlimits {
		if a.isLate(l) {
			var own syscall.Rlimit
			err := syscall.Getrlimit(l.Resource, &own)
			if err == nil && l.Max > own.Max {
				err = syscall.Setrlimit(l.Resource, &syscall.Rlimit{Cur: own.Cur, Max: l.Max})
			}
			if err != nil {
				return failed(err, "failed to set the resource limit %d", l.Resource)
			}
			continue
		}
		// With package syscall's, the runtime no longer knows a limit of open files that it would restore.
		if err := syscall.Setrlimit(l.Resource, &l.Rlimit); err != nil {
			return failed(err, "failed to set the resource limit %d", l.Resource)
		}
	}
	return nil
}

// isLate tells whether a limit waits until just before the program is executed, and is only raised before: the Go
// runtime needs memory until then. A filter that is there by then may not allow it.
func (a *sentAttr) isLate(l Rlimit) bool {
	return (l.Resource == syscall.RLIMIT_AS || l.Resource == syscall.RLIMIT_DATA) && (a.NoNewPrivs || len(a.Seccomp) == 0)
}

func (a *sentAttr) takeLateLimits() error {
	isFirst := true
	for _, l := range a.Rlimits {
		if !a.isLate(l) {
			continue
		}
		if isFirst { // the runtime starts no other thread now, which would take memory
			runtime.GOMAXPROCS(1)
			isFirst = false
		}
		if err := syscall.Setrlimit(l.Resource, &l.Rlimit); err != nil {
			return failed(err, "failed to set the resource limit %d", l.Resource)
		}
	}
	return nil
}

// label is a file that a label is written to.
type label struct {
	file       int
	kind, text string // "AppArmor profile"; what is written
	name       string // what the user calls it
}

// openLabels opens the files while nothing keeps this thread from it. Only the thread whose they are can write to them.
func (a *sentAttr) openLabels() (labels []label, err error) {
	open := func(kind, name, text string, paths ...string) {
		if name == "" || err != nil {
			return
		}
		l := label{kind: kind, name: name, text: text}
		for _, path := range paths {
			l.file, err = syscall.Openat(a.Proc, "thread-self/attr/"+path, syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
			if err == nil {
				labels = append(labels, l)
				return
			}
		}
		err = failed(err, "failed to open the file for the %s %s", kind, name)
	}
	// Where there are several modules, AppArmor's file without its name may be another module's.
	open("AppArmor profile", a.AppArmor, "exec "+a.AppArmor, "apparmor/exec", "exec")
	open("SELinux label", a.SELinux, a.SELinux, "exec")
	if a.Proc != 0 {
		syscall.Close(a.Proc) // the caller's, through which who gets hold of it would see the caller's processes
	}
	return labels, err
}

// givePrivilegesUp is in runc's order, and in that of internal/spawn.
func (a *sentAttr) givePrivilegesUp(labels []label) error {
	if a.NoNewPrivs {
		if err := prctl(prSetNoNewPrv, 1); err != nil {
			return failed(err, "failed to set no_new_privs")
		}
	}
	for _, l := range labels {
		_, err := syscall.Write(l.file, []byte(l.text))
		if err != nil {
			return failed(err, "failed to set the %s %s", l.kind, l.name)
		}
	}
	if !a.NoNewPrivs {
		if err := a.installFilters(); err != nil {
			return err
		}
	}
	if err := a.limitBounding(); err != nil {
		return err
	}
	// Else the kernel takes the capabilities of whoever stops being root.
	keeps := a.SetsIDs && (a.SetsCapabilities || a.KeepCaps)
	if keeps {
		if err := prctl(prSetKeepcaps, 1); err != nil {
			return failed(err, "failed to keep capabilities while ids change")
		}
	}
	if err := a.becomeUser(); err != nil {
		return err
	}
	if keeps {
		if err := prctl(prSetKeepcaps, 0); err != nil {
			return failed(err, "failed to keep capabilities while ids change")
		}
	}
	return a.takeCapabilities()
}

func (a *sentAttr) limitBounding() error {
	for capability := 0; a.SetsCapabilities && capability < 64; capability++ {
		if a.Capabilities.Bounding>>capability&1 != 0 {
			continue
		}
		err := prctl(prCapbsetDrop, uintptr(capability))
		if err == syscall.EINVAL { // there are no more
			return nil
		}
		if err != nil {
			return failed(err, "failed to drop capability %d from the bounding set", capability)
		}
	}
	return nil
}

func (a *sentAttr) becomeUser() error {
	if a.SetsGroups {
		var first *uint32
		if len(a.Groups) > 0 {
			first = &a.Groups[0]
		}
		_, _, errno := syscall.RawSyscall(sysSetgroups, uintptr(len(a.Groups)), uintptr(unsafe.Pointer(first)), 0)
		if errno != 0 {
			return failed(errno, "failed to set the supplementary groups")
		}
	}
	if !a.SetsIDs {
		return nil
	}
	// With fs.suid_dumpable=1 the kernel shows a process that changes its ids to others with these ids. This one has files
	// of the caller's yet. It is hidden from them again at once; the program is not, for execve(2) decides anew.
	defer prctl(prSetDumpable, 0)
	gid, uid := uintptr(a.Gid), uintptr(a.Uid)
	if _, _, errno := syscall.RawSyscall(sysSetresgid, gid, gid, gid); errno != 0 {
		return failed(errno, "failed to become gid %d", gid)
	}
	_, _, errno := syscall.RawSyscall(sysSetresuid, uid, uid, uid)
	return failed(orNil(errno), "failed to become uid %d", uid)
}

// capHeader and capData are struct __user_cap_header_struct and two of struct __user_cap_data_struct.
type (
	capHeader struct {
		version uint32
		pid     int32
	}
	capData [2]struct{ effective, permitted, inheritable uint32 }
)

const capVersion3 = 0x20080522

func (a *sentAttr) takeCapabilities() error {
	c := a.Capabilities
	switch {
	case a.KeepCaps:
		permitted, err := permittedCapabilities()
		if err != nil {
			return failed(err, "failed to look at the capabilities")
		}
		c = Capabilities{Effective: permitted, Permitted: permitted, Inheritable: permitted, Ambient: permitted}
	case !a.SetsCapabilities:
		return nil
	}
	header := capHeader{version: capVersion3}
	var data capData
	for i := range data {
		data[i].effective, data[i].permitted = uint32(c.Effective>>(32*i)), uint32(c.Permitted>>(32*i))
		data[i].inheritable = uint32(c.Inheritable >> (32 * i))
	}
	_, _, errno := syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&header)),
		uintptr(unsafe.Pointer(&data)), 0)
	if errno != 0 {
		return failed(errno, "failed to set capabilities")
	}
	if err := prctl(prCapAmbient, capAmbientClear); err != nil {
		return failed(err, "failed to raise ambient capability %d", 0)
	}
	for capability := 0; capability < 64; capability++ {
		if c.Ambient>>capability&1 == 0 {
			continue
		}
		if err := prctl(prCapAmbient, capAmbientRaise, uintptr(capability)); err != nil {
			return failed(err, "failed to raise ambient capability %d", capability)
		}
	}
	return nil
}

// permittedCapabilities are those of this thread.
func permittedCapabilities() (uint64, error) {
	header := capHeader{version: capVersion3}
	var data capData
	_, _, errno := syscall.RawSyscall(syscall.SYS_CAPGET, uintptr(unsafe.Pointer(&header)),
		uintptr(unsafe.Pointer(&data)), 0)
	return uint64(data[1].permitted)<<32 | uint64(data[0].permitted), orNil(errno)
}

// enterDirectory comes after the ids, as with os/exec.
func (a *sentAttr) enterDirectory() error {
	if a.DirFD != 0 {
		return failed(syscall.Fchdir(a.DirFD), "failed to change the working directory")
	}
	if err := syscall.Chdir(a.Dir); err != nil {
		return &os.PathError{Op: "chdir", Path: a.Dir, Err: err}
	}
	return nil
}

func (a *sentAttr) installFilters() error {
	for i := range a.Seccomp {
		f := &a.Seccomp[i]
		program := syscall.SockFprog{Len: uint16(len(f.Program)), Filter: &f.Program[0]}
		errno := syscall.Errno(0)
		if f.Flags == 0 {
			_, _, errno = syscall.RawSyscall(syscall.SYS_PRCTL, prSetSeccomp, seccompModeFilter,
				uintptr(unsafe.Pointer(&program)))
		} else {
			_, _, errno = syscall.RawSyscall(sysSeccomp, seccompSetModeFilter, uintptr(f.Flags),
				uintptr(unsafe.Pointer(&program)))
		}
		runtime.KeepAlive(program)
		switch {
		case errno != 0 && len(a.Seccomp) == 1:
			return failed(errno, "failed to install the seccomp filter")
		case errno != 0:
			return failed(errno, "failed to install seccomp filter %d of %d", i+1, len(a.Seccomp))
		}
	}
	return nil
}

// bytes is an Attr as it is sent.
func (a *sentAttr) bytes() []byte {
	var buffer bytes.Buffer
	gob.NewEncoder(&buffer).Encode(a) // of a type that can be encoded
	return buffer.Bytes()
}

func attrOf(body []byte) (*sentAttr, error) {
	a := new(sentAttr)
	if err := gob.NewDecoder(bytes.NewReader(body)).Decode(a); err != nil {
		return nil, errors.New("within: an Attr that cannot be decoded: " + err.Error())
	}
	return a, nil
}
