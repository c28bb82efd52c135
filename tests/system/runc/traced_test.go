// SPDX-License-Identifier: Apache-2.0

package runc_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// All of runc's processes are traced, at each of their system calls: strace(1) has to follow into all that nsexec
// clones, up to the container's program, and nothing may be other than it is without.
func TestTraced(t *testing.T) {
	want := outcome{
		"run status": "4", "run stdout": "uid=0 gid=0\n", "run stderr": "",
		"exec status": "5", "exec stdout": "uid=0 gid=0\n", "exec stderr": "",
		"run followed": "true", "exec followed": "true",
	}
	onEach(t, want, func(t *testing.T, v *variant) outcome {
		o := make(outcome)
		traced := func(what string, c *container, program string, args ...string) {
			trace := filepath.Join(c.dir, "trace-"+what)
			c.prefix = []string{"strace", "-f", "-qq", "-o", trace}
			o.with(what+" ", c.runc(args...).outcome())
			c.prefix = nil
			text, err := os.ReadFile(trace)
			if err != nil {
				t.Fatal(err)
			}
			// The container's program is what the init process has become.
			o[what+" followed"] = "false"
			for _, line := range strings.Split(string(text), "\n") {
				if strings.Contains(line, `execve("/bin/sh", ["/bin/sh", "-c", "`+program) {
					o[what+" followed"] = "true"
				}
			}
		}
		c := newContainer(t, v, nil, "id; exit 4", withUserNamespace)
		traced("run", c, "id; exit 4", "run", containerID)
		c = newContainer(t, v, nil, stayScript, withUserNamespace)
		c.detach()
		traced("exec", c, "id; exit 5", "exec", containerID, "/bin/sh", "-c", "id; exit 5")
		return o
	})
}
