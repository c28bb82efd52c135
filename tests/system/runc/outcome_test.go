// SPDX-License-Identifier: Apache-2.0

package runc_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// An outcome is all that a scenario observed: facts by name. Values that differ from run to run (pids, inode numbers)
// have been put in relation to something that does not before they get here.
type outcome map[string]string

// with returns an outcome of both, the other's facts under prefix.
func (o outcome) with(prefix string, other outcome) outcome {
	for fact, value := range other {
		o[prefix+fact] = value
	}
	return o
}

// contains checks that every fact wanted was observed.
func (o outcome) contains(t *testing.T, want outcome) {
	t.Helper()
	for fact, value := range want {
		if got, ok := o[fact]; !ok || got != value {
			t.Errorf("%s: got %q, want %q", fact, got, value)
		}
	}
}

// equals checks that the reference observed the same facts.
func (o outcome) equals(t *testing.T, reference outcome) {
	t.Helper()
	for fact, value := range o {
		if want, ok := reference[fact]; !ok || value != want {
			t.Errorf("%s: got %q, the reference has %q", fact, value, want)
		}
	}
	for fact := range reference {
		if _, ok := o[fact]; !ok {
			t.Errorf("%s: nothing, the reference has %q", fact, reference[fact])
		}
	}
}

var namespaceTypes = []string{"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"}

// namespaces are those of one process: /proc links by type.
type namespaces struct {
	name  string
	links map[string]string
}

// namespacesOf reads a process's namespaces, to recognise them in others later.
func namespacesOf(t *testing.T, name string, pid int) namespaces {
	t.Helper()
	n := namespaces{name, make(map[string]string)}
	for _, typ := range namespaceTypes {
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, typ))
		if err != nil {
			t.Fatal(err)
		}
		n.links[typ] = link
	}
	return n
}

// look reports all that a process's /proc folder says about what nsexec and runc made of it.
// Namespaces are given by the first of known that has the same, else as "new".
func look(t *testing.T, pid int, known ...namespaces) outcome {
	t.Helper()
	o := make(outcome)
	read := func(name string) string {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}

	own := namespacesOf(t, "", pid)
	known = append([]namespaces{namespacesOf(t, "host", os.Getpid())}, known...)
	for _, typ := range namespaceTypes {
		o["ns "+typ] = "new"
		for _, n := range known {
			if own.links[typ] == n.links[typ] {
				o["ns "+typ] = n.name
				break
			}
		}
		if typ != "user" {
			o["owner "+typ] = "another user namespace"
			if ownerOf(t, pid, typ) == own.links["user"] {
				o["owner "+typ] = "its user namespace"
			}
		}
	}

	for _, line := range strings.Split(read("status"), "\n") {
		key, value, _ := strings.Cut(line, ":")
		switch key {
		case "Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs",
			"Seccomp", "SigBlk", "SigIgn", "SigCgt", "Umask", "Cpus_allowed":
			o[key] = strings.Join(strings.Fields(value), " ")
		}
	}
	for _, name := range []string{"uid_map", "gid_map", "setgroups", "oom_score_adj"} {
		o[name] = squeeze(read(name))
	}
	o["timens_offsets"] = squeeze(read("timens_offsets"))

	// The command name is in parentheses and may hold anything, so count from the last one.
	stat := read("stat")
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	session, terminal := fields[3], fields[4]
	o["session leader"] = fmt.Sprint(session == fmt.Sprint(pid))
	o["controlling terminal"] = fmt.Sprint(terminal != "0")

	var st unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/stat", pid), &st); err != nil {
		t.Fatal(err)
	}
	// Root's when the process is not dumpable, else its own.
	o["owner of /proc/pid"] = fmt.Sprintf("%d %d", st.Uid, st.Gid)

	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	o["open fds"] = fmt.Sprint(len(fds))
	return o
}

// ownerOf returns, in the form of a /proc link, the user namespace that owns a namespace.
func ownerOf(t *testing.T, pid int, typ string) string {
	t.Helper()
	file, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", pid, typ))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fd, err := unix.IoctlRetInt(int(file.Fd()), unix.NS_GET_USERNS)
	if err != nil {
		t.Fatalf("NS_GET_USERNS of %s: %v", file.Name(), err)
	}
	defer unix.Close(fd)
	link, err := os.Readlink(filepath.Join("/proc/self/fd", fmt.Sprint(fd)))
	if err != nil {
		t.Fatal(err)
	}
	return link
}

// squeeze puts a small table of /proc on one line: single blanks, lines divided by ", ".
func squeeze(table string) string {
	var lines []string
	for _, line := range strings.Split(strings.TrimSpace(table), "\n") {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, ", ")
}

// squeezeLines gives each line of a squeezed table its line back.
func squeezeLines(line string) string { return strings.ReplaceAll(line, ", ", "\n") }

// cutLastLine divides the last line from those before.
func cutLastLine(text string) (before, last string) {
	text = strings.TrimSuffix(text, "\n")
	at := strings.LastIndexByte(text, '\n') + 1
	return text[:at], text[at:]
}

// hostUptime returns the machine's /proc/uptime.
func hostUptime(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// seconds returns the first number of /proc/uptime.
func seconds(t *testing.T, uptime string) float64 {
	t.Helper()
	var s float64
	if _, err := fmt.Sscan(uptime, &s); err != nil {
		t.Errorf("%v in %q", err, uptime)
	}
	return s
}

func decodeJSON(text string, into any) error {
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("%w in %q", err, text)
	}
	return nil
}
