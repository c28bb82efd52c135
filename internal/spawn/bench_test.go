// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package spawn

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"nsenter-cpp.example/internal/testutil"
)

// BenchmarkInTurn runs /bin/true in five namespaces of a container, by Start, by nsenter(1), and outside by package
// os/exec, one after the other, from a program with a heap of 200 MB; and Start and os/exec with a session of its own,
// for which the kernel makes a group of its scheduler (sched_autogroup_enabled). Compare the ratios of medians:
//
//	go test -run XXX -bench InTurn -benchtime 300x ./internal/spawn
func BenchmarkInTurn(b *testing.B) {
	target := container(b, five, "")
	nsenter, err := exec.LookPath("nsenter")
	testutil.Require(b, err == nil, "nsenter(1)")
	heap := make([]byte, 200<<20)
	for i := range heap {
		heap[i] = byte(i)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	fd := int(null.Fd())
	start := func(session bool) func() error {
		return func() error {
			p, err := Start(context.Background(), &Spec{Target: target, Join: five, Path: "/bin/true", NewSession: session,
				Dir: "/", Files: []int{fd, fd, fd}})
			if err != nil {
				return err
			}
			defer syscall.Close(p.Pidfd)
			_, err = syscall.Wait4(p.Pid, nil, 0, nil)
			return err
		}
	}
	ways := []testutil.Way{
		{Name: "start", Run: start(false)},
		{Name: "nsenter", Run: func() error {
			return exec.Command(nsenter, "-t", strconv.Itoa(target.Pid), "-u", "-n", "-i", "-p", "-m", "/bin/true").Run()
		}},
		{Name: "os/exec", Run: func() error { return exec.Command("/bin/true").Run() }},
		{Name: "start-session", Run: start(true)},
		{Name: "os/exec-session", Run: func() error {
			cmd := exec.Command("/bin/true")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			return cmd.Run()
		}},
	}
	medians := testutil.InTurn(b, ways)
	b.ReportMetric(medians[0]/medians[1], "of-nsenter")
	b.ReportMetric(medians[0]/medians[2], "of-os/exec")
	b.ReportMetric(medians[3]/medians[4], "session-of-os/exec")
	b.Logf("with a heap of %d MB", len(heap)>>20)
}
