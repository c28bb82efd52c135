// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package spawn

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"nsenter-cpp.example/internal/kernel"
	"nsenter-cpp.example/internal/testutil"
	"nsenter-cpp.example/nsenter/bootstrap"
)

// TestAttackAtEachCall stops the program's process after each of its system calls until the program runs, and has root
// of the container, with the capabilities that containers have, try to get at it. The program has the same
// capabilities, so that nothing but the dumpable flag protects the memory that it has of the caller's.
//
// A tracer stops it, and lets go of it before the attack: a process that is traced already would be safe from others.
func TestAttackAtEachCall(t *testing.T) {
	inside := container(t, five, "mount -t proc proc /proc")
	const three = bootstrap.UTS | bootstrap.Net | bootstrap.IPC
	beside := container(t, three, "")
	testutil.Require(t, hasNoYama(), "a kernel that does not keep attackers from more than others do")
	for _, c := range []struct {
		name       string
		protection string
		target     int
		kinds      bootstrap.Namespaces
		uid        int
	}{
		{"root in a container", "protected", inside.Pid, five, 0},
		{"root in a container with the caller's processes", "protected", beside.Pid, three, 0},
		// The program is that user, without capabilities, and the kernel hides who becomes another user by itself.
		{"a user in a container", "protected", inside.Pid, five, 1234},
		{"root in a container, unprotected", "unprotected", inside.Pid, five, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := startAttacker(t, c.target, c.kinds, c.uid)
			found := make(map[string]int)
			calls := 0
			for n := 0; ; n++ {
				name, got := attackAfter(t, n, a, "attacked", c.protection, strconv.Itoa(c.target),
					strconv.Itoa(int(c.kinds)), strconv.Itoa(c.uid))
				if name == "" {
					break
				}
				calls++
				for _, what := range strings.Fields(got) {
					found[what]++
					if c.protection == "protected" {
						t.Errorf("after call %d, %s: %s", n, name, what)
					}
				}
			}
			t.Logf("attacked after %d calls, got at %v", calls, found)
			if calls < 40 {
				t.Errorf("only %d calls were seen", calls)
			}
			if c.protection == "unprotected" {
				for what := range attacks {
					if found[what] == 0 {
						t.Errorf("%s is no attack: it fails where nothing protects", what)
					}
				}
			}
			// It can do all that to a process that is as it is itself.
			twin := exec.Command("nsenter", append(into(c.target, c.kinds, c.uid), "sleep", "600")...)
			if err := twin.Start(); err != nil {
				t.Fatal(err)
			}
			defer twin.Wait()
			defer twin.Process.Kill()
			for end := time.Now().Add(short); len(strings.Fields(a.try(t, twin.Process.Pid, false))) < len(attacks); {
				if time.Now().After(end) {
					t.Fatal("the attacker is not as strong as it should be")
				}
			}
		})
	}
}

func hasNoYama() bool {
	text, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope")
	return err != nil || strings.TrimSpace(string(text)) == "0"
}

// containers are the capabilities that containers have if nobody says anything (Docker's, Podman's and more).
const containers = 0xa80425fb

// into are nsenter's arguments for a program in a container with those, or for one of a user, who has none.
func into(pid int, kinds bootstrap.Namespaces, uid int) []string {
	names := []string{"-all"}
	for i := range 64 {
		if uid == 0 && containers>>i&1 != 0 {
			names = append(names, "+cap_"+strconv.Itoa(i))
		}
	}
	arguments := []string{"-t", strconv.Itoa(pid), "-u", "-n", "-i"}
	if kinds.Has(bootstrap.PID | bootstrap.Mount) {
		arguments = append(arguments, "-p", "-m")
	}
	id := strconv.Itoa(uid)
	return append(arguments, "setpriv", "--bounding-set="+strings.Join(names, ","), "--reuid="+id, "--regid="+id,
		"--clear-groups")
}

// The victim starts a program when it is told to, as often as it is.
func init() {
	roles["attacked"] = func() error {
		runtime.LockOSThread()
		noChecks, leaveDumpable = true, os.Args[1] == "unprotected"
		pid, err := strconv.Atoi(os.Args[2])
		if err != nil {
			return err
		}
		kinds, err := strconv.Atoi(os.Args[3])
		if err != nil {
			return err
		}
		const pidfdOpen = 434
		fd, _, errno := syscall.Syscall(kernel.Call(pidfdOpen), uintptr(pid), 0, 0)
		if errno != 0 {
			return errno
		}
		uid, err := strconv.Atoi(os.Args[4])
		if err != nil {
			return err
		}
		capabilities := &Capabilities{Bounding: containers, Permitted: containers, Effective: containers}
		if uid != 0 {
			capabilities = &Capabilities{}
		}
		root, umask, groups := "/", uint32(0o22), []uint32{}
		directory, err := os.Open(root)
		if err != nil {
			return err
		}
		number := int(directory.Fd())
		s := &Spec{
			Target: &Process{pid, int(fd)}, Join: bootstrap.Namespaces(kinds), Path: "/bin/true",
			NewSession: true, Dir: "/", Umask: &umask, Groups: &groups, IDs: &IDs{uint32(uid), uint32(uid)},
			NoNewPrivileges: true,
			Seccomp:         allowAll, DirFD: &number, Files: []int{0, 1, 2}, DeathSignal: syscall.SIGKILL,
			Capabilities: capabilities,
		}
		fmt.Println(syscall.Gettid())
		if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
			return err
		}
		_, err = Start(context.Background(), s)
		return err
	}
	roles["attacker"] = func() error {
		fmt.Println("ready")
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			var pid int
			if _, err := fmt.Sscan(lines.Text(), &pid); err != nil {
				return err
			}
			var names []string
			for name, attack := range attacks {
				if attack(pid) == nil {
					names = append(names, name)
				}
			}
			sort.Strings(names)
			fmt.Println(strings.Join(names, " "))
		}
		return nil
	}
}

// attacks are what a process can try with another one. nil is success.
var attacks = map[string]func(pid int) error{
	"mem":     opening("mem", syscall.O_RDWR),
	"exe":     opening("exe", syscall.O_RDONLY),
	"root":    opening("root", syscall.O_RDONLY),
	"cwd":     opening("cwd/.", syscall.O_RDONLY),
	"fd":      opening("fd/0", syscall.O_RDONLY|syscall.O_NONBLOCK),
	"maps":    opening("maps", syscall.O_RDONLY),
	"pagemap": opening("pagemap", syscall.O_RDONLY),
	"environ": opening("environ", syscall.O_RDONLY),
	"ns":      opening("ns/mnt", syscall.O_RDONLY),
	"read": func(pid int) error {
		// At the place where this very program has its text, which is the same one and not moved about: a word of it.
		var word [8]byte
		local := syscall.Iovec{Base: &word[0], Len: 8}
		remote := syscall.Iovec{Base: (*byte)(unsafe.Pointer(&word[0])), Len: 8}
		const processVMReadv = 310 // of amd64; EFAULT is what it says who may
		_, _, errno := syscall.RawSyscall6(processVMReadv, uintptr(pid), pointer(&local), 1, pointer(&remote), 1, 0)
		if errno == 0 || errno == syscall.EFAULT {
			return nil
		}
		return errno
	},
	"getfd": func(pid int) error {
		const pidfdOpen, pidfdGetfd = 434, 438
		pidfd, _, errno := syscall.RawSyscall(pidfdOpen, uintptr(pid), 0, 0)
		if errno != 0 {
			return errno
		}
		defer syscall.Close(int(pidfd))
		fd, _, errno := syscall.RawSyscall(pidfdGetfd, pidfd, 0, 0)
		if errno != 0 {
			return errno
		}
		return syscall.Close(int(fd))
	},
	"trace": func(pid int) error {
		const seize, detach = 0x4206, 17
		if _, _, errno := syscall.RawSyscall6(syscall.SYS_PTRACE, seize, uintptr(pid), 0, 0, 0, 0); errno != 0 {
			return errno
		}
		// Whoever is stopped traps at once, and can be let go of.
		for range 1000 {
			if _, _, errno := syscall.RawSyscall6(syscall.SYS_PTRACE, detach, uintptr(pid), 0, 0, 0, 0); errno == 0 {
				return nil
			}
			syscall.RawSyscall6(syscall.SYS_PTRACE, 0x4207, uintptr(pid), 0, 0, 0, 0) // interrupt
			time.Sleep(time.Millisecond)
		}
		return nil
	},
}

// opening opens a file in the process's folder, and reads from it if that can be done at once.
func opening(name string, flags int) func(pid int) error {
	return func(pid int) error {
		fd, err := syscall.Open(fmt.Sprintf("/proc/%d/%s", pid, name), flags|syscall.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		return syscall.Close(fd)
	}
}

type attacker struct {
	in     io.Writer
	out    *bufio.Reader
	inside bool // in a pid namespace of its own
}

func startAttacker(t *testing.T, pid int, kinds bootstrap.Namespaces, uid int) *attacker {
	t.Helper()
	_, err := exec.LookPath("nsenter")
	testutil.Require(t, err == nil && runtime.GOARCH == "amd64", "nsenter(1), on amd64")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("nsenter", append(into(pid, kinds, uid), program)...)
	cmd.Env = append(os.Environ(), envRole+"=attacker")
	cmd.Stderr = os.Stderr
	in, out := testutil.StartPiped(t, cmd)
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	a := &attacker{in, bufio.NewReader(out), kinds.Has(bootstrap.PID)}
	if line, err := a.out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("the attacker said %q (%v)", line, err)
	}
	return a
}

// try has a process attacked, with the number that the attacker sees.
func (a *attacker) try(t *testing.T, pid int, mustBeSeen bool) string {
	t.Helper()
	if a.inside {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		_, rest, _ := strings.Cut(string(text), "\nNSpid:\t")
		line, _, _ := strings.Cut(rest, "\n")
		numbers := strings.Fields(line)
		if len(numbers) < 2 {
			// nsenter(1)'s child is inside, not that one itself.
			children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
			child, err := strconv.Atoi(strings.TrimSpace(string(children)))
			if err != nil || mustBeSeen {
				if mustBeSeen {
					t.Errorf("process %d is not inside: %q", pid, line)
				}
				return ""
			}
			return a.try(t, child, true)
		}
		pid, _ = strconv.Atoi(numbers[len(numbers)-1])
	}
	fmt.Fprintln(a.in, pid)
	line, err := a.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// attackAfter starts a victim, stops the program's process after its nth system call, and has it attacked. The name is
// that call's, "" if the program ran before it.
func attackAfter(t *testing.T, n int, a *attacker, role string, arguments ...string) (name, found string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", arguments...)
	cmd.Env = append(os.Environ(), envRole+"="+role)
	cmd.Stderr = os.Stderr
	in, out := testutil.StartPiped(t, cmd)
	defer cmd.Wait()
	defer cmd.Process.Kill()
	var tid int
	if _, err := fmt.Fscan(out, &tid); err != nil {
		t.Fatal(err)
	}
	type result struct {
		pid  int
		name string
		err  error
	}
	stopped := make(chan result)
	attacked := make(chan struct{})
	ended := make(chan struct{})
	go func() { // on a thread of its own, which ends with all that it traces
		defer close(ended)
		runtime.LockOSThread()
		pid, name, err := stopAfter(tid, n, func() { in.Write([]byte{'.'}) })
		stopped <- result{pid, name, err}
		<-attacked
	}()
	r := <-stopped
	defer func() {
		close(attacked)
		if r.pid != 0 {
			syscall.Kill(r.pid, syscall.SIGKILL)
		}
		<-ended
	}()
	if r.err != nil {
		t.Fatal(r.err)
	}
	if r.name == "" {
		return "", ""
	}
	for end := time.Now().Add(short); ; time.Sleep(100 * time.Microsecond) {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.pid))
		if _, rest, _ := strings.Cut(string(text), ") "); strings.HasPrefix(rest, "T") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("process %d does not stop: %s", r.pid, text)
		}
	}
	return r.name, a.try(t, r.pid, true)
}

// Requests of ptrace(2) and their options.
const (
	ptraceCont       = 7
	ptraceDetach     = 17
	ptraceSyscall    = 24
	ptraceSeize      = 0x4206
	ptraceCallInfo   = 0x420e // Linux 5.3
	optionSysgood    = 0x1
	optionFork       = 0x2
	optionExec       = 0x10
	optionExitKill   = 0x100000
	eventExec        = 4
	eventStop        = 128
	waitAll          = syscall.WALL
	waitNoThread     = 0x20000000
	callInfoSize     = 88
	callInfoNrOffset = 24
)

func ptrace(request, pid int, address, data uintptr) error {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PTRACE, uintptr(request), uintptr(pid), address, data, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// stopAfter traces a thread of the victim's and the process that it creates, and leaves that stopped after its nth
// call. No name: it has executed the program before.
func stopAfter(tid, n int, begin func()) (pid int, name string, err error) {
	const options = optionSysgood | optionFork | optionExec | optionExitKill
	if err := ptrace(ptraceSeize, tid, 0, options); err != nil {
		return 0, "", err
	}
	begin()
	program, calls, isEntry := 0, 0, true
	last, before := ^uintptr(0), ^uintptr(0) // calls
	for {
		var status syscall.WaitStatus
		who, err := syscall.Wait4(-1, &status, waitAll|waitNoThread, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil && last == syscall.SYS_EXECVE { // and with it the program
			return 0, "", nil
		}
		if err != nil {
			return 0, "", fmt.Errorf("the victim has ended after %d calls, the last %d: %w", calls, last, err)
		}
		if !status.Stopped() {
			continue
		}
		event, signal := int(status)>>16, status.StopSignal()
		leave := func(name string) (int, string, error) {
			syscall.Kill(who, syscall.SIGSTOP)
			return program, name, ptrace(ptraceDetach, who, 0, 0)
		}
		switch {
		case who == tid:
			deliver := uintptr(signal)
			if event != 0 {
				deliver = 0
			}
			ptrace(ptraceCont, who, 0, deliver)
		case program == 0 && event == eventStop:
			program = who
			if n == 0 {
				return leave("nothing")
			}
			ptrace(ptraceSyscall, who, 0, 0)
		case event == eventExec:
			return program, "", nil
		case signal == syscall.SIGTRAP|0x80:
			if isEntry {
				last = callNumber(who)
			} else if last != before || last != syscall.SYS_RT_SIGACTION { // those are all alike
				before = last
				if calls++; calls == n {
					return leave("call " + strconv.Itoa(int(last)))
				}
			}
			isEntry = !isEntry
			ptrace(ptraceSyscall, who, 0, 0)
		default:
			ptrace(ptraceSyscall, who, 0, 0)
		}
	}
}

// callNumber is the number of the call that a process enters.
func callNumber(pid int) uintptr {
	var info [callInfoSize]byte
	ptrace(ptraceCallInfo, pid, callInfoSize, uintptr(unsafe.Pointer(&info[0])))
	return uintptr(binary.NativeEndian.Uint64(info[callInfoNrOffset:]))
}
