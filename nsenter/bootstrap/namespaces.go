// SPDX-License-Identifier: Apache-2.0

//go:build go1.22

package bootstrap

import (
	"math/bits"
	"strings"
)

// Namespaces is a set of kinds of namespaces. The values are the CLONE_NEW* bits of clone(2).
type Namespaces uint32

// The kinds of namespaces there are.
const (
	Time   Namespaces = 0x00000080
	Mount  Namespaces = 0x00020000
	Cgroup Namespaces = 0x02000000
	UTS    Namespaces = 0x04000000
	IPC    Namespaces = 0x08000000
	User   Namespaces = 0x10000000
	PID    Namespaces = 0x20000000
	Net    Namespaces = 0x40000000

	All = Time | Mount | Cgroup | UTS | IPC | User | PID | Net
)

// kinds are the names in NS_PATHS, which are those in /proc/PID/ns too.
var kinds = []struct {
	name string
	kind Namespaces
}{
	{"cgroup", Cgroup},
	{"ipc", IPC},
	{"mnt", Mount},
	{"net", Net},
	{"pid", PID},
	{"time", Time},
	{"user", User},
	{"uts", UTS},
}

// Kind is the kind of namespace with the name that it has in /proc/PID/ns, or 0.
func Kind(name string) Namespaces {
	for _, k := range kinds {
		if k.name == name {
			return k.kind
		}
	}
	return 0
}

// Has tells whether all of others are in the set.
func (n Namespaces) Has(others Namespaces) bool { return n&others == others }

// Each lists the kinds in the set, by name.
func (n Namespaces) Each() []Namespaces {
	var each []Namespaces
	for _, k := range kinds {
		if n.Has(k.kind) {
			each = append(each, k.kind)
		}
	}
	return each
}

// one tells whether the set is exactly one kind.
func (n Namespaces) one() bool { return n&^All == 0 && bits.OnesCount32(uint32(n)) == 1 }

// String is the names of the kinds in the set, joined by commas. For one kind it is its name in /proc/PID/ns.
func (n Namespaces) String() string {
	var names []string
	for _, k := range kinds {
		if n.Has(k.kind) {
			names = append(names, k.name)
		}
	}
	return strings.Join(names, ",")
}
