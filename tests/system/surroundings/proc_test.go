// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package surroundings

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"nsenter-cpp.example/internal/testutil"
	"nsenter-cpp.example/nsenter/bootstrap"
)

// What docs/protocol.md says of paths that are all of one process: something mounted over them is not looked at. With a
// path of another process among them each is opened.
func TestNamespacesMountedOver(t *testing.T) {
	testutil.RequireRoot(t)
	const kinds = uintptr(bootstrap.Net | bootstrap.UTS | bootstrap.IPC)
	named, over, third := testutil.Fixture(t, kinds, ""), testutil.Fixture(t, kinds, ""), testutil.Fixture(t, kinds, "")
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := func(pid int, kind bootstrap.Namespaces) bootstrap.Join {
		return bootstrap.Join{Kind: kind, Path: fmt.Sprintf("/proc/%d/ns/%v", pid, kind)}
	}
	for _, test := range []struct {
		name string
		join []bootstrap.Join
		want int // whose network namespace
	}{
		{"of one process", []bootstrap.Join{path(named, bootstrap.Net), path(named, bootstrap.UTS)}, named},
		{"of two processes", []bootstrap.Join{path(named, bootstrap.Net), path(third, bootstrap.UTS)}, over},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := request{message: bootstrap.Message{Join: test.join}}
			r.prepare = func(cmd *exec.Cmd) {
				cmd.Path = "/bin/sh"
				cmd.Args = []string{"sh", "-c", fmt.Sprintf("mount --bind /proc/%d/ns /proc/%d/ns && exec %s",
					over, named, executable)}
				cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
			}
			l := r.launchAll(t)
			if l.Init != 0 && !l.lost {
				if got, want := testutil.NamespaceOf(t, l.Init, bootstrap.Net),
					testutil.NamespaceOf(t, test.want, bootstrap.Net); got != want {
					t.Errorf("in %s, want %s", got, want)
				}
			}
			l.mustRun(t)
		})
	}
}
