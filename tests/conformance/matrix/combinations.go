// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package matrix launches combinations of namespaces to join and to create with this project's nsexec and
// with runc's C code, and compares what comes of both. See differences.txt.
package matrix

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
	"unsafe"

	"nsenter-cpp.example/tests/internal/harness"
)

// types but user, which is a setting of its own: for most callers all else depends on it.
var types = []string{"cgroup", "ipc", "mnt", "net", "pid", "time", "uts"}

var cloneFlags = map[string]uint32{
	"cgroup": 0x02000000, "ipc": 0x08000000, "mnt": 0x00020000, "net": 0x40000000,
	"pid": 0x20000000, "time": 0x00000080, "user": 0x10000000, "uts": 0x04000000,
}

// how is what is done with a namespace type.
type how int

const (
	own how = iota // neither
	created
	joined
	both // joined, then created
)

var hows = []string{"own", "new", "joined", "both"}

func (h how) String() string { return hows[h] }

func (h how) creates() bool { return h == created || h == both }
func (h how) joins() bool   { return h == joined || h == both }

// caller is who launches.
type caller struct {
	name     string
	id       int
	setup    []string
	fixture  string // joined, where no user namespace is
	userNS   string // joined, where a user namespace is
	idMap    string
	tools    bool // has newuidmap and newgidmap
	setgroup bool
	rootless bool
	oom      string
}

var callers = []caller{
	{name: "root", fixture: "plain", userNS: "user", idMap: "0 100000 65536\n", oom: "500"},
	{
		name: "rootless", id: 1000, fixture: "rootless", userNS: "rootless",
		idMap: "0 1000 1\n", rootless: true, oom: "600",
	},
	{
		name: "rootless with tools", id: 1000, setup: []string{"subids"}, fixture: "rootless",
		userNS: "rootless", idMap: "0 1000 1\n1 200000 65535\n", tools: true, setgroup: true,
		rootless: true, oom: "600",
	},
}

// combination is one cell of the matrix.
type combination struct {
	caller   *caller
	set      string // the name of a set that a runtime uses; empty: one of all combinations
	what     map[string]how
	setgroup bool
}

func (c *combination) name() string {
	if c.set != "" {
		return c.caller.name + ": " + c.set
	}
	var parts []string
	for _, name := range append([]string{"user"}, types...) {
		if h := c.what[name]; h != own {
			parts = append(parts, name+" "+h.String())
		}
	}
	if len(parts) == 0 {
		parts = []string{"nothing"}
	}
	return c.caller.name + ": " + strings.Join(parts, ", ")
}

// sets are what runtimes ask for: the namespaces that are new, and those that are joined.
var sets = []struct{ name, created, joined string }{
	{"runc spec", "pid net ipc uts mnt cgroup", ""},
	{"runc spec --rootless", "pid ipc uts mnt user cgroup", ""},
	{"runc exec", "", "ipc uts net pid mnt cgroup"},
	{"runc exec, all eight", "", "user ipc uts net pid mnt cgroup time"},
	{"docker", "mnt uts ipc net pid cgroup", ""},
	{"docker, no CAP_SETGID", "mnt uts ipc net pid cgroup", ""},
	{"docker --userns-remap", "mnt uts ipc net pid cgroup user", ""},
	{"docker --network=host --pid=host", "mnt uts ipc cgroup", ""},
	{"docker --network=container", "mnt uts ipc pid cgroup", "net"},
	{"docker, own time", "mnt uts ipc net pid cgroup time", ""},
	{"kubernetes sandbox", "mnt uts ipc pid", "net"},
	{"kubernetes container", "mnt pid cgroup", "ipc uts net"},
	{"kubernetes shareProcessNamespace", "mnt cgroup", "ipc uts net pid"},
	{"kubernetes hostNetwork, hostPID", "mnt cgroup", "ipc uts"},
	{"kubernetes hostUsers=false", "mnt pid cgroup", "user ipc uts net"},
}

// combinations of one caller with one setting of the user namespace.
func combinations(c *caller, user how) []combination {
	var list []combination
	add := func(what map[string]how) {
		what["user"] = user
		list = append(list, combination{caller: c, what: what})
	}
	add(map[string]how{})
	for i, first := range types {
		for _, h := range []how{created, joined, both} {
			add(map[string]how{first: h})
		}
		for _, second := range types[i+1:] {
			for _, h := range pairHows {
				for _, g := range pairHows {
					add(map[string]how{first: h, second: g})
				}
			}
		}
	}
	return list
}

// pairHows are those of pairs: that both does what its two parts do is seen of each type alone.
var pairHows = []how{created, joined}

// allCombinations in the order in which they are printed.
func allCombinations() []combination {
	var list []combination
	for i := range callers {
		c := &callers[i]
		for _, user := range []how{own, created, joined} {
			list = append(list, combinations(c, user)...)
		}
		list = append(list, combination{caller: c, what: map[string]how{"user": both}})
		for _, set := range sets {
			what := make(map[string]how)
			for _, name := range strings.Fields(set.created) {
				what[name] = created
			}
			for _, name := range strings.Fields(set.joined) {
				what[name] = joined
			}
			list = append(list, combination{
				caller: c, set: set.name, what: what,
				setgroup: strings.Contains(set.name, "no CAP_SETGID"),
			})
		}
	}
	return list
}

// possible says that the kernel allows it. A process that has joined a pid namespace cannot create another. A
// process that is not root can join namespaces that belong to the joined user namespace, and create namespaces that
// will belong to the new one.
func (c *combination) possible() bool {
	if c.what["pid"] == both || c.what["user"] == both {
		return false
	}
	if !c.caller.rootless || c.what["user"] == joined {
		return true
	}
	for _, h := range c.what {
		if h.joins() {
			return false
		}
	}
	return c.what["user"] == created
}

// launchCase is the launch of a combination, as runc's Go side asks for it.
func (c *combination) launchCase(program string) harness.Case {
	fixture := c.caller.fixture
	if c.what["user"].joins() {
		fixture = c.caller.userNS
	}
	return harness.Case{
		Program: program,
		Env:     []string{"_LIBCONTAINER_INITPIPE=3", "_LIBCONTAINER_LOGPIPE=4", "PROBE_DUMPABLE=1"},
		UID:     c.caller.id, GID: c.caller.id,
		Fixture: fixture, Setup: c.caller.setup,
		Message:  c.message(),
		Order:    harness.ReadFirst,
		Deadline: 20 * time.Second,
	}
}

// Attributes of the bootstrap message: docs/protocol.md.
const (
	bootstrap    = 62000
	attrFlags    = 27281
	attrPaths    = 27282
	attrUIDMap   = 27283
	attrGIDMap   = 27284
	attrSetgroup = 27285
	attrOom      = 27286
	attrRootless = 27287
	attrUIDTool  = 27288
	attrGIDTool  = 27289
	attrOffsets  = 27290
)

func (c *combination) message() []byte {
	var m message
	var flags uint32
	var paths []string
	for _, name := range append([]string{"user"}, types...) {
		if c.what[name].creates() {
			flags |= cloneFlags[name]
		}
		if c.what[name].joins() {
			paths = append(paths, fmt.Sprintf("%s:/proc/%d/ns/%s", name, harness.FixturePid, name))
		}
	}
	m.number(attrFlags, flags)
	if len(paths) > 0 {
		m.text(attrPaths, strings.Join(paths, ","))
	}
	if c.what["user"].creates() {
		if c.caller.tools {
			m.text(attrUIDTool, "/usr/bin/newuidmap")
			m.text(attrGIDTool, "/usr/bin/newgidmap")
		}
		m.text(attrUIDMap, c.caller.idMap)
		m.text(attrGIDMap, c.caller.idMap)
	}
	if c.what["user"].creates() && c.caller.setgroup || c.setgroup {
		m.number(attrSetgroup, 1)
	}
	m.text(attrOom, c.caller.oom)
	if c.caller.rootless {
		m.number(attrRootless, 1)
	}
	if c.what["time"].creates() {
		m.text(attrOffsets, "monotonic 500 0\nboottime 1000 0\n")
	}
	return m.bytes()
}

// message is a bootstrap message in the byte order of this machine.
type message struct{ attributes bytes.Buffer }

var order = func() binary.ByteOrder {
	one := uint16(1)
	if *(*byte)(unsafe.Pointer(&one)) == 1 {
		return binary.LittleEndian
	}
	return binary.BigEndian
}()

func (m *message) attribute(kind uint16, value []byte) {
	var header [4]byte
	order.PutUint16(header[:2], uint16(4+len(value)))
	order.PutUint16(header[2:], kind)
	m.attributes.Write(header[:])
	m.attributes.Write(value)
	for m.attributes.Len()%4 != 0 {
		m.attributes.WriteByte(0)
	}
}

func (m *message) text(kind uint16, value string) { m.attribute(kind, append([]byte(value), 0)) }

func (m *message) number(kind uint16, value uint32) {
	var bytes [4]byte
	order.PutUint32(bytes[:], value)
	m.attribute(kind, bytes[:])
}

func (m *message) bytes() []byte {
	var header [16]byte
	order.PutUint32(header[0:4], uint32(len(header)+m.attributes.Len()))
	order.PutUint16(header[4:6], bootstrap)
	return append(header[:], m.attributes.Bytes()...)
}
