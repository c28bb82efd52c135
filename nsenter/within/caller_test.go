// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"nsenter-cpp.example/internal/kernel"
	"nsenter-cpp.example/internal/testutil"
	"nsenter-cpp.example/nsenter/parent"
)

var hostname = Register("test.hostname", func(context.Context, struct{}) (string, error) { return os.Hostname() })

// TestManyCallers: 32 goroutines call into 8 containers, 1,000 times in all, in processes of their own
// and in sessions.
func TestManyCallers(t *testing.T) {
	requireRoot(t)
	const containers, callers = 8, 32
	calls := 1000
	if testing.Short() {
		calls = 100
	}
	targets := make([]int, containers)
	for i := range targets {
		targets[i] = fixture(t, UTS|Net|IPC|PID|Mount, fmt.Sprintf("hostname container-%d", i))
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
	run := func(t *testing.T) {
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
	testutil.WhereSIGCHLDIsMinded(t, run)
}

// TestRootless has the same table for a user who is not root: everything is made new, in a user namespace
// that is new too, or joined, by way of the user namespace in which the user has made it.
func TestRootless(t *testing.T) {
	requireRoot(t) // to be somebody else
	testutil.RequireAllNamespaces(t)
	output := runRole(t, 1000, "rootless")
	ways := 0
	for _, line := range strings.Split(strings.TrimSpace(output), "\n") {
		what, result, found := strings.Cut(line, ": ")
		if !found {
			t.Errorf("the user says %q", line)
			continue
		}
		ways++
		t.Run(what, func(t *testing.T) {
			if result != "right" {
				t.Error(result)
			}
		})
	}
	if want := len(All.Each())*5 + 7; ways != want {
		t.Errorf("%d ways, want %d:\n%s", ways, want, output)
	}
}

// ownersAreTold is false in a 32-bit process on a 64-bit kernel before 6.13, which does not take ioctl_ns(2) from it.
func ownersAreTold() bool {
	file, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return true
	}
	defer file.Close()
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), kernel.NsGetNstype, 0)
	return errno != syscall.ENOTTY
}

func init() {
	roles["rootless"] = func() error {
		// With -race, and on an emulated machine, each of these processes takes long to start. runRole sees to the end.
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		say := func(what string, err error) {
			if err == nil {
				err = errors.New("right")
			}
			fmt.Printf("%s: %v\n", what, err)
		}
		// A program, since the process of a function is not dumpable.
		sleep := Command(&Proc{New: All}, "sleep", "600")
		if err := sleep.Start(ctx); err != nil {
			return err
		}
		defer sleep.Wait()
		defer sleep.Process.Kill()
		pid := sleep.Process.Pid
		pidfd, err := sleep.running.process.Pidfd()
		if err != nil {
			return err
		}
		defer pidfd.Close()
		ways, closeFiles, err := waysInto(pid, pidfd, true)
		defer closeFiles()
		if err != nil {
			return err
		}
		target := namespacesOf(pid)
		for _, w := range ways {
			say(fmt.Sprintf("%v by %s", w.kind, w.name), w.check(ctx, target))
		}

		everything := func(p *Proc, joined bool) error {
			v, err := look.Call(ctx, p, struct{}{})
			if err != nil {
				return err
			}
			for kind, link := range target {
				if got := v.Namespaces[kind.String()]; got != "" && (got == link) != joined {
					return fmt.Errorf("the %v namespace is %s, the target's %s", kind, got, link)
				}
			}
			return nil
		}
		v, err := look.Call(ctx, &Proc{New: User}, struct{}{})
		if err == nil && v.UIDMap != "0 1000 1" {
			err = fmt.Errorf("the map is %q", v.UIDMap)
		}
		say("root is the user", err)
		say("all by pid", everything(&Proc{Target: Of(pid, All)}, true))
		say("all by pidfd", everything(&Proc{Target: OfPidfd(pidfd, All)}, true))
		offset := []TimeOffset{{Clock: "boottime", Seconds: 1000}}
		say("create all", everything(&Proc{New: All, TimeOffsets: offset}, false))
		// Without the user namespace the kernel refuses, and it is said of what, and what is lacking.
		refused := func(what, path, lack string, target Target) {
			_, err = look.Call(ctx, &Proc{Target: target}, struct{}{})
			var fatal *parent.FatalError
			want := fmt.Sprintf("nsenter: failed to join net namespace %s: Operation not permitted", path)
			if ownersAreTold() {
				want += " (" + lack + ")"
			}
			switch {
			case !errors.As(err, &fatal) || fatal.Errno != syscall.EPERM || fatal.Namespace != Net || fatal.Path != path:
				err = fmt.Errorf("not refused: %w", err)
			case err.Error() != want:
				err = fmt.Errorf("%w, want %s", err, want)
			default:
				err = nil
			}
			say(what, err)
		}
		own, err := os.Readlink("/proc/self/ns/user")
		if err != nil {
			return err
		}
		path := fmt.Sprintf("/proc/%d/ns/net", pid)
		theirs := fmt.Sprintf("it belongs to %s, a user namespace that has to be joined too", target[User])
		refused("net alone", path, theirs, Of(pid, Net))
		refused("net alone by path", path, theirs, Path(Net, path))
		refused("the own net", "/proc/self/ns/net",
			fmt.Sprintf("it needs CAP_SYS_ADMIN in %s, this process's user namespace", own), Path(Net, "/proc/self/ns/net"))
		return nil
	}
}
