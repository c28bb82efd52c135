// SPDX-License-Identifier: Apache-2.0

//go:build linux

package launch

import (
	"os/exec"
	"testing"
)

// TestWhoEndsIsSeenBeforeItIsAZombie: from when the kernel has closed its descriptors until it is a zombie a process
// has the flag PF_EXITING only.
func TestWhoEndsIsSeenBeforeItIsAZombie(t *testing.T) {
	alive := exec.Command("sleep", "60")
	if err := alive.Start(); err != nil {
		t.Fatal(err)
	}
	s, ok := readStat(alive.Process.Pid)
	if !ok || s.ends() {
		t.Errorf("a process that lives: %+v, %v", s, ok)
	}
	alive.Process.Kill()
	if _, err := waitid(alive.Process.Pid, wExited|wNoWait); err != nil {
		t.Error(err)
	}
	if s, ok = readStat(alive.Process.Pid); !ok || !s.ends() {
		t.Errorf("a zombie: %+v, %v", s, ok)
	}
	alive.Wait()
	if s = (stat{state: 'R', flags: 0x40 | 0x4}); !s.ends() {
		t.Errorf("one that ends and runs: %+v", s)
	}
	if s = (stat{state: 'S', flags: 0x40}); s.ends() {
		t.Errorf("one that sleeps: %+v", s)
	}
}
