// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"nsenter-cpp.example/internal/testutil"
)

// What is compared: the same static Go program, which says its host name,
//   - called as a function (Call), the child being this program;
//   - called in a session (SessionCall), each call with a new thread or not;
//   - executed by nsenter(1), built for that (Nsenter);
// and for the network namespace, where that works at all, a thread that joins it (Setns).

const benchKinds = UTS | Net | IPC | PID | Mount

func benchFixture(b *testing.B) int {
	requireRoot(b)
	return fixture(b, benchKinds, "")
}

func BenchmarkCall(b *testing.B) {
	p := &Proc{Target: Of(benchFixture(b), benchKinds)}
	if _, err := hostname.Call(context.Background(), p, struct{}{}); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for range b.N {
		if _, err := hostname.Call(context.Background(), p, struct{}{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSessionCall(b *testing.B) { benchSession(b, &Proc{}) }

func BenchmarkSessionCallReusingThreads(b *testing.B) { benchSession(b, &Proc{ReuseThreads: true}) }

func benchSession(b *testing.B, p *Proc) {
	p.Target = Of(benchFixture(b), benchKinds)
	s, err := p.Start(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	times := make([]time.Duration, b.N)
	b.ResetTimer()
	for i := range times {
		start := time.Now()
		if _, err := hostname.Call(context.Background(), s, struct{}{}); err != nil {
			b.Fatal(err)
		}
		times[i] = time.Since(start)
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds()), "median-us")
}

var freeMemory = Register("test.free-memory", func(context.Context, struct{}) (struct{}, error) {
	debug.FreeOSMemory()
	debug.FreeOSMemory() // the first one leaves what is in a sync.Pool
	return struct{}{}, nil
})

// SessionMemory says how much memory a session's process has to itself, and what its share of all is (the program's
// text and data are shared with the caller, and with all sessions): after the first call, after many calls, after one
// with a large argument, and after that, once the garbage has been collected.
func BenchmarkSessionMemory(b *testing.B) {
	ctx := context.Background()
	for range b.N {
		s, err := (&Proc{Target: Of(benchFixture(b), benchKinds)}).Start(ctx)
		if err != nil {
			b.Fatal(err)
		}
		for _, step := range []struct {
			name string
			do   func() error
		}{
			{"first-call", func() error { _, err := hostname.Call(ctx, s, struct{}{}); return err }},
			{"1000-calls", func() (err error) {
				for n := 0; n < 1000 && err == nil; n++ {
					_, err = take.Call(ctx, s, make([]byte, 5000))
				}
				return err
			}},
			{"8-MB-argument", func() error { _, err := take.Call(ctx, s, make([]byte, 8<<20)); return err }},
			{"collected", func() error { _, err := freeMemory.Call(ctx, s, struct{}{}); return err }},
		} {
			if err := step.do(); err != nil {
				b.Fatal(err)
			}
			own, share, err := memoryOf(s.Pid())
			if err != nil {
				b.Fatal(err)
			}
			b.Logf("%s: %d KiB of its own, share of all %d KiB", step.name, own, share)
			b.ReportMetric(float64(own), step.name+"-own-KiB")
			b.ReportMetric(float64(share), step.name+"-share-KiB")
		}
		s.Close()
	}
}

// memoryOf is Private_Dirty and Pss of a process, proc_pid_smaps(5), in KiB.
func memoryOf(pid int) (own, share int, err error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup") // Linux 4.14
	if err != nil {
		return 0, 0, err
	}
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "Private_Dirty:":
			own, err = strconv.Atoi(fields[1])
		case "Pss:":
			share, err = strconv.Atoi(fields[1])
		}
	}
	return own, share, err
}

// Nsenter executes this test program, linked statically, in the role of one that says its host name.
func BenchmarkNsenter(b *testing.B) {
	target := benchFixture(b)
	nsenter, err := exec.LookPath("nsenter")
	testutil.Require(b, err == nil, "nsenter(1)")
	program := filepath.Join(b.TempDir(), "within.test")
	build := exec.Command("go", "test", "-c", "-o", program, "-ldflags=-extldflags=-static", "-tags=osusergo,netgo", ".")
	if output, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, output)
	}
	b.ResetTimer()
	for range b.N {
		cmd := exec.Command(nsenter, "-t", strconv.Itoa(target), "-u", "-n", "-i", "-p", "-m", program)
		cmd.Env = []string{envRole + "=hostname"}
		if output, err := cmd.Output(); err != nil || len(output) == 0 {
			b.Fatalf("%q, %v", output, err)
		}
	}
}

func init() {
	roles["hostname"] = func() error {
		name, err := os.Hostname()
		os.Stdout.WriteString(name)
		return err
	}
}

func BenchmarkSetns(b *testing.B) {
	target := benchFixture(b)
	own, err := os.Open("/proc/self/ns/net")
	if err != nil {
		b.Fatal(err)
	}
	defer own.Close()
	other, err := os.Open("/proc/" + strconv.Itoa(target) + "/ns/net")
	if err != nil {
		b.Fatal(err)
	}
	defer other.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b.ResetTimer()
	for range b.N {
		for _, file := range []*os.File{other, own} {
			if _, _, errno := syscall.RawSyscall(sysSetns(), file.Fd(), syscall.CLONE_NEWNET, 0); errno != 0 {
				b.Fatal(errno)
			}
		}
	}
}

func sysSetns() uintptr {
	switch runtime.GOARCH {
	case "386":
		return 346
	case "amd64":
		return 308
	case "arm":
		return 375
	case "mips", "mipsle":
		return 4344
	case "mips64", "mips64le":
		return 5303
	case "ppc64", "ppc64le":
		return 350
	case "s390x":
		return 339
	default:
		return 268
	}
}
