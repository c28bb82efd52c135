// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"nsenter-cpp.example/internal/kernel"
)

// Confine makes the program what a process is, usually pid 1 of a container: it joins all of its namespaces, if
// Proc.Target is not set, and Attr and Proc get the process's ids and groups, capabilities, no_new_privs, seccomp
// filters, AppArmor profile or SELinux label, limits, cgroups, processors, scheduling, root and working directory,
// umask and oom_score_adj. It has a session keyring of its own (session-keyring(7)) in place of the caller's. So the
// program has no more rights than the container's own ones. Environment, securebits, personality(2), ionice(1) and
// Landlock rules are not taken; of uid 0 the bounding set is what it has permitted, since its program gets all of that.
// Cmd.Before runs before all this, with the caller's capabilities and cgroups.
//
// A field that is set already is left as it is; of Attr, a list that is empty and not nil is set, and NoNewPrivs is
// only ever added. If something cannot be found out, the error says so, and then nothing has been changed: set that
// field to go on without. So a filter takes CAP_SYS_ADMIN in the initial user namespace, a caller without a filter of
// its own, and a target that no debugger traces: a process of this program's stops the target for a moment to read its
// filters (PTRACE_SECCOMP_GET_FILTER, ptrace(2)). A filter that asks a supervisor (SECCOMP_RET_USER_NOTIF) cannot be
// copied.
//
// Files that Confine opens are closed when Start returns, so the program can be started once. All of it belongs to the
// one process that has the number when Confine begins to look; if that ends before Confine or Start is done, the error
// is ESRCH.
func (c *Cmd) Confine(ctx context.Context, pid int) (err error) {
	if c.isStarted() {
		return errors.New("within: already started")
	}
	t, err := newConfinement(pid)
	if err != nil {
		return err
	}
	t.files = append(t.files, t.folder)
	defer func() {
		if err != nil {
			closeFiles(t.files)
		}
	}()
	if c.Proc != nil {
		t.proc = *c.Proc
	}
	if c.Attr != nil {
		t.attr = *c.Attr
	}
	joinsUser := t.proc.Target.parts == nil || t.proc.Target.joinsUser()
	t.isInside = joinsUser && !isShared(t.folder, User)
	if t.proc.Target.parts == nil {
		folder := t.folder
		t.proc.Target = Target{[]part{{All, func(kinds Namespaces) ([]namespace, error) {
			return openNamespaces(folder, pid, kinds)
		}, pid, nil}}}
	}
	for _, look := range []func() error{t.credential, t.capabilities, t.smallThings, t.limits, t.cgroups, t.scheduling,
		t.directories, t.label, t.score, func() error { return t.filters(ctx) }} {
		if err := look(); err != nil {
			return err
		}
	}
	// If the process lives still, nothing has been another one's that has got its number.
	if _, err := t.read("stat"); err != nil {
		return err
	}
	closeFiles(c.confined)
	c.Proc, c.Attr, c.confined, c.isConfined = &t.proc, &t.attr, t.files, true
	return nil
}

// CgroupsOf opens the cgroups of a process for Attr.Cgroups: in all hierarchies in which it is in another one than the
// caller. The caller closes them.
func CgroupsOf(pid int) ([]*os.File, error) {
	t, err := newConfinement(pid)
	if err != nil {
		return nil, err
	}
	defer t.folder.Close()
	if err := t.cgroups(); err != nil {
		closeFiles(t.files)
		return nil, err
	}
	return t.attr.Cgroups, nil
}

// CredentialOf is the ids and groups of a process for Attr.Credential, as they are in its user namespace.
func CredentialOf(pid int) (*syscall.Credential, error) {
	t, err := newConfinement(pid)
	if err != nil {
		return nil, err
	}
	defer t.folder.Close()
	t.isInside = !isShared(t.folder, User)
	err = t.credential()
	return t.attr.Credential, err
}

func newConfinement(pid int) (*confinement, error) {
	folder, err := openFolder(pid)
	if err != nil {
		return nil, err
	}
	t := &confinement{pid: pid, folder: folder}
	if t.status, err = t.readStatus(); err != nil {
		folder.Close()
		return nil, err
	}
	return t, nil
}

func closeFiles(files []*os.File) {
	for _, file := range files {
		file.Close()
	}
}

// joinsUser tells whether a user namespace is joined, if there is one to join.
func (t Target) joinsUser() bool {
	return slices.ContainsFunc(t.parts, func(p part) bool { return p.kinds == All || p.kinds.Has(User) })
}

// confinement is what is found out about a process.
type confinement struct {
	pid      int
	folder   *os.File // in /proc
	status   map[string]string
	isInside bool // the program will be in another user namespace than the caller, the process's
	proc     Proc
	attr     Attr
	files    []*os.File // that were opened
}

// open opens a file of the process's folder.
func (t *confinement) open(name string, flags int) (*os.File, error) {
	fd, err := syscall.Openat(int(t.folder.Fd()), name, flags|syscall.O_CLOEXEC, 0)
	if err == syscall.ESRCH || err == syscall.ENOENT && !t.exists() {
		return nil, errEnded(t.pid)
	}
	path := filepath.Join(t.folder.Name(), name)
	if err != nil {
		return nil, fmt.Errorf("within: failed to look at process %d: %w", t.pid,
			&os.PathError{Op: "open", Path: path, Err: err})
	}
	return os.NewFile(uintptr(fd), path), nil
}

func (t *confinement) exists() bool {
	fd, err := syscall.Openat(int(t.folder.Fd()), "stat", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err == nil {
		syscall.Close(fd)
	}
	return err == nil
}

// read reads a file of the process's folder.
func (t *confinement) read(name string) (string, error) {
	file, err := t.open(name, syscall.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := readAll(file)
	if errors.Is(err, syscall.ESRCH) {
		return "", errEnded(t.pid)
	}
	if err != nil {
		return "", fmt.Errorf("within: failed to look at process %d: %w", t.pid, err)
	}
	return string(text), nil
}

func readAll(file *os.File) (text []byte, err error) {
	chunk := make([]byte, 16<<10)
	for {
		n, err := syscall.Read(int(file.Fd()), chunk)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return nil, &os.PathError{Op: "read", Path: file.Name(), Err: err}
		}
		if n == 0 {
			return text, nil
		}
		text = append(text, chunk[:n]...)
	}
}

func (t *confinement) readStatus() (map[string]string, error) {
	text, err := t.read("status")
	if err != nil {
		return nil, err
	}
	status := make(map[string]string)
	for _, line := range strings.Split(text, "\n") {
		name, value, _ := strings.Cut(line, ":")
		status[name] = strings.TrimSpace(value)
	}
	if state := status["State"]; strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X") {
		return nil, errEnded(t.pid)
	}
	return status, nil
}

// unreadable is an error about a line of the status.
func (t *confinement) unreadable(name string) error {
	return fmt.Errorf("within: the status of process %d says nothing that can be used as %s: %q", t.pid, name,
		t.status[name])
}

func (t *confinement) numbers(name string) (numbers []uint32, err error) {
	for _, field := range strings.Fields(t.status[name]) {
		n, err := strconv.ParseUint(field, 10, 32)
		if err != nil {
			return nil, t.unreadable(name)
		}
		numbers = append(numbers, uint32(n))
	}
	return numbers, nil
}

func (t *confinement) credential() error {
	if t.attr.Credential != nil {
		return nil
	}
	uid, err := t.id("Uid", "uid_map")
	if err != nil {
		return err
	}
	gid, err := t.id("Gid", "gid_map")
	if err != nil {
		return err
	}
	cred := &syscall.Credential{Uid: uid, Gid: gid}
	if t.isInside {
		text, err := t.read("setgroups")
		if err != nil {
			return err
		}
		cred.NoSetGroups = strings.TrimSpace(text) == "deny" // the kernel then demands it of us too
	}
	if !cred.NoSetGroups {
		groups, err := t.numbers("Groups")
		if err != nil {
			return err
		}
		if cred.Groups, err = t.inside("Groups", "gid_map", groups); err != nil {
			return err
		}
	}
	t.attr.Credential = cred
	return nil
}

// id is the one id that the process has.
func (t *confinement) id(name, idMap string) (uint32, error) {
	ids, err := t.numbers(name)
	if err != nil {
		return 0, err
	}
	if len(ids) != 4 {
		return 0, t.unreadable(name)
	}
	if slices.Min(ids) != slices.Max(ids) {
		return 0, fmt.Errorf("within: process %d has not one %s but several: %v (Attr.Credential can say which)", t.pid,
			strings.ToLower(name), ids)
	}
	inside, err := t.inside(name, idMap, ids[:1])
	if err != nil {
		return 0, err
	}
	return inside[0], nil
}

// inside is what ids, as /proc shows them to us, are in the program's user namespace.
func (t *confinement) inside(name, idMap string, ids []uint32) ([]uint32, error) {
	if !t.isInside || len(ids) == 0 {
		return ids, nil
	}
	text, err := t.read(idMap)
	if err != nil {
		return nil, err
	}
	var inside []uint32
	for _, id := range ids {
		there, found := kernel.IDInside(text, id)
		if !found {
			return nil, fmt.Errorf("within: %s %d of process %d is nobody in its user namespace (Attr.Credential can say whom)",
				name, id, t.pid)
		}
		inside = append(inside, there)
	}
	return inside, nil
}

func (t *confinement) capabilities() error {
	if t.attr.Capabilities != nil || t.attr.KeepCaps {
		return nil
	}
	c := new(Capabilities)
	for _, set := range []struct {
		name string
		set  *uint64
	}{{"CapInh", &c.Inheritable}, {"CapPrm", &c.Permitted}, {"CapEff", &c.Effective}, {"CapBnd", &c.Bounding},
		{"CapAmb", &c.Ambient}} {
		bits, err := strconv.ParseUint(t.status[set.name], 16, 64)
		if err != nil {
			return t.unreadable(set.name)
		}
		*set.set = bits
	}
	// The kernel gives all of these to uid 0 when it executes a program (capabilities(7)). A process that has less of them
	// has given them up, or has securebits that keep the kernel from it, which are not taken.
	if t.attr.Credential != nil && t.attr.Credential.Uid == 0 {
		c.Bounding &= c.Permitted
		c.Inheritable &= c.Permitted
		c.Ambient &= c.Inheritable
	}
	t.attr.Capabilities = c
	return nil
}

// smallThings are no_new_privs and the umask.
func (t *confinement) smallThings() error {
	switch t.status["NoNewPrivs"] {
	case "0":
	case "1":
		t.attr.NoNewPrivs = true
	default:
		return t.unreadable("NoNewPrivs")
	}
	if t.attr.Umask != nil {
		return nil
	}
	mask, err := strconv.ParseUint(t.status["Umask"], 8, 32)
	if err != nil {
		return t.unreadable("Umask")
	}
	umask := int(mask)
	t.attr.Umask = &umask
	return nil
}

// limitNames are those of proc_pid_limits(5), by their number (<asm-generic/resource.h>).
var limitNames = []string{"Max cpu time", "Max file size", "Max data size", "Max stack size", "Max core file size",
	"Max resident set", "Max processes", "Max open files", "Max locked memory", "Max address space", "Max file locks",
	"Max pending signals", "Max msgqueue size", "Max nice priority", "Max realtime priority", "Max realtime timeout"}

func (t *confinement) limits() error {
	if t.attr.Rlimits != nil {
		return nil
	}
	text, err := t.read("limits")
	if err != nil {
		return err
	}
	for number, name := range limitNames {
		_, rest, found := strings.Cut(text, "\n"+name+" ")
		fields := strings.Fields(rest)
		if !found || len(fields) < 2 {
			return fmt.Errorf("within: the limits of process %d have no %q", t.pid, name)
		}
		l := Rlimit{Resource: limitNumber(number)}
		for i, value := range []*uint64{&l.Cur, &l.Max} {
			if *value, err = strconv.ParseUint(fields[i], 10, 64); fields[i] == "unlimited" {
				*value, err = ^uint64(0), nil // RLIM64_INFINITY
			}
			if err != nil {
				return fmt.Errorf("within: the limits of process %d say %s %q", t.pid, name, fields[i])
			}
		}
		var own syscall.Rlimit
		if syscall.Getrlimit(l.Resource, &own) == nil && own == l.Rlimit && l.Resource != syscall.RLIMIT_NOFILE {
			continue // the program has that one anyway
		}
		t.attr.Rlimits = append(t.attr.Rlimits, l)
	}
	return nil
}

// limitNumber is the number that the architecture has for the one that others have.
func limitNumber(number int) int {
	if strings.HasPrefix(runtime.GOARCH, "mips") && number >= 5 && number <= 9 {
		return [...]int{5: 7, 6: 8, 7: 5, 8: 9, 9: 6}[number] // <asm/resource.h>
	}
	return number
}

func (t *confinement) scheduling() error {
	if t.attr.CPUs == nil {
		var set [1024]uintptr
		n, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, uintptr(t.pid), unsafe.Sizeof(set),
			uintptr(unsafe.Pointer(&set)))
		if errno != 0 {
			return fmt.Errorf("within: failed to look at the processors of process %d: %w", t.pid, errno)
		}
		const bits = 8 * int(unsafe.Sizeof(set[0]))
		for cpu := range 8 * int(n) {
			if set[cpu/bits]>>(cpu%bits)&1 != 0 {
				t.attr.CPUs = append(t.attr.CPUs, cpu)
			}
		}
	}
	if t.attr.Scheduler != nil {
		return nil
	}
	theirs, err := schedulerOf(t.pid)
	if err != nil {
		return fmt.Errorf("within: failed to look at the scheduling of process %d: %w", t.pid, err)
	}
	if own, err := schedulerOf(0); err != nil || *own != *theirs {
		t.attr.Scheduler = theirs
	}
	return nil
}

func schedulerOf(pid int) (*Scheduler, error) {
	var attr schedAttr
	_, _, errno := syscall.RawSyscall6(sysSchedGetattr, uintptr(pid), uintptr(unsafe.Pointer(&attr)),
		unsafe.Sizeof(attr), 0, 0, 0)
	if errno != 0 {
		return nil, errno
	}
	s := &Scheduler{Policy: attr.policy, Flags: attr.flags, Nice: attr.nice, Priority: attr.priority}
	const schedDeadline = 6
	if attr.policy == schedDeadline { // else the runtime is the length of a slice, from Linux 6.12 on
		s.Runtime, s.Deadline, s.Period = attr.runtime, attr.deadline, attr.period
	}
	return s, nil
}

const oPath = 0x200000 // on every architecture that gc builds for

func (t *confinement) directories() error {
	if t.attr.Root == nil && t.attr.Chroot == "" {
		root, err := t.open("root", oPath|syscall.O_DIRECTORY)
		if err != nil {
			return err
		}
		t.attr.Root, t.files = root, append(t.files, root)
	}
	if t.attr.Dir == nil && t.proc.Dir == "" {
		dir, err := t.open("cwd", oPath|syscall.O_DIRECTORY)
		if err != nil {
			return err
		}
		t.attr.Dir, t.files = dir, append(t.files, dir)
	}
	return nil
}

// label takes the label of the process. A kernel without a module that has labels refuses to read it.
func (t *confinement) label() error {
	if t.attr.AppArmorProfile != "" || t.attr.SELinuxLabel != "" {
		return nil
	}
	clean := func(text string) string { return strings.TrimRight(text, "\x00\n") }
	isOn := func(path string) bool {
		_, err := os.Stat(path)
		return err == nil
	}
	if isOn("/sys/fs/selinux/enforce") {
		theirs, err := t.read("attr/current")
		if err != nil {
			return err
		}
		own, err := os.ReadFile("/proc/thread-self/attr/current")
		if err != nil || clean(string(own)) != clean(theirs) {
			t.attr.SELinuxLabel = clean(theirs)
		}
	}
	enabled, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	if err != nil || !strings.HasPrefix(string(enabled), "Y") {
		if t.attr.SELinuxLabel != "" {
			return nil
		}
		return t.noOtherLabel(clean)
	}
	name := "attr/current"
	if isOn("/proc/thread-self/attr/apparmor/current") {
		name = "attr/apparmor/current"
	}
	theirs, err := t.read(name)
	if err != nil {
		return err
	}
	own, err := os.ReadFile("/proc/thread-self/" + name)
	if err == nil && clean(string(own)) == clean(theirs) {
		return nil
	}
	profile := clean(theirs)
	if i := strings.LastIndex(profile, " ("); i > 0 {
		profile = profile[:i]
	}
	t.attr.AppArmorProfile = profile
	return nil
}

// noOtherLabel is for where neither module is known to be on, because /sys is not mounted, or the module is another
// one: a process must not lose its label without a word.
func (t *confinement) noOtherLabel(clean func(string) string) error {
	theirs, err := t.read("attr/current")
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOENT) { // no module has labels
		return nil
	}
	if err != nil {
		return err
	}
	own, err := os.ReadFile("/proc/thread-self/attr/current")
	if clean(theirs) == "" || err == nil && clean(string(own)) == clean(theirs) {
		return nil
	}
	return fmt.Errorf("within: process %d has the label %q of a security module that cannot be told from here "+
		"(Attr.AppArmorProfile or Attr.SELinuxLabel can say which to take)", t.pid, clean(theirs))
}

func (t *confinement) score() error {
	if t.proc.OOMScoreAdj != nil {
		return nil
	}
	text, err := t.read("oom_score_adj")
	if err != nil {
		return err
	}
	own, err := os.ReadFile("/proc/self/oom_score_adj")
	if err == nil && string(own) == text {
		return nil
	}
	score, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		return fmt.Errorf("within: oom_score_adj of process %d: %w", t.pid, err)
	}
	t.proc.OOMScoreAdj = &score
	return nil
}

// cgroups opens the cgroups of the process in all hierarchies in which it is in another one than the caller.
func (t *confinement) cgroups() error {
	if t.attr.Cgroups != nil {
		return nil
	}
	text, err := t.read("cgroup")
	if err != nil {
		return err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if slices.Contains(strings.Split(string(own), "\n"), line) {
			continue
		}
		fields := strings.SplitN(line, ":", 3)
		if len(fields) != 3 {
			return fmt.Errorf("within: a cgroup of process %d: %q", t.pid, line)
		}
		path := cgroupPath(string(mounts), fields[1], fields[2])
		if path == "" {
			return fmt.Errorf("within: no cgroup file system is mounted here that has %q, a cgroup of process %d "+
				"(Attr.Cgroups can say which to take)", line, t.pid)
		}
		folder, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("within: failed to open a cgroup of process %d: %w", t.pid, err)
		}
		t.attr.Cgroups, t.files = append(t.attr.Cgroups, folder), append(t.files, folder)
	}
	return nil
}

// cgroupPath is where a cgroup lies, by the lines of /proc/self/mountinfo, or empty. Version 2 has no controllers
// there.
func cgroupPath(mounts, controllers, cgroup string) string {
	for _, line := range strings.Split(mounts, "\n") {
		before, after, _ := strings.Cut(line, " - ")
		mount, kind := strings.Fields(before), strings.Fields(after)
		if len(mount) < 5 || len(kind) < 3 {
			continue
		}
		if controllers == "" && kind[0] != "cgroup2" || controllers != "" && kind[0] != "cgroup" {
			continue
		}
		options := strings.Split(kind[2], ",")
		isOther := func(controller string) bool { return !slices.Contains(options, controller) }
		if controllers != "" && slices.ContainsFunc(strings.Split(controllers, ","), isOther) {
			continue
		}
		below, found := strings.CutPrefix(cgroup, strings.TrimSuffix(unescaped(mount[3]), "/"))
		if found && (below == "" || below[0] == '/') && !strings.HasPrefix(below, "/..") {
			return filepath.Join(unescaped(mount[4]), below)
		}
	}
	return ""
}

// unescaped is a path of /proc/self/mountinfo, which has spaces as \040.
func unescaped(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}
