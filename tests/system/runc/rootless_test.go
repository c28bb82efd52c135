// SPDX-License-Identifier: Apache-2.0

package runc_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// The user who runs runc, known in the test's mount namespace only. Its subordinate ids are
// scattered, so that map lines cannot be merged.
const (
	userName = "nsenter-test"
	userID   = 54321
)

var subordinate = []specs.LinuxIDMapping{
	{ContainerID: 1, HostID: 700000, Size: 10},
	{ContainerID: 11, HostID: 710000, Size: 20},
	{ContainerID: 31, HostID: 720000, Size: 1},
	{ContainerID: 32, HostID: 730000, Size: 1},
	{ContainerID: 33, HostID: 740000, Size: 7},
	{ContainerID: 40, HostID: 750000, Size: 60},
	{ContainerID: 100, HostID: 760000, Size: 900},
	{ContainerID: 1000, HostID: 770000, Size: 64536},
}

// becomeUser gives the calling test a mount namespace where the user exists, and returns what a
// process needs to run as that user. The test's thread stays in that namespace and ends with it.
func becomeUser(t *testing.T) *syscall.Credential {
	t.Helper()
	requireTools(t, "newuidmap", "newgidmap")
	for _, tool := range []string{"newuidmap", "newgidmap"} {
		path, err := command(".", nil, "sh", "-c", "command -v "+tool)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		var caps [64]byte
		n, _ := unix.Getxattr(path, "security.capability", caps[:])
		if info.Mode()&os.ModeSetuid == 0 && n <= 0 {
			skip(t, "this test needs %s set-uid root or with file capabilities", path)
		}
	}

	dir, err := os.MkdirTemp(scratch, "etc-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var ranges strings.Builder
	for _, m := range subordinate {
		fmt.Fprintf(&ranges, "%s:%d:%d\n", userName, m.HostID, m.Size)
	}
	files := map[string]string{
		"passwd": fmt.Sprintf("root:x:0:0:root:/root:/bin/sh\n%s:x:%d:%d::/nonexistent:/bin/sh\n", userName, userID, userID),
		"group":  fmt.Sprintf("root:x:0:\n%s:x:%d:\n", userName, userID),
		"subuid": ranges.String(),
		"subgid": ranges.String(),
	}

	runtime.LockOSThread() // never unlocked: the thread must not run anything else
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount(path, filepath.Join("/etc", name), "", unix.MS_BIND, ""); err != nil {
			if os.IsNotExist(err) {
				skip(t, "this test needs /etc/%s to mount its own over it", name)
			}
			t.Fatal(err)
		}
	}
	return &syscall.Credential{Uid: userID, Gid: userID, Groups: []uint32{userID, 4711}}
}

// Maps that the user may not write: newuidmap and newgidmap do, with five lines each, which is the most
// that runc's C code can do (the arguments of six fill its array, without an end), and with nine.
func TestRootlessMappingTools(t *testing.T) {
	five := append(append([]specs.LinuxIDMapping{}, subordinate[:3]...), subordinate[len(subordinate)-1])
	t.Run("five lines", func(t *testing.T) { mappingTools(t, onEach, five) })
	t.Run("nine lines", func(t *testing.T) { mappingTools(t, onOurs, subordinate) })
}

// onOurs is onEach for what the stock runc cannot do: there it has to fail as it is known to, so that
// this exception goes when runc can.
func onOurs(t *testing.T, want outcome, scenario func(t *testing.T, v *variant) outcome) {
	t.Helper()
	var reference outcome
	onVariants(t, func(t *testing.T, v *variant) {
		if !v.ours {
			c := newContainer(t, v, becomeUser(t), "true", withMaps(subordinate))
			r := c.runc("run", containerID)
			if r.status != 1 || !strings.Contains(r.stderr, "failed to execv: Bad address") {
				t.Errorf("the stock runc no longer fails as it did: %+v", r)
			}
			return
		}
		got := scenario(t, v)
		got.contains(t, want)
		if reference == nil {
			reference = got
		}
		got.equals(t, reference)
	})
}

// withMaps maps root to the user, and other ids to subordinate ones.
func withMaps(others []specs.LinuxIDMapping) func(*specs.Spec) {
	return func(s *specs.Spec) {
		own := specs.LinuxIDMapping{ContainerID: 0, HostID: userID, Size: 1}
		s.Linux.UIDMappings = append([]specs.LinuxIDMapping{own}, others...)
		s.Linux.GIDMappings = append([]specs.LinuxIDMapping{own}, others...)
	}
}

type driver func(t *testing.T, want outcome, scenario func(t *testing.T, v *variant) outcome)

func mappingTools(t *testing.T, run driver, others []specs.LinuxIDMapping) {
	lines := fmt.Sprintf("0 %d 1", userID)
	for _, m := range others {
		lines += fmt.Sprintf(", %d %d %d", m.ContainerID, m.HostID, m.Size)
	}
	want := outcome{
		"status": "8",
		"stdout": "uid=0 gid=0 groups=65534,0\n", // the groups that cannot be dropped, as nobody's

		"init uid_map":   lines,
		"init gid_map":   lines,
		"init setgroups": "allow",
		"init Uid":       fmt.Sprintf("%d %[1]d %[1]d %[1]d", userID),
		"init Gid":       fmt.Sprintf("%d %[1]d %[1]d %[1]d", userID),
		"init ns user":   "new",
		"init ns pid":    "new",
		"init owner pid": "its user namespace",

		"exec status":      "9",
		"exec stdout":      "uid=0 gid=0 groups=65534,0\n",
		"exec ns user":     "container",
		"exec ns pid":      "container",
		"exec uid_map":     lines,
		"as user Uid":      "770005 770005 770005 770005",
		"as user Gid":      "720000 720000 720000 720000",
		"terminal stdout":  "/dev/pts/0\n",
		"terminal status":  "0",
		"state":            "running",
		"stopped by force": "true",
	}
	run(t, want, func(t *testing.T, v *variant) outcome {
		return rootless(t, v, becomeUser(t), withMaps(others))
	})
}

// A map of nothing but one's own id, without any tool.
func TestRootlessSingleMap(t *testing.T) {
	want := outcome{
		"status": "8",
		"stdout": "uid=0 gid=0 groups=65534,0\n",

		"init uid_map":   fmt.Sprintf("0 %d 1", userID),
		"init gid_map":   fmt.Sprintf("0 %d 1", userID),
		"init setgroups": "deny",
		"init Uid":       fmt.Sprintf("%d %[1]d %[1]d %[1]d", userID),
		"init Groups":    fmt.Sprintf("4711 %d", userID),
		"init ns user":   "new",

		"exec status":      "9",
		"exec ns user":     "container",
		"terminal stdout":  "/dev/pts/0\n",
		"state":            "running",
		"stopped by force": "true",
	}
	onEach(t, want, func(t *testing.T, v *variant) outcome {
		return rootless(t, v, becomeUser(t))
	})
}

// rootless runs a container and processes in it, all as the user.
func rootless(t *testing.T, v *variant, user *syscall.Credential, edits ...func(*specs.Spec)) outcome {
	t.Helper()
	o := newContainer(t, v, user, "id; exit 8", edits...).runc("run", containerID).outcome()
	c := newContainer(t, v, user, stayScript, edits...)
	pid := c.detach()
	o["state"], _ = c.state()
	container := namespacesOf(t, "container", pid)
	o.with("init ", look(t, pid))
	o.with("exec ", c.runc("exec", containerID, "/bin/sh", "-c", "id; exit 9").outcome())
	o.with("exec ", look(t, c.execDetached(), container))
	o.with("terminal ", c.onTerminal("exec", "--tty", containerID, "tty").outcome())
	if len(edits) != 0 { // other ids than 0 exist
		o.with("as user ", look(t, c.execDetached("--user", "1005:31"), container))
	}
	c.must("delete", "--force", containerID)
	o["stopped by force"] = fmt.Sprint(c.runc("state", containerID).status != 0)
	return o
}
