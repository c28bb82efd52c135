// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/json"
	"strings"
)

// scenario is one launch by runc. Its config.json is the base below with the namespaces given, and
// then with patches laid over it (RFC 7396).
type scenario struct {
	name       string
	user       int    // runc runs as this uid and gid
	fixture    string // of package harness; its namespaces are at /mnt/ns
	namespaces string // types as the runtime specification names them, `type:path` to join
	patches    []string
	exec       []string // options of the exec that is captured, not nil; the container is pid 4711
}

const baseConfig = `{
	"ociVersion": "1.0.2",
	"process": {
		"user": {"uid": 0, "gid": 0},
		"args": ["/bin/busybox", "true"],
		"env": ["PATH=/bin"],
		"cwd": "/"
	},
	"root": {"path": "/mnt/rootfs"},
	"mounts": [
		{"destination": "/proc", "type": "proc", "source": "proc"},
		{"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}
	],
	"linux": {}
}`

const (
	stays  = `{"process": {"args": ["/bin/busybox", "sleep", "1000"]}}`
	oom300 = `{"process": {"oomScoreAdj": 300}}`
	usual  = "pid ipc uts mount network cgroup"
	mapped = `{"linux": {"uidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}], "gidMappings": ` +
		`[{"containerID": 0, "hostID": 100000, "size": 65536}]}}`
	oneID = `{"linux": {"uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}], "gidMappings": ` +
		`[{"containerID": 0, "hostID": 1000, "size": 1}]}}`
	subIDs = `{"linux": {"uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}, {"containerID": 1, "hostID": ` +
		`200000, "size": 65535}], "gidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}, {"containerID": 1, ` +
		`"hostID": 200000, "size": 65535}]}}`
	lines7 = `{"linux": {"uidMappings": [` + seven + `], "gidMappings": [` + seven + `]}}`
	seven  = `{"containerID": 0, "hostID": 100000, "size": 1}, {"containerID": 1, "hostID": 100010, "size": 1}, ` +
		`{"containerID": 2, "hostID": 100020, "size": 1}, {"containerID": 3, "hostID": 100030, "size": 1}, {"containerID": ` +
		`4, "hostID": 100040, "size": 1}, {"containerID": 5, "hostID": 100050, "size": 1}, {"containerID": 6, ` +
		`"hostID": 100060, "size": 1000}`
	offsets = `{"linux": {"timeOffsets": {"monotonic": {"secs": 3600, "nanosecs": 5}, "boottime": ` +
		`{"secs": 7200, "nanosecs": 0}}}}`
)

var scenarios = []scenario{
	{name: "run", namespaces: usual},
	{name: "run-host-net", namespaces: "pid ipc uts mount"},
	{name: "run-host-pid", namespaces: "ipc uts mount network"},
	{name: "run-mount-only", namespaces: "mount"},
	{name: "run-oom", namespaces: usual, patches: []string{`{"process": {"oomScoreAdj": 500}}`}},
	{name: "run-join-net", namespaces: "pid ipc uts mount network:/mnt/ns/net", fixture: "plain"},
	{name: "run-join-net-ipc-uts", namespaces: "pid mount cgroup network:/mnt/ns/net ipc:/mnt/ns/ipc uts:/mnt/ns/uts",
		fixture: "plain"},
	{name: "run-join-pid", namespaces: "ipc uts mount network pid:/proc/4711/ns/pid", fixture: "plain"},
	{name: "run-join-cgroup-time", namespaces: "pid ipc uts mount cgroup:/mnt/ns/cgroup time:/mnt/ns/time",
		fixture: "plain"},
	{name: "run-join-user-net", namespaces: "pid ipc uts mount user:/mnt/ns/user network:/mnt/ns/net", fixture: "user",
		patches: []string{mapped}},
	{name: "run-join-user-all", namespaces: "mount user:/mnt/ns/user network:/mnt/ns/net ipc:/mnt/ns/ipc " +
		"uts:/mnt/ns/uts pid:/mnt/ns/pid cgroup:/mnt/ns/cgroup", fixture: "user", patches: []string{mapped}},
	{name: "run-user", namespaces: usual + " user", patches: []string{mapped}},
	{name: "run-user-oom", namespaces: usual + " user", patches: []string{mapped, oom300}},
	{name: "run-user-seven-lines", namespaces: usual + " user", patches: []string{lines7}},
	{name: "run-user-join-net", namespaces: "pid ipc uts mount user network:/mnt/ns/net", fixture: "plain",
		patches: []string{mapped}},
	{name: "run-time", namespaces: usual + " time", patches: []string{offsets}},
	{name: "run-user-time", namespaces: usual + " time user", patches: []string{mapped, offsets}},
	{name: "rootless", user: 1000, namespaces: "pid ipc uts mount user", patches: []string{oneID}},
	{name: "rootless-subids", user: 1000, namespaces: "pid ipc uts mount user", patches: []string{subIDs}},
	{name: "exec", namespaces: usual, exec: []string{}},
	{name: "exec-host-net", namespaces: "pid ipc uts mount", exec: []string{}},
	{name: "exec-user", namespaces: usual + " user", patches: []string{mapped}, exec: []string{}},
	{name: "exec-time", namespaces: usual + " time", patches: []string{offsets}, exec: []string{}},
	{name: "exec-groups", namespaces: usual, exec: []string{"--additional-gids", "5"}},
	{name: "rootless-exec", user: 1000, namespaces: "pid ipc uts mount user", patches: []string{oneID}, exec: []string{}},
}

type object = map[string]interface{}

// config is the scenario's config.json.
func (s scenario) config() []byte {
	var config object
	must(json.Unmarshal([]byte(baseConfig), &config))
	var namespaces []object
	for _, word := range strings.Fields(s.namespaces) {
		ns := object{"type": word}
		if i := strings.IndexByte(word, ':'); i > 0 {
			ns["type"], ns["path"] = word[:i], word[i+1:]
		}
		namespaces = append(namespaces, ns)
	}
	config["linux"].(object)["namespaces"] = namespaces
	patches := s.patches
	if s.exec != nil {
		patches = append([]string{stays}, patches...)
	}
	for _, text := range patches {
		var patch object
		must(json.Unmarshal([]byte(text), &patch))
		merge(config, patch)
	}
	text, err := json.MarshalIndent(config, "", "\t")
	must(err)
	return text
}

func merge(into, patch object) {
	for key, value := range patch {
		if inner, ok := value.(object); ok {
			if there, ok := into[key].(object); ok {
				merge(there, inner)
				continue
			}
		}
		into[key] = value
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
