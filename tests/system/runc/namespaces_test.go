// SPDX-License-Identifier: Apache-2.0

package runc_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// withUserNamespace adds a new user namespace with several map lines, whose root is 100000.
func withUserNamespace(s *specs.Spec) {
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	s.Linux.UIDMappings = []specs.LinuxIDMapping{
		{ContainerID: 0, HostID: 100000, Size: 1000},
		{ContainerID: 1000, HostID: 300000, Size: 500},
		{ContainerID: 2000, HostID: 400000, Size: 1},
	}
	s.Linux.GIDMappings = []specs.LinuxIDMapping{
		{ContainerID: 0, HostID: 200000, Size: 1000},
		{ContainerID: 1000, HostID: 500000, Size: 500},
	}
}

// withTimeNamespace adds a new time namespace with offsets.
func withTimeNamespace(s *specs.Spec) {
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
	s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{
		"monotonic": {Secs: 7881, Nanosecs: 2718281},
		"boottime":  {Secs: 1337, Nanosecs: 3141519},
	}
}

// withNamespace sets where a namespace comes from; "" creates it.
func withNamespace(typ specs.LinuxNamespaceType, path string) func(*specs.Spec) {
	return func(s *specs.Spec) {
		var kept []specs.LinuxNamespace
		for _, n := range s.Linux.Namespaces {
			if n.Type != typ {
				kept = append(kept, n)
			}
		}
		s.Linux.Namespaces = append(kept, specs.LinuxNamespace{Type: typ, Path: path})
	}
}

const offsetsOut = "monotonic 7881 2718281, boottime 1337 3141519"

func TestUserNamespace(t *testing.T) {
	want := outcome{
		"status": "4",
		"stdout": "uid=0 gid=0\n",

		"init uid_map":   "0 100000 1000, 1000 300000 500, 2000 400000 1",
		"init gid_map":   "0 200000 1000, 1000 500000 500",
		"init setgroups": "allow",
		"init Uid":       "100000 100000 100000 100000",
		"init Gid":       "200000 200000 200000 200000",
		"init Groups":    "",
		"init ns user":   "new",
		"init owner net": "its user namespace",
		"init owner ipc": "its user namespace",
		"init owner mnt": "its user namespace",
		"init owner pid": "its user namespace",
		"init owner uts": "its user namespace",

		"exec ns user":     "container",
		"exec ns net":      "container",
		"exec Uid":         "100000 100000 100000 100000",
		"exec as user Uid": "300007 300007 300007 300007",
		"exec as user Gid": "500008 500008 500008 500008",
	}
	onEach(t, want, func(t *testing.T, v *variant) outcome {
		o := newContainer(t, v, nil, "id; exit 4", withUserNamespace).runc("run", containerID).outcome()
		c := newContainer(t, v, nil, stayScript, withUserNamespace)
		pid := c.detach()
		container := namespacesOf(t, "container", pid)
		o.with("init ", look(t, pid))
		o.with("exec ", look(t, c.execDetached(), container))
		return o.with("exec as user ", look(t, c.execDetached("--user", "1007:1008", "--additional-gids", "1009"), container))
	})
}

// Namespaces that another process made and that only it is in.
func TestJoinedNamespaces(t *testing.T) {
	for _, tt := range []struct {
		name  string
		types uintptr
	}{
		{"net", syscall.CLONE_NEWNET},
		{"net and user", syscall.CLONE_NEWNET | syscall.CLONE_NEWUSER},
		{"all but mnt and pid", joinable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := outcome{"status": "6", "init ns mnt": "new", "init ns pid": "new", "exec ns mnt": "container",
				"exec ns pid": "container"}
			for _, typ := range namespaceTypes {
				if cloneFlags[typ]&tt.types == 0 {
					continue
				}
				want["init ns "+typ] = "holder"
				want["exec ns "+typ] = "holder"
				if typ == "user" {
					want["init uid_map"] = "0 100000 65536"
					want["init Uid"] = "100000 100000 100000 100000"
					want["init owner mnt"] = "its user namespace"
				}
			}
			onEach(t, want, func(t *testing.T, v *variant) outcome {
				pid := holder(t, joinable)
				edits := joining(pid, tt.types)
				o := newContainer(t, v, nil, "exit 6", edits...).runc("run", containerID).outcome()
				c := newContainer(t, v, nil, stayScript, edits...)
				known := []namespaces{namespacesOf(t, "holder", pid)}
				init := c.detach()
				o.with("init ", look(t, init, known...))
				known = append(known, namespacesOf(t, "container", init))
				return o.with("exec ", look(t, c.execDetached(), known...))
			})
		})
	}
}

// cloneFlags are of the types that can be joined, by the names in /proc.
var cloneFlags = map[string]uintptr{
	"cgroup": syscall.CLONE_NEWCGROUP,
	"ipc":    syscall.CLONE_NEWIPC,
	"net":    syscall.CLONE_NEWNET,
	"pid":    syscall.CLONE_NEWPID,
	"user":   syscall.CLONE_NEWUSER,
	"uts":    syscall.CLONE_NEWUTS,
}

// joinable are the types that can be joined without a look at what is mounted.
const joinable = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC |
	syscall.CLONE_NEWUTS | syscall.CLONE_NEWCGROUP

// joining has a container join those of a process's namespaces that are of the types.
func joining(pid int, types uintptr) []func(*specs.Spec) {
	var edits []func(*specs.Spec)
	for _, typ := range namespaceTypes {
		if cloneFlags[typ]&types == 0 {
			continue
		}
		name := specs.LinuxNamespaceType(typ)
		if typ == "net" {
			name = specs.NetworkNamespace
		}
		edits = append(edits, withNamespace(name, fmt.Sprintf("/proc/%d/ns/%s", pid, typ)))
	}
	return edits
}

// holder starts a process with new namespaces of the types, and returns its pid.
func holder(t *testing.T, types uintptr) int {
	t.Helper()
	cmd := exec.Command(busybox(), "sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: types}
	if types&syscall.CLONE_NEWUSER != 0 {
		maps := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 100000, Size: 65536}}
		cmd.SysProcAttr.UidMappings, cmd.SysProcAttr.GidMappings = maps, maps
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

func TestTimeNamespace(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*specs.Spec)
	}{
		{"without a user namespace", func(*specs.Spec) {}},
		{"with a user namespace", withUserNamespace},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := outcome{
				"run status":          "0",
				"run stdout":          squeezeLines(offsetsOut),
				"run later":           "true",
				"init ns time":        "new",
				"init timens_offsets": offsetsOut,
				"exec ns time":        "container",
				"exec timens_offsets": offsetsOut,
				"exec stdout":         squeezeLines(offsetsOut),
				"exec later":          "true",
			}
			onEach(t, want, func(t *testing.T, v *variant) outcome {
				if _, err := os.Stat("/proc/self/timens_offsets"); err != nil {
					skip(t, "this test needs time namespaces: %v", err)
				}
				o := make(outcome)
				note := func(prefix string, r result) {
					offsets, uptime := cutLastLine(r.stdout)
					o.with(prefix, result{r.status, squeezeLines(squeeze(offsets)), r.stderr}.outcome())
					// Uptime is of the boottime clock: 1,337 s ahead of the machine's.
					o[prefix+"later"] = fmt.Sprint(seconds(t, uptime)-seconds(t, hostUptime(t)) >= 1330)
				}
				script := "cat /proc/self/timens_offsets /proc/uptime"
				note("run ", newContainer(t, v, nil, script, tt.edit, withTimeNamespace).runc("run", containerID))
				c := newContainer(t, v, nil, stayScript, tt.edit, withTimeNamespace)
				pid := c.detach()
				note("exec ", c.runc("exec", containerID, "/bin/sh", "-c", script))
				o.with("init ", look(t, pid))
				return o.with("exec ", look(t, c.execDetached(), namespacesOf(t, "container", pid)))
			})
		})
	}
}

// An exec joins namespaces by path and has none to create, with or without a working directory that
// exists in the container only.
func TestExecElsewhere(t *testing.T) {
	want := outcome{"status": "0", "stdout": "/tmp/here\n", "missing status": "255"}
	onEach(t, want, func(t *testing.T, v *variant) outcome {
		c := newContainer(t, v, nil, stayScript)
		if err := os.Mkdir(filepath.Join(c.bundle(), "rootfs", "tmp", "here"), 0o755); err != nil {
			t.Fatal(err)
		}
		c.detach()
		o := c.runc("exec", "--cwd", "/tmp/here", containerID, "/bin/sh", "-c", "pwd").outcome()
		missing := c.runc("exec", containerID, "/bin/missing")
		return o.with("missing ", missing.outcome())
	})
}
