// SPDX-License-Identifier: Apache-2.0

//go:build go1.22

package bootstrap

import (
	"encoding/binary"
	"math"
	"os"
	"strconv"
	"strings"
)

// wire is a message as the C++ parser leaves it: texts are taken apart only so far that they can be refused. This file
// follows cpp/netlink_message.cc and cpp/id_map.cc, function by function; a test compares the two.
type wire struct {
	cloneFlags               Namespaces
	joins                    []Join
	uidMap, gidMap           string
	uidMapTool, gidMapTool   string
	setgroup, rootless       bool
	oomScoreAdj, timeOffsets string
	uidRanges, gidRanges     []IDRange // of a new user namespace only
}

const (
	pathMax     = 4096
	maxMapLines = 340
	maxIDDigits = 10
)

// Check tells whether the C++ core accepts the message, and if not, why, with the text of the core (which it cuts after
// 1,000 bytes). Any error is an *InvalidError.
func Check(message []byte) error {
	_, err := parse(message)
	return err
}

// Decode reads a message. It refuses more than Check: time offsets for a new time namespace that the kernel would
// refuse. (The core passes these on as they are.) It leaves out fields that the core ignores: maps without a new user
// namespace and offsets without a new time namespace.
func Decode(message []byte) (*Message, error) {
	w, err := parse(message)
	if err != nil {
		return nil, err
	}
	m := &Message{
		Create:     w.cloneFlags,
		Join:       w.joins,
		UIDMap:     w.uidRanges,
		GIDMap:     w.gidRanges,
		DropGroups: w.setgroup,
		Rootless:   w.rootless,
	}
	if m.Create.Has(User) {
		m.UIDMapTool, m.GIDMapTool = w.uidMapTool, w.gidMapTool
	}
	if w.oomScoreAdj != "" {
		adjustment, err := strconv.Atoi(w.oomScoreAdj)
		if err != nil {
			return nil, err // not after parse
		}
		m.OOMScoreAdj = &adjustment
	}
	if m.Create.Has(Time) && w.timeOffsets != "" {
		if m.TimeOffsets, err = parseOffsets(w.timeOffsets); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// parseHeader is the length of the whole message, from its first 16 bytes.
func parseHeader(header []byte) (uint32, error) {
	size := binary.NativeEndian.Uint32(header)
	if kind := binary.NativeEndian.Uint16(header[4:]); kind != messageType {
		return 0, invalid("the bootstrap message has type %d, not %d", kind, messageType)
	}
	if size < headerSize {
		return 0, invalid("the bootstrap message has length %d, less than its header of %d", size, headerSize)
	}
	if size > sizeLimit {
		return 0, invalid("the bootstrap message has length %d, more than %d", size, sizeLimit)
	}
	return size, nil
}

func parse(message []byte) (*wire, error) {
	if len(message) < headerSize {
		return nil, invalid("the bootstrap message has no header")
	}
	size, err := parseHeader(message)
	if err != nil {
		return nil, err
	}
	if uint64(size) != uint64(len(message)) {
		return nil, invalid("the bootstrap message has length %d and is %d long", size, len(message))
	}
	w := &wire{}
	for rest := message[headerSize:]; len(rest) > 0; {
		if len(rest) < attributeHdr {
			return nil, invalid("the bootstrap message ends with %d bytes that are no attribute", len(rest))
		}
		length := int(binary.NativeEndian.Uint16(rest))
		kind := binary.NativeEndian.Uint16(rest[2:])
		if length < attributeHdr {
			return nil, invalid("attribute %d has length %d, less than its header of %d", kind, length, attributeHdr)
		}
		if length > len(rest) {
			return nil, invalid("attribute %d has length %d, but only %d bytes are left of the bootstrap message",
				kind, length, len(rest))
		}
		if err := w.attribute(kind, rest[attributeHdr:length]); err != nil {
			return nil, err
		}
		// The padding of the last attribute may be missing.
		rest = rest[min(len(rest), (length+3)/4*4):]
	}
	return w, w.checkUserNamespace()
}

func (w *wire) attribute(kind uint16, value []byte) (err error) {
	switch kind {
	case attrCloneFlags:
		w.cloneFlags, err = parseCloneFlags(value)
	case attrNamespacePaths:
		var list string
		if list, err = parseString("NS_PATHS", value); err == nil {
			err = w.namespacePaths(list)
		}
	case attrUIDMap:
		w.uidMap, err = parseString("UIDMAP", value)
	case attrGIDMap:
		w.gidMap, err = parseString("GIDMAP", value)
	case attrSetgroup:
		w.setgroup, err = parseBoolean("SETGROUP", value)
	case attrOOMScoreAdj:
		if w.oomScoreAdj, err = parseString("OOM_SCORE_ADJ", value); err == nil {
			err = checkOOMScoreAdj(w.oomScoreAdj)
		}
	case attrRootlessEUID:
		w.rootless, err = parseBoolean("ROOTLESS_EUID", value)
	case attrUIDMapPath:
		w.uidMapTool, err = parseToolPath("UIDMAPPATH", value)
	case attrGIDMapPath:
		w.gidMapTool, err = parseToolPath("GIDMAPPATH", value)
	case attrTimeOffsets:
		if isMountSources(value) {
			return invalid("the parent is runc 1.1 (attribute 27290 is its MOUNT_SOURCES), this nsexec " +
				"serves 1.2.0 and newer")
		}
		w.timeOffsets, err = parseString("TIMENSOFFSET", value)
	default:
		err = invalid("unknown attribute type %d in the bootstrap message", kind)
	}
	return err
}

func parseString(name string, value []byte) (string, error) {
	if len(value) == 0 || value[len(value)-1] != 0 {
		return "", invalid("%s does not end with a NUL", name)
	}
	text := string(value[:len(value)-1])
	if strings.IndexByte(text, 0) >= 0 {
		return "", invalid("%s has a NUL inside", name)
	}
	return text, nil
}

func parseBoolean(name string, value []byte) (bool, error) {
	switch len(value) {
	case 1, 2, 4:
		for _, b := range value {
			if b != 0 {
				return true, nil
			}
		}
		return false, nil
	}
	return false, invalid("%s is a boolean of %d bytes, not 1, 2 or 4", name, len(value))
}

func parseCloneFlags(value []byte) (Namespaces, error) {
	if len(value) != 4 {
		return 0, invalid("CLONE_FLAGS is %d bytes long, not 4", len(value))
	}
	flags := Namespaces(binary.NativeEndian.Uint32(value))
	if unknown := flags &^ All; unknown != 0 {
		return 0, invalid("CLONE_FLAGS has bits that are no namespace: %d", uint32(unknown))
	}
	return flags, nil
}

func (w *wire) namespacePaths(list string) error {
	w.joins = nil // a later attribute replaces an earlier one
	if list == "" {
		return invalid("NS_PATHS is empty")
	}
	var joined Namespaces
	for _, entry := range strings.Split(list, ",") {
		name, path, found := strings.Cut(entry, ":")
		if !found {
			return invalid("NS_PATHS has an entry without a colon: \"%s\"", entry)
		}
		kind := Kind(name)
		if kind == 0 {
			return invalid("NS_PATHS names an unknown namespace type: \"%s\"", name)
		}
		if path == "" {
			return invalid("NS_PATHS has no path for the %s namespace", name)
		}
		if len(path) >= pathMax {
			return invalid("NS_PATHS has a path of %d bytes for the %s namespace, at most %d are possible",
				len(path), name, pathMax-1)
		}
		if joined.Has(kind) {
			return invalid("NS_PATHS names the %s namespace twice", name)
		}
		joined |= kind
		w.joins = append(w.joins, Join{kind, path})
	}
	return nil
}

func checkOOMScoreAdj(text string) error {
	if text == "" {
		return nil
	}
	digits := strings.TrimPrefix(text, "-")
	// With a leading zero the kernel would take it for octal.
	valid := digits != "" && (digits[0] != '0' || len(digits) == 1) && isDecimal(digits)
	if valid {
		number, err := strconv.Atoi(digits)
		valid = err == nil && number <= 1000
	}
	if !valid {
		return invalid("OOM_SCORE_ADJ is no number from -1000 to 1000: \"%s\"", text)
	}
	return nil
}

func isDecimal(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return true
}

func parseToolPath(name string, value []byte) (string, error) {
	path, err := parseString(name, value)
	if err == nil && !strings.HasPrefix(path, "/") {
		err = invalid("%s is no absolute path: \"%s\"", name, path)
	}
	return path, err
}

// isMountSources: runc 1.1 used the number of TIMENSOFFSET for a list of paths, some of them empty.
func isMountSources(value []byte) bool {
	return len(value) > 0 && value[0] == '/' || len(value) > 1 && value[0] == 0
}

// checkUserNamespace makes the checks that need more than one attribute.
func (w *wire) checkUserNamespace() (err error) {
	if !w.cloneFlags.Has(User) {
		return nil
	}
	for _, join := range w.joins {
		if join.Kind == User {
			return invalid("a user namespace cannot be joined and created at once")
		}
	}
	if w.uidRanges, err = parseIDMap("UIDMAP", w.uidMap); err != nil {
		return err
	}
	if w.gidRanges, err = parseIDMap("GIDMAP", w.gidMap); err != nil {
		return err
	}
	if !mapsZero(w.uidRanges) {
		return invalid("a new user namespace needs a UIDMAP with uid 0 inside")
	}
	if !mapsZero(w.gidRanges) {
		return invalid("a new user namespace needs a GIDMAP with gid 0 inside")
	}
	return nil
}

func mapsZero(ranges []IDRange) bool {
	for _, r := range ranges {
		if r.Inside == 0 {
			return true
		}
	}
	return false
}

func parseIDMap(name, text string) ([]IDRange, error) {
	if page := os.Getpagesize(); len(text) >= page {
		return nil, invalid("%s is %d bytes long, the kernel takes less than a page of %d", name, len(text), page)
	}
	if text == "" {
		return nil, nil
	}
	var ranges []IDRange
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		r, ok := parseIDRange(line)
		if !ok {
			return nil, invalid("%s line %d is not \"inside outside count\": \"%s\"", name, len(ranges)+1, line)
		}
		ranges = append(ranges, r)
	}
	if len(ranges) > maxMapLines {
		return nil, invalid("%s has %d lines, the kernel takes %d", name, len(ranges), maxMapLines)
	}
	return ranges, nil
}

func parseIDRange(line string) (r IDRange, ok bool) {
	fields := strings.FieldsFunc(line, func(c rune) bool { return c == ' ' || c == '\t' })
	if len(fields) != 3 {
		return r, false
	}
	for i, id := range []*uint32{&r.Inside, &r.Outside, &r.Count} {
		if len(fields[i]) > maxIDDigits || !isDecimal(fields[i]) {
			return r, false
		}
		number, err := strconv.ParseUint(fields[i], 10, 64)
		if err != nil || number > math.MaxUint32 {
			return r, false
		}
		*id = uint32(number)
	}
	return r, r.Count != 0
}
