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

// preloadThread gives the calling test a mount namespace where every program that is dynamically linked has a second
// thread before it is at main: /etc/ld.so.preload names a library that starts one, as those of monitoring agents do.
// The test's thread stays in that namespace and ends with it. Before becomeUser, whose mounts it would hide.
func preloadThread(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp(scratch, "preload-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	library := filepath.Join(dir, "thread.so")
	source := filepath.Join(repoRoot(), "tests", "system", "surroundings", "testdata", "thread.cc")
	// Of a thread that has not run yet when the process is cloned, the clone's libc thinks that it is about to. Its
	// setresuid waits for that, for ever: in runc's C code, and in Go, which calls it in programs with cgo.
	if _, err := command(dir, nil, "g++", "-std=c++20", "-fPIC", "-shared", "-DWAIT=1", "-o", library, source,
		"-pthread"); err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile("/etc/ld.so.preload")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	etc := filepath.Join(dir, "etc")
	if err := os.Mkdir(etc, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(etc, "ld.so.preload"), []byte(string(list)+"\n"+library+"\n"),
		0o644); err != nil {
		t.Fatal(err)
	}

	runtime.LockOSThread() // never unlocked: the thread must not run anything else
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		t.Fatal(err)
	}
	// Most machines have no such file, to mount another over.
	if err := unix.Mount("overlay", "/etc", "overlay", 0, "lowerdir="+etc+":/etc"); err != nil {
		if err == unix.ENODEV {
			skip(t, "this test needs a kernel with overlayfs")
		}
		t.Fatal(err)
	}
	threads, err := command(dir, nil, "grep", "^Threads:", "/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(strings.Fields(threads), " "); got != "Threads: 2" {
		t.Fatalf("a program has %q, want two", got)
	}
}

// A process with threads cannot join or create a user, mount or time namespace: whoever does it has to be another. The
// variants that are statically linked have no threads here, and have to do the same.
func TestPreloadedThread(t *testing.T) {
	five := append(append([]specs.LinuxIDMapping{}, subordinate[:3]...), subordinate[len(subordinate)-1])
	for _, tt := range []struct {
		name     string
		rootless bool
		holder   uintptr // the namespaces of a process that the container joins
		edits    []func(*specs.Spec)
		want     outcome
	}{
		{
			name: "no user namespace",
			want: outcome{"init ns user": "host", "init ns pid": "new", "init Uid": "0 0 0 0", "exec ns pid": "container"},
		},
		{
			name:  "user namespace with maps",
			edits: []func(*specs.Spec){withUserNamespace},
			want: outcome{
				"init ns user": "new", "init owner pid": "its user namespace", "exec ns user": "container",
				"init uid_map": "0 100000 1000, 1000 300000 500, 2000 400000 1",
				"init gid_map": "0 200000 1000, 1000 500000 500",
			},
		},
		{
			name:  "all namespaces",
			edits: []func(*specs.Spec){withUserNamespace, withTimeNamespace, withNamespace(specs.CgroupNamespace, "")},
			want: outcome{"init ns user": "new", "init ns time": "new", "init timens_offsets": offsetsOut,
				"exec ns time": "container"},
		},
		{
			name:   "joined pid",
			holder: syscall.CLONE_NEWPID,
			want:   outcome{"init ns pid": "holder", "exec ns pid": "holder", "init ns mnt": "new"},
		},
		{
			name:   "joined all but mnt",
			holder: syscall.CLONE_NEWPID | joinable,
			want: outcome{
				"init ns pid": "holder", "init ns user": "holder", "init ns net": "holder", "init ns mnt": "new",
				"init uid_map": "0 100000 65536", "exec ns pid": "holder", "exec ns user": "holder", "exec ns mnt": "container",
			},
		},
		{
			name:     "rootless with a map of one id",
			rootless: true,
			want: outcome{"init uid_map": fmt.Sprintf("0 %d 1", userID), "init setgroups": "deny", "init ns user": "new",
				"exec ns user": "container"},
		},
		{
			name:     "rootless with mapping tools",
			rootless: true,
			edits:    []func(*specs.Spec){withMaps(five)},
			want:     outcome{"init setgroups": "allow", "init ns user": "new", "exec ns user": "container"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := outcome{
				"status":                        "8",
				"stderr":                        "to stderr\n",
				"on terminal status":            "3",
				"on terminal stdout":            "/dev/pts/0\n43 132\nthrough /dev/tty\n",
				"after create":                  "created",
				"after start":                   "running",
				"exec status":                   "9",
				"exec stdout":                   "in it\n",
				"exec on terminal status":       "5",
				"exec on terminal stdout":       "/dev/pts/0\n43 132\nthrough /dev/tty\n",
				"failed status":                 "1",
				"stopped by force":              "true",
				"init session leader":           "true",
				"init controlling terminal":     "false",
				"exec session leader":           "true",
				"exec controlling terminal":     "false",
				"failed said":                   "",
				"threads of the container":      "1",
				"threads of the exec'd process": "1",
			}
			want.with("", tt.want)
			onEach(t, want, func(t *testing.T, v *variant) outcome {
				preloadThread(t)
				var user *syscall.Credential
				if tt.rootless {
					user = becomeUser(t)
				}
				edits := tt.edits
				var known []namespaces
				if tt.holder != 0 {
					pid := holder(t, tt.holder)
					edits = append(append([]func(*specs.Spec){}, edits...), joining(pid, tt.holder)...)
					known = append(known, namespacesOf(t, "holder", pid))
				}
				return besideThreads(t, v, user, known, edits...)
			})
		})
	}
}

// besideThreads runs containers and processes in them in each of the ways there are.
func besideThreads(t *testing.T, v *variant, user *syscall.Credential, known []namespaces,
	edits ...func(*specs.Spec)) outcome {
	t.Helper()
	c := newContainer(t, v, user, "id; echo to stderr >&2; exit 8", edits...)
	o := c.runc("run", containerID).outcome()
	// Were there no threads, all of this would be another test.
	if said := strings.Contains(c.messages(), "there are other threads"); said != (v.ours && !v.static) {
		t.Errorf("the log tells of threads: %v\n%s", said, c.messages())
	}
	onTerminal := func(s *specs.Spec) { s.Process.Terminal = true }
	const script = "tty; " + waitForSize + "; echo through /dev/tty >/dev/tty; exit "
	o.with("on terminal ", newContainer(t, v, user, script+"3",
		append([]func(*specs.Spec){onTerminal}, edits...)...).onTerminal("run", containerID).outcome())

	c = newContainer(t, v, user, stayScript, edits...)
	c.must("create", containerID)
	status, pid := c.state()
	adopt(pid)
	o["after create"] = status
	c.must("start", containerID)
	c.waitForProgram(pid)
	o["after start"], _ = c.state()
	known = append(known, namespacesOf(t, "container", pid))
	o.with("init ", look(t, pid, known[:len(known)-1]...))
	o["threads of the container"] = threads(t, pid)
	o.with("exec ", c.runc("exec", containerID, "/bin/sh", "-c", "echo in it; exit 9").outcome())
	pid = c.execDetached()
	o.with("exec ", look(t, pid, known...))
	o["threads of the exec'd process"] = threads(t, pid)
	o.with("exec on terminal ", c.onTerminal("exec", "--tty", containerID, "/bin/sh", "-c", script+"5").outcome())
	c.must("delete", "--force", containerID)
	o["stopped by force"] = fmt.Sprint(c.runc("state", containerID).status != 0)

	// What fails in the copy is told by runc as what fails without.
	plain := filepath.Join(c.dir, "state", "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	says := []string{"ipc"}
	if v.ours {
		says = append(says, plain)
	}
	wrong := newContainer(t, v, user, "true", append(append([]func(*specs.Spec){}, edits...),
		withNamespace(specs.IPCNamespace, plain))...)
	r := wrong.runc("run", containerID)
	return o.with("failed ", outcome{"status": fmt.Sprint(r.status), "stdout": r.stdout,
		"said": unsaid(wrong, r, says...)})
}

func threads(t *testing.T, pid int) string {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(len(tasks))
}
