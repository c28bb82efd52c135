// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package within

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var hostname = Register("test.hostname", func(context.Context, struct{}) (string, error) { return os.Hostname() })

// TestManyCallers: 32 goroutines call into 8 containers, 1,000 times in all, in processes of their own
// and in sessions.
func TestManyCallers(t *testing.T) {
	requireRoot(t)
	const containers, callers, calls = 8, 32, 1000
	targets := make([]int, containers)
	for i := range targets {
		targets[i] = fixture(t, UTS|Net|IPC|PID|Mount, fmt.Sprintf("hostname container-%d", i))
	}
	if _, err := sealed(); err != nil { // before descriptors are counted
		t.Fatal(err)
	}
	nothingLeft(t)
	ctx := deadline(t, 60*time.Second)
	sessions := make([]*Session, containers)
	for i := range sessions {
		s, err := (&Proc{Target: Of(targets[i], All)}).Start(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		sessions[i] = s
	}
	var next atomic.Int64
	var group sync.WaitGroup
	for range callers {
		group.Add(1)
		go func() {
			defer group.Done()
			for n := int(next.Add(1)); n <= calls; n = int(next.Add(1)) {
				which := n % containers
				var caller Caller = &Proc{Target: Of(targets[which], All)}
				if n%3 == 0 {
					caller = sessions[which]
				}
				name, err := hostname.Call(ctx, caller, struct{}{})
				if want := fmt.Sprintf("container-%d", which); name != want || err != nil {
					t.Errorf("call %d: %q (%v), want %s", n, name, err, want)
					return
				}
			}
		}()
	}
	group.Wait()
}

// TestCallFromALockedThread: what is not joined is what the calling thread is in.
func TestCallFromALockedThread(t *testing.T) {
	requireRoot(t)
	target := fixture(t, Net, "")
	nothingLeft(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := syscall.Unshare(syscall.CLONE_NEWUTS | syscall.CLONE_NEWNET); err != nil {
			t.Error(err)
			return
		}
		syscall.Sethostname([]byte("of-this-thread"))
		own, _ := os.Readlink("/proc/thread-self/ns/net")
		v, err := look.Call(deadline(t, short), &Proc{}, struct{}{})
		if err != nil || v.Namespaces["net"] != own {
			t.Errorf("without a target: %s (%v), want the thread's %s", v.Namespaces["net"], err, own)
		}
		v, err = look.Call(deadline(t, short), &Proc{Target: Of(target, Net)}, struct{}{})
		if want := namespaceOf(t, target, Net); err != nil || v.Namespaces["net"] != want {
			t.Errorf("with a target: %s (%v), want the target's %s", v.Namespaces["net"], err, want)
		}
		name, err := hostname.Call(deadline(t, short), &Proc{Target: Of(target, Net)}, struct{}{})
		if err != nil || name != "of-this-thread" {
			t.Errorf("the host name is %q (%v)", name, err)
		}
	}()
	<-done
}

func TestCallersThatMindSIGCHLD(t *testing.T) {
	requireUserNamespaces(t)
	run := func() {
		p := &Proc{New: User | UTS}
		for range 5 {
			if _, err := look.Call(deadline(t, short), p, struct{}{}); err != nil {
				t.Error(err)
			}
		}
		s, err := p.Start(deadline(t, short))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := look.Call(deadline(t, short), s, struct{}{}); err != nil {
			t.Error(err)
		}
		s.Close()
	}
	t.Run("ignored", func(t *testing.T) {
		handleSIGCHLD() // the first time, package os/signal starts a goroutine
		nothingLeft(t)
		signal.Ignore(syscall.SIGCHLD)
		defer handleSIGCHLD()
		run()
	})
	t.Run("reaps everything", func(t *testing.T) {
		nothingLeft(t)
		var over atomic.Bool
		done := make(chan struct{})
		go func() {
			defer close(done)
			for !over.Load() {
				if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
					time.Sleep(50 * time.Microsecond)
				}
			}
		}()
		run()
		over.Store(true)
		<-done
	})
}

// handleSIGCHLD is the way back from signal.Ignore, which signal.Reset is not.
func handleSIGCHLD() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGCHLD)
	signal.Stop(c)
}

func TestRootless(t *testing.T) {
	requireRoot(t) // to be somebody else
	if output := runRole(t, 1000, "rootless"); !strings.HasSuffix(output, "13 ways\n") {
		t.Errorf("got %s", output)
	}
}

// The user makes everything new, and joins what another process of the user has made.
func init() {
	roles["rootless"] = func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		ways := 0
		check := func(what string, p *Proc, kinds Namespaces, target string) error {
			v, err := look.Call(ctx, p, struct{}{})
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			if v.UID != 0 || v.GID != 0 || v.UIDMap != "0 1000 1" {
				return fmt.Errorf("%s: uid %d, gid %d, uid_map %s", what, v.UID, v.GID, v.UIDMap)
			}
			for _, kind := range kinds.Each() {
				own, _ := os.Readlink("/proc/self/ns/" + kind.String())
				theirs, _ := os.Readlink(target + "/ns/" + kind.String())
				got := v.Namespaces[kind.String()]
				// Where a pid namespace is another than that of /proc nothing is to be seen.
				if kind != PID && (got == own || theirs != "" && got != theirs) {
					return fmt.Errorf("%s: the %v namespace is %s, own %s, target's %s", what, kind, got, own, theirs)
				}
			}
			ways++
			return nil
		}
		for _, kind := range All.Each() {
			if err := check("create "+kind.String(), &Proc{New: User | kind}, User|kind, ""); err != nil {
				return err
			}
		}
		offset := []TimeOffset{{Clock: "boottime", Seconds: 1000}}
		if err := check("create all", &Proc{New: All, TimeOffsets: offset}, All&^PID, ""); err != nil {
			return err
		}

		// A program, since the process of a function is not dumpable.
		sleep := Command(&Proc{New: All}, "sleep", "60")
		if err := sleep.Start(ctx); err != nil {
			return err
		}
		defer sleep.Wait()
		defer sleep.Process.Kill()
		pid := sleep.Process.Pid
		folder := fmt.Sprintf("/proc/%d", pid)
		pidfd, err := sleep.running.init.Pidfd()
		if err != nil {
			return err
		}
		defer pidfd.Close()
		file, err := os.Open(folder + "/ns/net")
		if err != nil {
			return err
		}
		defer file.Close()
		for what, target := range map[string]Target{
			"all by pid":   Of(pid, All),
			"all by pidfd": OfPidfd(pidfd, All),
			"paths":        Path(User, folder+"/ns/user").And(Path(Net, folder+"/ns/net")),
			"fd":           Of(pid, User).And(FD(Net, file)),
		} {
			if err := check(what, &Proc{Target: target}, User|Net, folder); err != nil {
				return err
			}
		}
		fmt.Println(ways, "ways")
		return nil
	}
}
