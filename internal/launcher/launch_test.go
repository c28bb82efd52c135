// SPDX-License-Identifier: Apache-2.0

//go:build linux

package launcher

import (
	"os/exec"
	"testing"
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
