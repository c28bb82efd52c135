// SPDX-License-Identifier: Apache-2.0

package runc_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Starts that fail in nsexec. The texts are each implementation's own; the user must learn what could
// not be done to which object, and why, on standard error and in the log.
func TestFailedStart(t *testing.T) {
	requireMachine(t)
	plain := filepath.Join(scratch, "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		edit func(*specs.Spec)
		says []string // what ours says; see theirs for what runc's C code says less of
		// runc's C code says only these of them.
		theirs []string
	}{
		{
			name:   "missing namespace path",
			edit:   withNamespace(specs.NetworkNamespace, "/proc/nsenter-test/ns/net"),
			says:   []string{"/proc/nsenter-test/ns/net", "o such file or directory"},
			theirs: []string{"/proc/nsenter-test/ns/net", "o such file or directory"},
		},
		{
			name:   "namespace path to a plain file",
			edit:   withNamespace(specs.IPCNamespace, plain),
			says:   []string{"ipc", plain},
			theirs: []string{"ipc", "nvalid argument"},
		},
		{
			name:   "namespace of another type",
			edit:   withNamespace(specs.NetworkNamespace, fmt.Sprintf("/proc/%d/ns/uts", os.Getpid())),
			says:   []string{"net", fmt.Sprintf("/proc/%d/ns/uts", os.Getpid())},
			theirs: []string{"net", "nvalid argument"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := outcome{"status": "1", "stdout": "", "said": "", "state status": "1", "cgroups left": "0"}
			onEach(t, want, func(t *testing.T, v *variant) outcome {
				says := tt.theirs
				if v.ours {
					says = tt.says
				}
				return failedStart(newContainer(t, v, nil, "true", tt.edit), says...)
			})
		})
	}
}

// No user namespace can be created. The limit is set in a user namespace made for this, whose root
// maps every id to itself: the machine's own limit stays what it is.
func TestFailedStartWithoutUserNamespaces(t *testing.T) {
	want := outcome{"status": "1", "stdout": "", "said": "", "state status": "1", "cgroups left": "0"}
	onEach(t, want, func(t *testing.T, v *variant) outcome {
		c := newContainer(t, v, nil, "true", withUserNamespace)
		c.prefix = []string{"sh", "-c", `echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"`, "sh"}
		c.userNamespace = []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1<<32 - 1}}
		return failedStart(c, "user", "o space left on device")
	})
}

// An OOM score adjustment below the inherited one takes CAP_SYS_RESOURCE over the machine's first user
// namespace, which root of another has not.
func TestFailedStartLowOOMScoreAdj(t *testing.T) {
	want := outcome{"status": "1", "stdout": "", "said": "", "state status": "1", "cgroups left": "0"}
	onEach(t, want, func(t *testing.T, v *variant) outcome {
		score := -1000
		c := newContainer(t, v, nil, "true", func(s *specs.Spec) { s.Process.OOMScoreAdj = &score })
		c.userNamespace = []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1<<32 - 1}}
		return failedStart(c, "oom_score_adj", "ermission denied")
	})
}

// failedStart runs a container that cannot start, and reports what there is then.
func failedStart(c *container, says ...string) outcome {
	c.t.Helper()
	r := c.runc("run", containerID)
	o := outcome{"status": fmt.Sprint(r.status), "stdout": r.stdout, "said": unsaid(c, r, says...)}
	c.prefix, c.userNamespace = nil, nil
	o["state status"] = fmt.Sprint(c.runc("state", containerID).status)
	cgroups := 0
	for _, pattern := range []string{"/sys/fs/cgroup/*/" + containerID, "/sys/fs/cgroup/*/*/" + containerID,
		"/sys/fs/cgroup/" + containerID} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			c.t.Fatal(err)
		}
		cgroups += len(found)
	}
	o["cgroups left"] = fmt.Sprint(cgroups)
	return o
}

// unsaid returns what the user should have been told and was not, with all that was said. runc prints our fatal lines
// in its own words: all of the reason must be on standard error.
func unsaid(c *container, r result, says ...string) string {
	c.t.Helper()
	c.t.Logf("%s says: %s", c.v.name, strings.TrimSpace(r.stderr))
	var missing []string
	for _, text := range says {
		if !strings.Contains(r.stderr, text) {
			missing = append(missing, text)
		}
	}
	if len(missing) == 0 {
		return ""
	}
	return fmt.Sprintf("nothing of %q in %q; log:\n%s", missing, r.stderr, c.messages())
}
