// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package vectors reads the table in tests/conformance/vectors and compares its outcomes with launches.
package vectors

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"nsenter-cpp.example/tests/internal/harness"
)

// Line is one `key: value`.
type Line struct{ Key, Value string }

// Section is a `[name]` with its lines.
type Section struct {
	Name  string
	Where string // file:line
	Lines []Line
}

// All are the values of a key.
func (s *Section) All(key string) []string {
	var values []string
	for _, line := range s.Lines {
		if line.Key == key {
			values = append(values, line.Value)
		}
	}
	return values
}

// Get is the first value of a key, or what to take if there is none.
func (s *Section) Get(key, otherwise string) string {
	if values := s.All(key); len(values) > 0 {
		return values[0]
	}
	return otherwise
}

var (
	sectionLine = regexp.MustCompile(`^\[([a-z0-9-]+)\]$`)
	keyLine     = regexp.MustCompile(`^([a-z-]+):(?: (.*\S))?$`)
)

// ReadSections reads a file of the grammar in tests/conformance/vectors/README.md.
func ReadSections(path string) ([]Section, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var sections []Section
	for i, line := range strings.Split(string(text), "\n") {
		where := fmt.Sprintf("%s:%d", filepath.Base(path), i+1)
		if line == "" || line[0] == '#' {
			continue
		}
		if m := sectionLine.FindStringSubmatch(line); m != nil {
			sections = append(sections, Section{Name: m[1], Where: where})
			continue
		}
		m := keyLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("%s: neither a section, nor key: value, nor a comment: %q", where, line)
		}
		if len(sections) == 0 {
			return nil, fmt.Errorf("%s: before the first section", where)
		}
		last := &sections[len(sections)-1]
		last.Lines = append(last.Lines, Line{m[1], m[2]})
	}
	return sections, nil
}

// Vector is a section of the table.
type Vector struct {
	Section
	Message []byte
}

// keys that a vector may have; those with false only once.
var keys = map[string]bool{
	"about": false, "page": false, "protocol": false, "captured": false, "branch": false, "beyond-runc": false,
	"env": true, "user": false, "fixture": false, "setup": true, "send": true, "end": false,
	"hex": true, "fill": true,
	"parse-error": false, "parsed": true, "parse": false,
	"outcome": false, "fatal": false, "stderr": false, "status": false, "initpipe": false,
	"log": true, "no-log": true,
	"ns": true, "uid": false, "gid": false, "groups": false, "comm": false, "oom": false,
	"dumpable": false, "uid-map": true, "gid-map": true, "setgroups": false, "time": false,
	"cwd": false, "fds": false, "probe": false, "spied": false,
	"terminal": false, "init-status": false,
}

var byteComment = regexp.MustCompile(`^(.*?)\s+# \S.*$`)

// Read reads every *.vectors file of a folder.
func Read(dir string) ([]Vector, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.vectors"))
	if err != nil {
		return nil, err
	}
	sort.Strings(paths)
	var table []Vector
	seen := make(map[string]string)
	for _, path := range paths {
		sections, err := ReadSections(path)
		if err != nil {
			return nil, err
		}
		for _, section := range sections {
			if other := seen[section.Name]; other != "" {
				return nil, fmt.Errorf("%s: %s stands at %s already", section.Where, section.Name, other)
			}
			seen[section.Name] = section.Where
			v := Vector{Section: section}
			if err := v.check(); err != nil {
				return nil, fmt.Errorf("%s: [%s]: %w", section.Where, section.Name, err)
			}
			table = append(table, v)
		}
	}
	if len(table) == 0 {
		return nil, fmt.Errorf("%s holds no vectors", dir)
	}
	return table, nil
}

// check reads the message, and refuses what the grammar allows but no reader would understand.
func (v *Vector) check() error {
	counts := make(map[string]int)
	for _, line := range v.Lines {
		repeats, known := keys[line.Key]
		if !known {
			return fmt.Errorf("unknown key %s", line.Key)
		}
		if counts[line.Key]++; counts[line.Key] > 1 && !repeats {
			return fmt.Errorf("%s stands twice", line.Key)
		}
		if line.Key != "hex" && line.Key != "fill" {
			continue
		}
		m := byteComment.FindStringSubmatch(line.Value)
		if m == nil {
			return fmt.Errorf("bytes without a comment: %s", line.Value)
		}
		fields := strings.Fields(m[1])
		count := 1
		if line.Key == "fill" {
			if len(fields) != 2 {
				return fmt.Errorf("not COUNT BYTE: %s", m[1])
			}
			var err error
			if count, err = strconv.Atoi(fields[0]); err != nil || count < 1 {
				return fmt.Errorf("no count: %s", fields[0])
			}
			fields = fields[1:]
		}
		piece, err := hex.DecodeString(strings.Join(fields, ""))
		if err != nil {
			return fmt.Errorf("%s: %w", m[1], err)
		}
		for ; count > 0; count-- {
			v.Message = append(v.Message, piece...)
		}
	}
	if v.Get("about", "") == "" {
		return fmt.Errorf("no about")
	}
	said := 0
	for _, key := range []string{"parse-error", "parsed", "parse"} {
		if counts[key] > 0 {
			said++
		}
	}
	if (len(v.Message) > 0) != (said == 1) {
		return fmt.Errorf("one of parse-error, parsed and parse goes with a message, and only with one")
	}
	if v.Broken() && v.Expected() != "silent" && v.ErrorText() == "" {
		return fmt.Errorf("broken, and says nothing")
	}
	if v.Expected() == "untouched" && v.Get("end", "") != "shut" && len(v.Message) > 0 {
		return fmt.Errorf("untouched needs end: shut, or the program never ends")
	}
	return nil
}

// Expected is the kind of outcome: ok, error, untouched or silent.
func (v *Vector) Expected() string {
	kind := "ok"
	stderr := v.Get("stderr", "any")
	if v.Get("fatal", "") != "" || stderr != "any" || v.Get("parse-error", "") != "" {
		kind = "error"
	}
	return v.Get("outcome", kind)
}

// Broken vectors are those that end in an error.
func (v *Vector) Broken() bool { return v.Expected() == "error" || v.Expected() == "silent" }

// Captured vectors were sent by a stock runc.
func (v *Vector) Captured() bool { return v.Get("captured", "") != "" }

// AsksForTime says whether a message that is right asks for a time namespace.
func (v *Vector) AsksForTime() bool {
	for _, field := range v.All("parsed") {
		var flags uint64
		if n, _ := fmt.Sscanf(field, "clone-flags 0x%x", &flags); n == 1 && flags&harness.CloneNewTime != 0 ||
			strings.HasPrefix(field, "namespace time ") {
			return true
		}
	}
	return false
}

// Lacks is what this machine does not have that a vector needs, or "".
func (v *Vector) Lacks() string {
	if page := v.Get("page", ""); page != "" && page != strconv.Itoa(os.Getpagesize()) {
		return "pages of " + page + " bytes"
	}
	for _, word := range v.All("setup") {
		if word != "subids" {
			continue
		}
		for _, tool := range []string{"/usr/bin/newuidmap", "/usr/bin/newgidmap"} {
			if !bytes.Contains(v.Message, []byte(tool+"\x00")) {
				continue
			}
			if _, err := exec.LookPath(tool); err != nil {
				return tool + " (Debian: uidmap)"
			}
		}
	}
	return ""
}

// Protocol is netlink, classic or none.
func (v *Vector) Protocol() string { return v.Get("protocol", "netlink") }

// ErrorText is the text that the whole flow's fatal line has.
func (v *Vector) ErrorText() string {
	if text := v.Get("parse-error", ""); text != "" && len(v.All("fatal"))+len(v.All("stderr")) == 0 {
		return "nsexec[PID]: " + text
	}
	return v.Get("fatal", v.Get("stderr", "")) // stderr alone is never "any"
}

func escape(text string) string { return strings.ReplaceAll(text, "\n", `\n`) }
