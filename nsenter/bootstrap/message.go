// SPDX-License-Identifier: Apache-2.0

//go:build go1.22

package bootstrap

import (
	"fmt"
	"strconv"
	"strings"
)

// Message is a parent's request.
type Message struct {
	Create Namespaces // new namespaces
	Join   []Join     // existing ones, at most one of each kind

	// UIDMap and GIDMap are those of a new user namespace; each must have a 0 inside. They are not sent without one.
	UIDMap, GIDMap []IDRange
	// UIDMapTool and GIDMapTool are the absolute paths of newuidmap(1) and newgidmap(1), which write
	// a map where the caller itself may not.
	UIDMapTool, GIDMapTool string

	// DropGroups: the init process gives up its supplementary groups.
	DropGroups bool
	// Rootless: the caller is not root, so that it may neither drop groups nor let a new user
	// namespace do so (user_namespaces(7) on /proc/PID/setgroups).
	Rootless bool

	OOMScoreAdj *int // from -1000 to 1000; nil leaves it as it is
	// TimeOffsets are those of a new time namespace. They are not sent without one.
	TimeOffsets []TimeOffset
}

// Join is a namespace to join.
type Join struct {
	Kind Namespaces // one
	Path string     // in the mount namespace, and relative to the cwd, of the launched process
}

// IDRange is a line of a map: Count ids from Inside on are those from Outside on outside.
type IDRange struct{ Inside, Outside, Count uint32 }

// Clock is a clock that a time namespace can offset.
type Clock string

// The clocks of time_namespaces(7).
const (
	Boottime  Clock = "boottime"
	Monotonic Clock = "monotonic"
)

// TimeOffset is how far a clock of a new time namespace is ahead. Nanoseconds are added to the seconds even where those
// are negative.
type TimeOffset struct {
	Clock       Clock  // the one that is ahead
	Seconds     int64  // may be negative
	Nanoseconds uint32 // less than a second
}

// InvalidError says why a message is refused. If the C++ core refuses it too, the text is that of the core.
type InvalidError struct {
	Text string // without a name of a package in front
}

// Error is Text.
func (e *InvalidError) Error() string { return e.Text }

func invalid(format string, arguments ...any) error {
	return &InvalidError{fmt.Sprintf(format, arguments...)}
}

// Validate says what is wrong with the message, as Encode does.
func (m *Message) Validate() error {
	_, err := m.Encode()
	return err
}

// checkFields refuses what the encoded form could not show, or what the kernel alone would refuse.
func (m *Message) checkFields() error {
	if unknown := m.Create &^ All; unknown != 0 {
		return invalid("CLONE_FLAGS has bits that are no namespace: %d", uint32(unknown))
	}
	for _, join := range m.Join {
		if !join.Kind.one() {
			return invalid("a namespace to join is not of one kind: %#x", uint32(join.Kind))
		}
		if i := strings.IndexAny(join.Path, ",\x00"); i >= 0 {
			return invalid("the path of the %v namespace has a %q inside, which NS_PATHS cannot carry: %q",
				join.Kind, join.Path[i], join.Path)
		}
	}
	for _, tool := range []struct{ name, path string }{
		{"UIDMAPPATH", m.UIDMapTool},
		{"GIDMAPPATH", m.GIDMapTool},
	} {
		if strings.IndexByte(tool.path, 0) >= 0 {
			return invalid("%s has a NUL inside", tool.name)
		}
	}
	if m.Create.Has(User) {
		if err := checkOverlaps("UIDMAP", m.UIDMap); err != nil {
			return err
		}
		if err := checkOverlaps("GIDMAP", m.GIDMap); err != nil {
			return err
		}
	}
	return checkTimeOffsets(m.TimeOffsets)
}

// checkOverlaps refuses ranges that go beyond the largest id, and ranges that meet, inside or outside.
func checkOverlaps(name string, ranges []IDRange) error {
	// The kernel takes the largest 32-bit number for "no id".
	const ids = 1<<32 - 1
	for i, r := range ranges {
		if uint64(r.Inside)+uint64(r.Count) > ids || uint64(r.Outside)+uint64(r.Count) > ids {
			return invalid("%s line %d goes beyond the largest id: %q", name, i+1, r.line())
		}
		for j, other := range ranges[:i] {
			if meet(r.Inside, r.Count, other.Inside, other.Count) {
				return invalid("%s lines %d and %d map the same id inside", name, j+1, i+1)
			}
			if meet(r.Outside, r.Count, other.Outside, other.Count) {
				return invalid("%s lines %d and %d map the same id outside", name, j+1, i+1)
			}
		}
	}
	return nil
}

func meet(a, aCount, b, bCount uint32) bool {
	return uint64(a) < uint64(b)+uint64(bCount) && uint64(b) < uint64(a)+uint64(aCount)
}

func checkTimeOffsets(offsets []TimeOffset) error {
	seen := make(map[Clock]bool)
	for _, o := range offsets {
		switch {
		case o.Clock != Boottime && o.Clock != Monotonic:
			return invalid("TIMENSOFFSET names an unknown clock: %q", string(o.Clock))
		case seen[o.Clock]:
			return invalid("TIMENSOFFSET names the clock %s twice", o.Clock)
		case o.Nanoseconds >= 1e9:
			return invalid("TIMENSOFFSET has %d nanoseconds for %s, a second or more", o.Nanoseconds, o.Clock)
		}
		seen[o.Clock] = true
	}
	return nil
}

func (r IDRange) line() string {
	return fmt.Sprintf("%d %d %d", r.Inside, r.Outside, r.Count)
}

func mapText(ranges []IDRange) string {
	var text strings.Builder
	for _, r := range ranges {
		text.WriteString(r.line() + "\n")
	}
	return text.String()
}

func offsetsText(offsets []TimeOffset) string {
	var text strings.Builder
	for _, o := range offsets {
		fmt.Fprintf(&text, "%s %d %d\n", o.Clock, o.Seconds, o.Nanoseconds)
	}
	return text.String()
}

// parseOffsets reads what the kernel takes for timens_offsets: one or two lines.
func parseOffsets(text string) ([]TimeOffset, error) {
	var offsets []TimeOffset
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return nil, invalid("TIMENSOFFSET has a line that is not \"clock seconds nanoseconds\": %q", line)
		}
		seconds, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return nil, invalid("TIMENSOFFSET has seconds that are no number: %q", fields[1])
		}
		nanoseconds, err := strconv.ParseUint(fields[2], 10, 32)
		if err != nil {
			return nil, invalid("TIMENSOFFSET has nanoseconds that are no number: %q", fields[2])
		}
		offsets = append(offsets, TimeOffset{Clock(fields[0]), seconds, uint32(nanoseconds)})
	}
	return offsets, checkTimeOffsets(offsets)
}
