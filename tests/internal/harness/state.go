// SPDX-License-Identifier: Apache-2.0

//go:build linux

package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"

	"nsenter-cpp.example/internal/kernel"
)

// processState is the letter of /proc/PID/stat, 0 if there is no such process.
func processState(pid int) byte {
	fields := statFields(pid)
	if fields == nil {
		return 0
	}
	return fields[0][0]
}

// statFields are those of /proc/PID/stat from the third, the state, on.
func statFields(pid int) []string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	// The name is in parentheses and may hold anything.
	return strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
}

// status returns a line of /proc/PID/status, blanks made single.
func statusLine(pid int, key string) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return err.Error()
	}
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, key+":") {
			return strings.Join(strings.Fields(line[len(key)+1:]), " ")
		}
	}
	return "no " + key
}

// ids folds the four equal numbers of a Uid or Gid line into one.
func ids(pid int, key string) string {
	four := strings.Fields(statusLine(pid, key))
	for _, id := range four {
		if id != four[0] {
			return strings.Join(four, " ")
		}
	}
	return four[0]
}

func procText(pid int, name string) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text))
}

func procLines(pid int, name string) []string {
	var lines []string
	for _, line := range strings.Split(procText(pid, name), "\n") {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return lines
}

// timeOffsets are the seconds of /proc/PID/timens_offsets: monotonic, boottime.
func timeOffsets(pid int) string {
	if !HasNamespace("time") {
		return "0 0"
	}
	seconds := make(map[string]string)
	for _, line := range procLines(pid, "timens_offsets") {
		if fields := strings.Fields(line); len(fields) == 3 {
			seconds[fields[0]] = fields[1]
		}
	}
	return seconds["monotonic"] + " " + seconds["boottime"]
}

// whereIs says which namespace of a type process pid is in, seen from the supervisor. Where the kernel
// has none of the type, all are in one.
func whereIs(pid int, name string) string {
	if !HasNamespace(name) {
		return "own"
	}
	theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, name))
	if err != nil {
		return err.Error()
	}
	if own, _ := os.Readlink("/proc/self/ns/" + name); own == theirs {
		return "own"
	}
	if fixture, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", FixturePid, name)); fixture == theirs {
		return "joined"
	}
	if owner := ownedBy(pid, name); owner != "" {
		return "new, " + owner
	}
	return "new"
}

// OwnersAreTold tells whether the kernel says who owns a namespace. A 64-bit kernel before 6.13 does not say it to a
// 32-bit process (ioctl_ns(2)). There a namespace of another owner passes for one that is right.
func OwnersAreTold() bool {
	file, err := os.Open("/proc/self/ns/uts")
	if err != nil {
		return true // the vectors say why
	}
	defer file.Close()
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), kernel.NsGetNstype, 0)
	return errno != syscall.ENOTTY
}

// ownedBy is empty if the namespace belongs to the user namespace that process pid is in. (A user
// namespace belongs to its parent.)
func ownedBy(pid int, name string) string {
	if name == "user" {
		return ""
	}
	file, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", pid, name))
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	fd, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), kernel.NsGetUserns, 0)
	if errno == syscall.ENOTTY && !OwnersAreTold() {
		return ""
	}
	if errno != 0 {
		return "of an owner out of reach: " + errno.Error()
	}
	defer syscall.Close(int(fd))
	var owner, theirs syscall.Stat_t
	if err := syscall.Fstat(int(fd), &owner); err != nil {
		return err.Error()
	}
	if err := syscall.Stat(fmt.Sprintf("/proc/%d/ns/user", pid), &theirs); err != nil {
		return err.Error()
	}
	if owner.Ino != theirs.Ino {
		return "of another user namespace"
	}
	return ""
}

// describeFDs lists what the fds of process pid are, from 0 to the highest; names translates the
// targets of the links. It leaves out files that the Go runtime itself opens after nsexec.
func describeFDs(pid int, names map[string]string) string {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err.Error()
	}
	targets := make(map[int]string)
	highest := -1
	for _, entry := range entries {
		fd, _ := strconv.Atoi(entry.Name())
		target, err := os.Readlink(filepath.Join(dir, entry.Name()))
		if err != nil || target == "anon_inode:[eventpoll]" || target == "anon_inode:[eventfd]" {
			continue
		}
		if name, ok := names[target]; ok {
			target = name
		}
		targets[fd] = target
		if fd > highest {
			highest = fd
		}
	}
	list := make([]string, highest+1)
	for fd := range list {
		list[fd] = "-"
		if target, ok := targets[fd]; ok {
			list[fd] = target
		}
	}
	return strings.Join(list, " ")
}

// stateOf looks at the init process, which waits for the parent's document meanwhile.
func stateOf(pid int, fdNames map[string]string, console uint64) *State {
	stat := statFields(pid)
	if stat == nil {
		return nil
	}
	s := &State{
		NS:       make(map[string]string),
		UID:      ids(pid, "Uid"),
		GID:      ids(pid, "Gid"),
		Groups:   statusLine(pid, "Groups"),
		Comm:     procText(pid, "comm"),
		Oom:      procText(pid, "oom_score_adj"),
		Dumpable: "no",
		UIDMap:   procLines(pid, "uid_map"),
		GIDMap:   procLines(pid, "gid_map"),
		Time:     timeOffsets(pid),
		FDs:      describeFDs(pid, fdNames),
	}
	s.Setgroups = procText(pid, "setgroups")
	s.PPid, _ = strconv.Atoi(stat[1])
	s.Session = stat[3] == strconv.Itoa(pid)
	tty, _ := strconv.ParseUint(stat[4], 10, 64)
	s.Terminal = console != 0 && tty == console
	if s.Groups == "" {
		s.Groups = "none"
	}
	for _, key := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		s.Caps = strings.TrimPrefix(s.Caps+" "+statusLine(pid, key), " ")
	}
	for _, name := range append([]string{"pid_for_children", "time_for_children"}, NamespaceTypes...) {
		s.NS[name] = whereIs(pid, name)
	}
	var err error
	if s.Cwd, err = os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); err != nil {
		s.Cwd = err.Error()
	}
	// The files below /proc/PID belong to the process's user if it is dumpable, to root if not.
	var environ syscall.Stat_t
	if err := syscall.Stat(fmt.Sprintf("/proc/%d/environ", pid), &environ); err != nil {
		s.Dumpable = err.Error()
	} else if strconv.Itoa(int(environ.Uid)) == s.UID {
		s.Dumpable = "yes"
	}
	return s
}

// processes lists the living processes of the supervisor's pid namespace but itself, the fixture and r.first.
func (r *run) processes() []string {
	return allProcesses(func(pid int) string {
		if state := processState(pid); state == 0 || state == 'Z' || state == 'X' || pid == r.first {
			return ""
		}
		return "process " + procText(pid, "comm")
	})
}

// zombies lists its children that have ended and that nobody has waited for, without the fixture.
func zombies() []string {
	return allProcesses(func(pid int) string {
		stat := statFields(pid)
		if stat == nil || stat[0] != "Z" || stat[1] != strconv.Itoa(os.Getpid()) {
			return ""
		}
		return "zombie " + procText(pid, "comm")
	})
}

// allProcesses lists what is said of the processes of the supervisor's pid namespace but itself and the fixture.
func allProcesses(say func(pid int) string) []string {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return []string{err.Error()}
	}
	var list []string
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == 1 || pid == FixturePid {
			continue
		}
		if said := say(pid); said != "" {
			list = append(list, said)
		}
	}
	sort.Strings(list)
	return list
}
