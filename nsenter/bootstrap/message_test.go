// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package bootstrap

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// onlyZero is the least map there is.
var onlyZero = []IDRange{{0, 0, 1}}

type refused struct {
	m    Message
	want string
}

// refusedMessages are those that Encode refuses, for all the reasons there are.
func refusedMessages() []refused {
	tooMany := make([]IDRange, 341)
	for i := range tooMany {
		tooMany[i] = IDRange{uint32(i), uint32(i), 1}
	}
	beyond := 1001
	return []refused{
		{Message{Create: 1}, "CLONE_FLAGS has bits that are no namespace: 1"},
		{Message{Join: []Join{{Net | UTS, "/a"}}}, "a namespace to join is not of one kind: 0x44000000"},
		{Message{Join: []Join{{0, "/a"}}}, "a namespace to join is not of one kind: 0x0"},
		{Message{Join: []Join{{Net, ""}}}, "NS_PATHS has no path for the net namespace"},
		{Message{Join: []Join{{Net, "/a"}, {Net, "/b"}}}, "NS_PATHS names the net namespace twice"},
		{
			Message{Join: []Join{{Net, "/a,mnt:/b"}}},
			`the path of the net namespace has a ',' inside, which NS_PATHS cannot carry: "/a,mnt:/b"`,
		},
		{
			Message{Join: []Join{{Net, "/a\x00b"}}},
			`the path of the net namespace has a '\x00' inside, which NS_PATHS cannot carry: "/a\x00b"`,
		},
		{
			Message{Join: []Join{{Net, "/" + strings.Repeat("a", 4095)}}},
			"NS_PATHS has a path of 4096 bytes for the net namespace, at most 4095 are possible",
		},
		{
			Message{Create: User, Join: []Join{{User, "/a"}}, UIDMap: onlyZero, GIDMap: onlyZero},
			"a user namespace cannot be joined and created at once",
		},
		{Message{Create: User, GIDMap: onlyZero}, "a new user namespace needs a UIDMAP with uid 0 inside"},
		{Message{Create: User, UIDMap: onlyZero}, "a new user namespace needs a GIDMAP with gid 0 inside"},
		{
			Message{Create: User, UIDMap: []IDRange{{0, 5, 0}}, GIDMap: onlyZero},
			`UIDMAP line 1 is not "inside outside count": "0 5 0"`,
		},
		{Message{Create: User, UIDMap: tooMany, GIDMap: onlyZero}, "UIDMAP has 341 lines, the kernel takes 340"},
		{
			Message{Create: User, UIDMap: []IDRange{{0, 5, 10}, {9, 50, 1}}, GIDMap: onlyZero},
			"UIDMAP lines 1 and 2 map the same id inside",
		},
		{
			Message{Create: User, UIDMap: onlyZero, GIDMap: []IDRange{{0, 5, 10}, {20, 14, 1}}},
			"GIDMAP lines 1 and 2 map the same id outside",
		},
		{
			Message{Create: User, UIDMap: []IDRange{{0, 4294967290, 6}}, GIDMap: onlyZero},
			`UIDMAP line 1 goes beyond the largest id: "0 4294967290 6"`,
		},
		{
			Message{Create: User, UIDMap: onlyZero, GIDMap: onlyZero, UIDMapTool: "newuidmap"},
			`UIDMAPPATH is no absolute path: "newuidmap"`,
		},
		{Message{GIDMapTool: "/a\x00"}, "GIDMAPPATH has a NUL inside"},
		{Message{OOMScoreAdj: &beyond}, `OOM_SCORE_ADJ is no number from -1000 to 1000: "1001"`},
		{Message{TimeOffsets: []TimeOffset{{"realtime", 1, 0}}}, `TIMENSOFFSET names an unknown clock: "realtime"`},
		{
			Message{TimeOffsets: []TimeOffset{{Boottime, 1, 0}, {Boottime, 1, 0}}},
			"TIMENSOFFSET names the clock boottime twice",
		},
		{
			Message{TimeOffsets: []TimeOffset{{Boottime, 1, 1e9}}},
			"TIMENSOFFSET has 1000000000 nanoseconds for boottime, a second or more",
		},
		{
			Message{Create: User, UIDMap: onlyZero, GIDMap: onlyZero, UIDMapTool: "/" + strings.Repeat("a", 1<<16)},
			"UIDMAPPATH is 65537 bytes long, a message has room for 65530",
		},
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, c := range refusedMessages() {
		t.Run(c.want, func(t *testing.T) {
			err := c.m.Validate()
			var invalid *InvalidError
			if !errors.As(err, &invalid) || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestDecodeRefusesOffsetsThatTheKernelRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"boottime 1\n":                 `TIMENSOFFSET has a line that is not "clock seconds nanoseconds": "boottime 1"`,
		"boottime 1s 0\n":              `TIMENSOFFSET has seconds that are no number: "1s"`,
		"boottime 1 -1\n":              `TIMENSOFFSET has nanoseconds that are no number: "-1"`,
		"boottime 1 0\nboottime 1 0\n": "TIMENSOFFSET names the clock boottime twice",
	} {
		e := encoder{bytes: withHeader(nil)}
		e.number(attrCloneFlags, uint32(Time))
		e.text(attrTimeOffsets, "TIMENSOFFSET", text)
		message := withHeader(e.bytes[headerSize:])
		if err := Check(message); err != nil {
			t.Errorf("the core hands %q over: %v", text, err)
		}
		if _, err := Decode(message); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestNamespacesHaveTheNamesOfProc(t *testing.T) {
	if got, want := All.String(), "cgroup,ipc,mnt,net,pid,time,user,uts"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, kind := range All.Each() {
		if Kind(kind.String()) != kind || !kind.one() {
			t.Errorf("%v is not one kind with a name", kind)
		}
	}
	if Kind("mount") != 0 || Namespaces(0).String() != "" {
		t.Error("a name for nothing")
	}
}

func ExampleMessage_Encode() {
	m := Message{Create: User | Net}
	_, err := m.Encode()
	fmt.Println(err)
	// Output: a new user namespace needs a UIDMAP with uid 0 inside
}
