// SPDX-License-Identifier: Apache-2.0

//go:build linux

package launch

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestStage1IsReapedOnce: afterwards its number may belong to any process. Another child stands for that process here.
func TestStage1IsReapedOnce(t *testing.T) {
	stage1, other := exec.Command("true"), exec.Command("true")
	for _, c := range []*exec.Cmd{stage1, other} {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
	}
	var l Launch
	l.reply.Stage1 = stage1.Process.Pid
	l.waitStage1()
	if err := stage1.Wait(); err == nil {
		t.Error("the process in Stage1 has not been reaped")
	}
	l.reply.Stage1 = other.Process.Pid
	l.waitStage1()
	if err := other.Wait(); err != nil {
		t.Errorf("another child has been reaped: %v", err)
	}
}

// TestNobodyIsWaitedForWithoutStage1: for these numbers waitStage1 waits for no process.
func TestNobodyIsWaitedForWithoutStage1(t *testing.T) {
	for _, c := range []struct {
		line       string
		isAccepted bool
	}{
		{`{"stage1_pid":2147483647,"stage2_pid":1}`, true},
		{fmt.Sprintf(`{"stage1_pid":%d,"stage2_pid":1}`, os.Getpid()), true},
		{`{"stage1_pid":0,"stage2_pid":1}`, false},
		{`{"stage1_pid":-1,"stage2_pid":1}`, false},
	} {
		reply, err := parseReply([]byte(c.line+"\n"), false)
		if (err == nil) != c.isAccepted {
			t.Errorf("%s: %v", c.line, err)
		}
		l := Launch{reply: reply}
		l.waitStage1()
		if l.stage1Reaped {
			t.Errorf("%s: somebody has been waited for", c.line)
		}
	}
}

// TestWhoHasEndedIsReapedHoweverLate: without time to wait for anybody.
func TestWhoHasEndedIsReapedHoweverLate(t *testing.T) {
	group := 0
	var ended []*exec.Cmd
	for i := 0; i < 3; i++ {
		c := exec.Command("true")
		c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: group}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if group == 0 {
			group = c.Process.Pid
		}
		ended = append(ended, c)
		if _, err := waitid(c.Process.Pid, wExited|wNoWait); err != nil {
			t.Fatal(err)
		}
	}
	reapGroup(group, 0)
	for _, c := range ended {
		if c.Wait() == nil {
			t.Error("one that has ended has not been reaped")
		}
	}
}

// TestStage1ThatIsStuckIsKilled: if the launched process is reaped first, the process in Stage1 is all that is left of
// the group, and only the parent can end it. A process in Stage1 of another group does not show who has the number of
// our group by now: another child stands for that process.
func TestStage1ThatIsStuckIsKilled(t *testing.T) {
	start := func(seconds string, group int) *exec.Cmd {
		t.Helper()
		c := exec.Command("sleep", seconds)
		c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: group}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, c := range []struct {
		what                   string
		isInGroup, isWaitedFor bool
	}{
		{"killed before it is waited for", true, false},
		{"killed while it is waited for", true, true},
		{"in another group", false, false},
	} {
		launched := start("60", 0)
		group := launched.Process.Pid
		var other *exec.Cmd
		stage1Group := group
		if !c.isInGroup {
			other, stage1Group = start("60", group), 0
		}
		stage1 := start("5", stage1Group)
		launched.Process.Kill()
		launched.Wait()
		l := Launch{Pid: group, reaped: true, reply: Reply{Stage1: stage1.Process.Pid}}
		began := time.Now()
		if c.isWaitedFor {
			time.AfterFunc(100*time.Millisecond, l.killGroup)
		} else {
			l.killGroup()
		}
		l.waitStage1()
		if took := time.Since(began); (took < 4*time.Second) != c.isInGroup {
			t.Errorf("%s: took %v", c.what, took)
		}
		if err := stage1.Wait(); err == nil {
			t.Errorf("%s: it has not been reaped", c.what)
		}
		if other == nil {
			continue
		}
		if stat, ok := readStat(other.Process.Pid); !ok || stat.ends() {
			t.Errorf("%s: another child has been killed", c.what)
		}
		other.Process.Kill()
		other.Wait()
	}
}
