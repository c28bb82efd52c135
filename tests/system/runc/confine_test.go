// SPDX-License-Identifier: Apache-2.0

package runc_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestWithinIsLikeExec starts programs in containers of the stock runc, with `runc exec` and with `within --like`: both
// are what the container's configuration says, and the same.
func TestWithinIsLikeExec(t *testing.T) {
	requireMachine(t)
	all, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	within := filepath.Join(scratch, "within")
	if _, err := command(repoRoot(), nil, "go", "build", "-o", within, "./cmd/within"); err != nil {
		t.Fatal(err)
	}
	const look = `grep -E '^(Uid|Gid|Groups|Umask|Cap|NoNewPrivs|Seccomp|Speculation|Cpus_allowed|Mems)' /proc/self/status
cat /proc/self/limits /proc/self/cgroup /proc/self/oom_score_adj; hostname; ls /
for link in /proc/self/cwd /proc/self/root /proc/self/ns/*; do readlink $link; done
exec 2>&1; busybox mkdir /tmp/made; busybox rmdir /tmp/made; kill -0 1; echo $?`
	user := func(s *specs.Spec) {
		umask := uint32(0o027)
		s.Process.User = specs.User{UID: 1000, GID: 1001, AdditionalGids: []uint32{5, 7}, Umask: &umask}
		s.Process.Cwd = "/tmp"
	}
	capabilities := func(s *specs.Spec) {
		few := []string{"CAP_KILL", "CAP_NET_RAW", "CAP_CHOWN"}
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: few, Permitted: few, Effective: few,
			Inheritable: few[:2], Ambient: few[:1]}
	}
	filter := func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: []specs.Arch{specs.ArchX86_64},
			Syscalls: []specs.LinuxSyscall{{Names: []string{"mkdir", "mkdirat"}, Action: specs.ActErrno}}}
	}
	limits := func(s *specs.Spec) {
		s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 99, Hard: 199},
			{Type: "RLIMIT_CORE"}, {Type: "RLIMIT_NPROC", Soft: 77, Hard: 88}}
		score := 123
		s.Process.OOMScoreAdj = &score
	}
	cgroup := func(s *specs.Spec) {
		pids := int64(20)
		s.Linux.CgroupsPath = "/within-like-exec"
		s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: &pids}, CPU: &specs.LinuxCPU{Cpus: "0"}}
	}
	unprivileged := func(s *specs.Spec) { s.Process.NoNewPrivileges = true }
	privileged := func(s *specs.Spec) { s.Process.NoNewPrivileges = false }
	userNamespace := func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
		s.Linux.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 200000, Size: 65536}}
	}
	for name, edits := range map[string][]func(*specs.Spec){
		"as runc spec says":              nil,
		"a user":                         {user},
		"capabilities":                   {capabilities},
		"capabilities of a user":         {user, capabilities},
		"a filter":                       {filter, unprivileged},
		"a filter with privileges":       {filter, privileged},
		"a filter of a user":             {filter, user, privileged},
		"limits":                         {limits},
		"a cgroup":                       {cgroup},
		"everything":                     {user, capabilities, filter, unprivileged, limits, cgroup},
		"a user namespace":               {userNamespace},
		"everything in a user namespace": {userNamespace, user, capabilities, filter, unprivileged, limits, cgroup},
	} {
		t.Run(name, func(t *testing.T) {
			c := newContainer(t, all[0], nil, "exec sleep 600", edits...)
			pid := c.detach()
			want := c.must("exec", containerID, "/bin/sh", "-c", look)
			ctx, cancel := context.WithTimeout(context.Background(), deadline)
			defer cancel()
			cmd := exec.CommandContext(ctx, within, "--like", fmt.Sprint(pid), "/bin/sh", "-c", look)
			cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
			cmd.Stderr = os.Stderr
			output, err := cmd.Output()
			if got := strings.TrimSpace(string(output)); err != nil || got != strings.TrimSpace(want) {
				t.Errorf("within --like: %v\n%s\nrunc exec:\n%s", err, got, want)
			}
			if len(edits) > 0 && !strings.Contains(want, "Seccomp:") {
				t.Errorf("runc exec says too little:\n%s", want)
			}
		})
	}
}
