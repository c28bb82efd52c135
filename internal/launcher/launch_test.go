// SPDX-License-Identifier: Apache-2.0

//go:build linux

package launcher

import (
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestStage1IsReapedOnce: afterwards its number is whoever's. That of another child stands for it here.
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
		t.Error("stage 1 has not been reaped")
	}
	l.reply.Stage1 = other.Process.Pid
	l.waitStage1()
	if err := other.Wait(); err != nil {
		t.Errorf("another child has been reaped: %v", err)
	}
}

// TestStage1ThatIsStuckIsKilled: in the order in which the launched process is reaped first, it is all that the group
// has left, and nobody but the parent can end it.
func TestStage1ThatIsStuckIsKilled(t *testing.T) {
	for _, when := range []string{"before it is waited for", "while it is waited for", "after it has left the group"} {
		launched := exec.Command("sleep", "60")
		launched.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := launched.Start(); err != nil {
			t.Fatal(err)
		}
		stage1 := exec.Command("sleep", "5")
		stage1.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: launched.Process.Pid}
		if when == "after it has left the group" {
			stage1.SysProcAttr.Pgid = 0
		}
		if err := stage1.Start(); err != nil {
			t.Fatal(err)
		}
		launched.Process.Kill()
		launched.Wait()
		l := Launch{Pid: launched.Process.Pid, reaped: true, reply: Reply{Stage1: stage1.Process.Pid}}
		start := time.Now()
		if when == "while it is waited for" {
			time.AfterFunc(100*time.Millisecond, l.killGroup)
		} else {
			l.killGroup()
		}
		l.waitStage1()
		left := when == "after it has left the group"
		if took := time.Since(start); (took < 4*time.Second) == left {
			t.Errorf("%s: took %v", when, took)
		}
		if err := stage1.Wait(); err == nil {
			t.Error("stage 1 has not been reaped")
		}
	}
}
