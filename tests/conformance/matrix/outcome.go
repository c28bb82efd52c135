// SPDX-License-Identifier: Apache-2.0

//go:build linux

package matrix

import (
	"sort"
	"strings"
	"syscall"

	"nsenter-cpp.example/tests/internal/harness"
	"nsenter-cpp.example/tests/internal/vectors"
)

// outcome is what is compared: all fields of a success, few of a failure.
type outcome struct {
	ok     bool
	fields vectors.Fields
}

func newOutcome(o *harness.Outcome) outcome {
	var fromTable vectors.Vector // a vector that expects nothing in particular
	fields := fromTable.Got(o)
	// runc's init process can fail after the reply.
	if o.Init != nil && strings.HasPrefix(o.Stdout, "nsexec returned\n") {
		return outcome{true, fields}
	}
	failure := vectors.Fields{"error": errorOf(o)}
	for _, name := range []string{"hang", "left", "status", "initpipe", "untouched", "bad-log"} {
		failure[name] = fields[name]
	}
	return outcome{false, failure}
}

// errorOf is the errno that a launch failed with; the text, where it names none. (runc goes on talking
// after the line that matters.)
func errorOf(o *harness.Outcome) string {
	text := o.Stderr
	if len(o.Fatal) > 0 {
		text = o.Fatal[0]
	}
	last := text[strings.LastIndex(text, ": ")+1:]
	for errno := syscall.Errno(1); errno < 134; errno++ {
		if strings.EqualFold(strings.TrimSpace(last), errno.Error()) {
			return errno.Error()
		}
	}
	return strings.TrimSpace(text)
}

func (o *outcome) kind() string {
	if o.ok {
		return "an init process"
	}
	return "fails: " + o.fields["error"]
}

// compare returns the differences between ours and theirs, by field.
func compare(ours, theirs outcome) []vectors.Difference {
	if ours.ok != theirs.ok {
		return []vectors.Difference{{Field: "outcome", Want: ours.kind(), Got: theirs.kind()}}
	}
	var differences []vectors.Difference
	for field, value := range ours.fields {
		if other := theirs.fields[field]; other != value {
			differences = append(differences, vectors.Difference{Field: field, Want: value, Got: other})
		}
	}
	sort.Slice(differences, func(i, j int) bool { return differences[i].Field < differences[j].Field })
	return differences
}
