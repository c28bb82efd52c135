// SPDX-License-Identifier: Apache-2.0

package runc_test

import (
	"context"
	"flag"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

var rounds = flag.Int("rounds", 2, "how often each container is run from a session leader")

// When a session's leader that has a terminal ends, the kernel sends SIGHUP to all in its foreground. Here runc is such
// a leader, and ends before the container where that is created, or run detached.
func TestSessionLeader(t *testing.T) {
	for _, leader := range []struct {
		name string
		call func(ctx context.Context, runc *exec.Cmd) *exec.Cmd
	}{
		{"setsid", func(ctx context.Context, runc *exec.Cmd) *exec.Cmd {
			return exec.CommandContext(ctx, "setsid", append([]string{"--ctty"}, runc.Args...)...)
		}},
		{"script", func(ctx context.Context, runc *exec.Cmd) *exec.Cmd {
			quoted := make([]string, len(runc.Args))
			for i, arg := range runc.Args {
				quoted[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
			}
			return exec.CommandContext(ctx, "script", "-qec", "exec "+strings.Join(quoted, " "), "/dev/null")
		}},
	} {
		t.Run(leader.name, func(t *testing.T) {
			requireTools(t, leader.name)
			want := outcome{"run": "all", "run on a terminal": "all", "run detached": "all", "created": "all", "exec": "all",
				"exec on a terminal": "all"}
			onEach(t, want, func(t *testing.T, v *variant) outcome {
				call := func(c *container, args ...string) result {
					t.Helper()
					ctx, cancel := context.WithTimeout(context.Background(), deadline)
					defer cancel()
					runc := c.command(ctx, args...)
					cmd := leader.call(ctx, runc)
					cmd.Dir, cmd.Env = runc.Dir, runc.Env
					return c.shown(ctx, cmd)
				}
				done := make(map[string]int)
				says := func(what string, r result, status int, text string) {
					if r.status == status && r.stdout == text {
						done[what]++
					} else {
						t.Logf("%s: status %d, shown %q", what, r.status, r.stdout)
					}
				}
				// Whether it still runs, with all that the terminal's end may have sent to it come.
				runs := func(what string, c *container) {
					r := c.runc("exec", containerID, "echo", "still here")
					if status, _ := c.state(); status == "running" && r.status == 0 && r.stdout == "still here\n" {
						done[what]++
					} else {
						t.Logf("%s: %s, %+v", what, status, r)
					}
				}
				const script = "test -t 1 && echo on a terminal; echo here; exit 7"
				once := newContainer(t, v, nil, script)
				onTerminal := newContainer(t, v, nil, script, func(s *specs.Spec) { s.Process.Terminal = true })
				staying := newContainer(t, v, nil, stayScript)
				for range *rounds {
					says("run", call(once, "run", containerID), 7, "here\n")
					says("run on a terminal", call(onTerminal, "run", containerID), 7, "on a terminal\nhere\n")

					staying.stays = true
					says("created", call(staying, "create", containerID), 0, "")
					staying.stays = false
					_, pid := staying.state()
					adopt(pid)
					staying.must("start", containerID)
					staying.waitForProgram(pid)
					runs("created", staying)
					staying.must("delete", "--force", containerID)

					staying.stays = true
					says("run detached", call(staying, "run", "--detach", containerID), 0, "")
					staying.stays = false
					_, pid = staying.state()
					adopt(pid)
					staying.waitForProgram(pid)
					says("exec", call(staying, "exec", containerID, "/bin/sh", "-c", script), 7, "here\n")
					says("exec on a terminal", call(staying, "exec", "--tty", containerID, "/bin/sh", "-c", script),
						7, "on a terminal\nhere\n")
					runs("run detached", staying)
					staying.must("delete", "--force", containerID)
				}
				o := make(outcome)
				for what := range want {
					calls := *rounds
					if what == "created" || what == "run detached" {
						calls *= 2 // and found running
					}
					o[what] = "all"
					if done[what] != calls {
						o[what] = fmt.Sprintf("%d of %d", done[what], calls)
					}
				}
				t.Logf("%d rounds: %v", *rounds, o)
				return o
			})
		})
	}
}
