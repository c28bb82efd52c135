// SPDX-License-Identifier: Apache-2.0

//go:build linux

package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// superviseMain is pid 1 of the new namespaces. It has one goroutine, which polls: what it sees of
// two fds is then in the order in which it looked.
func superviseMain() {
	runtime.LockOSThread() // parent-outside changes this thread's pid namespace
	keepFDs()
	out := os.NewFile(uintptr(dupAbove(1, 20)), "report")
	var c Case
	var r report
	err := json.NewDecoder(os.Stdin).Decode(&c)
	if err == nil {
		r.Outcome, err = supervise(c)
	}
	if err != nil {
		r.Error = err.Error()
	}
	if err := json.NewEncoder(out).Encode(r); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// keepFDs keeps from the launched process whatever fds the test was started with.
func keepFDs() {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return // the comparison of fds tells
	}
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil {
			syscall.CloseOnExec(fd)
		}
	}
}

// run is one launch, in the supervisor.
type run struct {
	c        Case
	deadline time.Time
	o        Outcome

	initpipe, logpipe, stdout, stderr *source
	toInit                            int // our end of INITPIPE, for writing; -1: none
	queue                             []byte
	piece                             int
	shut                              bool // shut toInit down when the queue is empty

	files    []uintptr // the launched process's
	ours     []int     // their numbers here, to be closed after the start
	fdNames  map[string]string
	console  uint64 // device number
	bystand  []int  // processes of ours, to be ended
	launched int
	ownPid   int // the launched process's pid as it sees it itself
	status   syscall.WaitStatus
	reaped   bool
}

// source collects what arrives on a non-blocking fd.
type source struct {
	fd   int
	data []byte
	eof  bool
}

func (s *source) drain() {
	var buffer [65536]byte
	for s != nil && !s.eof {
		n, err := syscall.Read(s.fd, buffer[:])
		switch {
		case err == syscall.EAGAIN:
			return
		case err == syscall.EINTR:
		case err != nil, n == 0:
			// A pseudo-terminal ends with EIO, a socket whose peer left bytes unread with ECONNRESET.
			s.eof = true
		default:
			s.data = append(s.data, buffer[:n]...)
		}
	}
}

func (s *source) text() string {
	if s == nil {
		return ""
	}
	return string(s.data)
}

func (s *source) open() bool { return s != nil && !s.eof }

func dupAbove(fd, lowest int) int {
	n, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, uintptr(lowest))
	if errno != 0 {
		panic(errno)
	}
	return int(n)
}

// step lets everything move on that can. Standard output is read first: what the init process
// says there comes after the reply, so the reply must be there when INITPIPE is read afterwards.
func (r *run) step() {
	for r.toInit >= 0 && len(r.queue) > 0 {
		n := len(r.queue)
		if r.piece > 0 && r.piece < n {
			n = r.piece
		}
		n, err := syscall.Write(r.toInit, r.queue[:n])
		if err == syscall.EAGAIN || err == syscall.EINTR {
			break
		}
		if err != nil {
			r.queue, r.shut = nil, false // the reader has gone
			break
		}
		r.queue = r.queue[n:]
	}
	if r.shut && len(r.queue) == 0 {
		r.shut = false
		if err := syscall.Shutdown(r.toInit, syscall.SHUT_WR); err != nil {
			syscall.Close(r.toInit) // a pipe
			r.toInit = -1
		}
	}
	r.stdout.drain()
	r.initpipe.drain()
	r.stderr.drain()
	if !r.c.has("logpipe-full") || r.reaped {
		r.logpipe.drain()
	}
}

// wait polls until it is so, and reports what was not so at the deadline.
func (r *run) wait(what string, so func() bool) bool {
	for {
		r.step()
		if so() {
			return true
		}
		if time.Now().After(r.deadline) {
			if r.o.Hang == "" {
				r.o.Hang = what
			}
			return false
		}
		time.Sleep(200 * time.Microsecond)
	}
}

func waitFor(what string, so func() bool) error {
	for deadline := time.Now().Add(10 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("waited in vain for: %s", what)
		}
	}
	return nil
}

func ended(pid int) bool {
	state := processState(pid)
	return state == 0 || state == 'Z' || state == 'X'
}

// superviseLibrary is there where nsenter/parent is.
var superviseLibrary = func(*run) error { return errors.New("the library is for gc and Go 1.22 or newer") }

func supervise(c Case) (Outcome, error) {
	if err := prepareMounts(c); err != nil {
		return Outcome{}, err
	}
	if err := StartFixture(c.Fixture); err != nil {
		return Outcome{}, err
	}
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte("7"), 0); err != nil {
		return Outcome{}, err
	}
	r := &run{c: c, deadline: time.Now().Add(c.Deadline), toInit: -1, fdNames: make(map[string]string)}
	if c.ByLibrary {
		r.fdNames["/dev/null"] = "null"
		err := superviseLibrary(r)
		return r.o, err
	}
	if err := r.prepareFDs(); err != nil {
		return Outcome{}, err
	}
	if err := r.start(); err != nil {
		return Outcome{}, err
	}
	r.drive()
	return r.o, nil
}

func prepareMounts(c Case) error {
	program, err := os.Open(c.Program)
	if err != nil {
		return err
	}
	defer program.Close()
	// By its name: /proc/self/exe leads to a mount of the namespace that we came from.
	executable, err := os.Executable()
	if err != nil {
		return err
	}
	self, err := os.Open(executable)
	if err != nil {
		return err
	}
	defer self.Close()
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("failed to make mounts private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("failed to mount /proc: %w", err)
	}
	if err := syscall.Mount("tmpfs", "/mnt", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("failed to mount /mnt: %w", err)
	}
	if err := os.Chdir("/mnt"); err != nil {
		return err
	}
	syscall.Umask(0)
	write := func(path string, mode os.FileMode, text string) {
		if err == nil {
			err = os.WriteFile(path, []byte(text), mode)
		}
	}
	bind := func(source, target string) {
		if err == nil {
			if err = syscall.Mount(source, target, "", syscall.MS_BIND, ""); err != nil {
				err = fmt.Errorf("failed to mount %s on %s: %w", source, target, err)
			}
		}
	}
	write("/mnt/file", 0o644, "")
	write("/mnt/probe", 0o755, "")
	bind(fmt.Sprintf("/proc/self/fd/%d", program.Fd()), "/mnt/probe")
	if err == nil {
		err = syscall.Mkfifo("/mnt/fifo", 0o666)
	}
	if err == nil {
		err = os.Mkdir("/mnt/tools", 0o755)
	}
	if err == nil {
		err = os.Symlink("/mnt/ns/net", "/mnt/net:1")
	}
	write("/mnt/tools/fail3", 0o755, "#!/bin/sh\nexit 3\n")
	write("/mnt/tools/killed", 0o755, "#!/bin/sh\nkill -9 $$\n")
	write("/mnt/tools/spy", 0o755, "")
	bind(fmt.Sprintf("/proc/self/fd/%d", self.Fd()), "/mnt/tools/spy")
	write("/mnt/spied", 0o666, "")
	if c.has("subids") {
		// The files keep their other lines: programs look for root in them.
		for _, name := range []string{"passwd", "subuid", "subgid"} {
			text, readErr := os.ReadFile("/etc/" + name)
			if readErr != nil && !errors.Is(readErr, os.ErrNotExist) {
				return readErr
			}
			line := "1000:200000:65536\n"
			if name == "passwd" {
				line = "nsexec-test:x:1000:1000::/:/bin/sh\n"
			}
			write("/mnt/"+name, 0o644, line+string(text))
			bind("/mnt/"+name, "/etc/"+name)
		}
	}
	if c.has("setuid") && err == nil {
		var image []byte
		if image, err = io.ReadAll(program); err == nil {
			write("/mnt/setuid", 0o755, string(image))
		}
		if err == nil {
			err = os.Chown("/mnt/setuid", 65533, 65533)
		}
		if err == nil {
			err = os.Chmod("/mnt/setuid", 0o755|os.ModeSetuid)
		}
	}
	return err
}

// pair makes both ends of what fd number becomes in the launched process, and returns ours.
func (r *run) pair(number int, name string, make func() (ours, theirs int, err error)) (int, error) {
	low, high, err := make()
	if err != nil {
		return -1, fmt.Errorf("%s: %w", name, err)
	}
	// Out of the way of the numbers that the launched process has.
	ours := dupAbove(low, 20)
	theirs := dupAbove(high, 20)
	syscall.Close(low)
	syscall.Close(high)
	if err := syscall.SetNonblock(ours, true); err != nil {
		return -1, err
	}
	r.files[number] = uintptr(theirs)
	r.ours = append(r.ours, theirs)
	if target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", theirs)); err == nil {
		r.fdNames[target] = name
	}
	return ours, nil
}

func outPipe() (ours, theirs int, err error) {
	var p [2]int
	err = syscall.Pipe2(p[:], syscall.O_CLOEXEC)
	return p[0], p[1], err
}

func inPipe() (ours, theirs int, err error) {
	theirs, ours, err = outPipe()
	return ours, theirs, err
}

func socketPair() (ours, theirs int, err error) {
	p, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	return p[0], p[1], err
}

func (r *run) prepareFDs() error {
	r.files = make([]uintptr, 5)
	null, err := syscall.Open("/dev/null", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	r.files[0] = uintptr(dupAbove(null, 20))
	r.fdNames["/dev/null"] = "null"

	if r.c.has("stdin-closed") {
		r.files[0] = ^uintptr(0)
	}
	if r.c.has("read-only-5") {
		fd, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		r.files = append(r.files, uintptr(dupAbove(fd, 20)))
		syscall.Close(fd)
	}

	if err := r.prepareInitpipe(); err != nil {
		return err
	}
	fd, err := r.pair(4, "logpipe", outPipe)
	if err != nil {
		return err
	}
	r.logpipe = &source{fd: fd}
	if r.c.has("logpipe-no-reader") {
		syscall.Close(fd)
		r.logpipe.eof = true
	}
	if r.c.has("logpipe-full") {
		theirs := int(r.files[4])
		if err := syscall.SetNonblock(theirs, true); err != nil {
			return err
		}
		for err = nil; err == nil; { // empty lines, which nobody counts
			_, err = syscall.Write(theirs, []byte{'\n'})
		}
	}

	if r.c.has("console-pty") || r.c.has("console-stdio") || r.c.has("console-taken") {
		return r.prepareConsole()
	}
	if fd, err = r.pair(1, "pipe", outPipe); err != nil {
		return err
	}
	r.stdout = &source{fd: fd}
	if fd, err = r.pair(2, "pipe", outPipe); err != nil {
		return err
	}
	r.stderr = &source{fd: fd}
	return nil
}

func (r *run) prepareInitpipe() error {
	r.queue, r.piece, r.shut = r.c.Message, r.c.Piece, r.c.Shut
	switch {
	case r.c.has("initpipe-file"):
		if err := os.WriteFile("/mnt/message", r.c.Message, 0o644); err != nil {
			return err
		}
		fd, err := syscall.Open("/mnt/message", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		theirs := dupAbove(fd, 20)
		syscall.Close(fd)
		r.files[3] = uintptr(theirs)
		r.ours = append(r.ours, theirs)
		r.queue, r.shut = nil, false
		return nil
	case r.c.has("initpipe-pipe-write"):
		fd, err := r.pair(3, "initpipe", outPipe)
		r.initpipe = &source{fd: fd}
		r.queue, r.shut = nil, false
		return err
	case r.c.has("initpipe-pipe-read"):
		fd, err := r.pair(3, "initpipe", inPipe)
		r.toInit = fd
		return err
	}
	fd, err := r.pair(3, "initpipe", socketPair)
	if err != nil {
		return err
	}
	r.toInit = fd
	r.initpipe = &source{fd: fd}
	if r.c.has("initpipe-no-reader") {
		r.step() // leave the message behind
		syscall.Close(fd)
		r.toInit = -1
		r.initpipe = nil
	}
	return nil
}

// prepareConsole makes a pseudo-terminal, links /mnt/console to it and reads its master.
func (r *run) prepareConsole() error {
	opened, err := syscall.Open("/dev/ptmx", syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("/dev/ptmx: %w", err)
	}
	master := dupAbove(opened, 20)
	syscall.Close(opened)
	var number, unlock uint32
	for _, call := range []struct {
		request uintptr
		value   *uint32
	}{{syscall.TIOCGPTN, &number}, {syscall.TIOCSPTLCK, &unlock}} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(master), call.request, uintptr(unsafe.Pointer(call.value))); errno != 0 {
			return fmt.Errorf("/dev/ptmx: %w", errno)
		}
	}
	slave := fmt.Sprintf("/dev/pts/%d", number)
	var st syscall.Stat_t
	if err := syscall.Stat(slave, &st); err != nil {
		return fmt.Errorf("%s: %w", slave, err)
	}
	r.console = st.Rdev
	r.fdNames[slave] = "console"
	if err := os.Symlink(slave, "/mnt/console"); err != nil {
		return err
	}
	if err := syscall.SetNonblock(master, true); err != nil {
		return err
	}
	r.stdout = &source{fd: master}
	if r.c.has("console-taken") {
		if err := r.takeConsole(slave); err != nil {
			return err
		}
	}
	if r.c.has("console-stdio") {
		fd, err := syscall.Open(slave, syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		theirs := dupAbove(fd, 20)
		syscall.Close(fd)
		r.files[0], r.files[1], r.files[2] = uintptr(theirs), uintptr(theirs), uintptr(theirs)
		r.ours = append(r.ours, theirs)
		return nil
	}
	// Nothing is to appear here after the console was put in the place of both.
	fd, err := r.pair(2, "pipe", outPipe)
	if err != nil {
		return err
	}
	r.files[1] = r.files[2]
	r.stderr = &source{fd: fd}
	return nil
}

// takeConsole starts a session whose controlling terminal the console is.
func (r *run) takeConsole(slave string) error {
	fd, err := syscall.Open(slave, syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	pid, err := syscall.ForkExec("/bin/sleep", []string{"sleep", "infinity"}, &syscall.ProcAttr{
		Files: []uintptr{uintptr(fd)},
		Sys:   &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0},
	})
	r.bystand = append(r.bystand, pid)
	return err
}

func (r *run) start() error {
	program := "/mnt/probe"
	attr := &syscall.ProcAttr{
		Dir:   "/mnt",
		Env:   r.c.Env,
		Files: r.files,
		Sys: &syscall.SysProcAttr{Credential: &syscall.Credential{
			Uid: uint32(r.c.UID), Gid: uint32(r.c.GID), Groups: []uint32{10, 20},
		}},
	}
	if r.c.has("setuid") {
		program = "/mnt/setuid"
	}
	if r.c.has("pid-1") {
		attr.Sys.Cloneflags = syscall.CLONE_NEWPID
		r.ownPid = 1
	}
	if r.c.has("parent-outside") {
		if err := syscall.Unshare(syscall.CLONE_NEWPID); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		first, err := syscall.ForkExec("/bin/sleep", []string{"sleep", "infinity"}, &syscall.ProcAttr{})
		if err != nil {
			return err
		}
		r.bystand = append(r.bystand, first)
		r.ownPid = 2
	}
	pid, err := syscall.ForkExec(program, []string{program}, attr)
	if err != nil {
		return fmt.Errorf("failed to start the program: %w", err)
	}
	r.launched = pid
	if r.ownPid == 0 {
		r.ownPid = pid
	}
	for _, fd := range r.ours {
		syscall.Close(fd)
	}
	return nil
}

var (
	netlinkReply = regexp.MustCompile(`^\{"stage1_pid":([0-9]+),"stage2_pid":([0-9]+)\}\n$`)
	classicReply = regexp.MustCompile(`^\{ "pid" : ([0-9]+) \}\n$`)
)

// reply finds the pids of a complete reply; a is 0 in the classic protocol, which has no such pid.
func (r *run) reply() (a, b int) {
	if m := netlinkReply.FindStringSubmatch(r.initpipe.text()); m != nil {
		a, _ = strconv.Atoi(m[1])
		b, _ = strconv.Atoi(m[2])
	} else if m := classicReply.FindStringSubmatch(r.initpipe.text()); m != nil {
		b, _ = strconv.Atoi(m[1])
	}
	return a, b
}

const returned = "nsexec returned\n"

func (r *run) output() string { return strings.ReplaceAll(r.stdout.text(), "\r\n", "\n") }

// drive is the parent: what it does after the start, in one of the two orders.
func (r *run) drive() {
	replied := func() bool {
		_, b := r.reply()
		if b == 0 && !ended(r.launched) && strings.HasPrefix(r.output(), returned) && len(processes()) > 1 {
			r.o.EarlyInit = true
		}
		return b != 0
	}
	if r.c.Order == WaitFirst {
		r.waitLaunched()
	}
	r.wait("reply", func() bool {
		return replied() || !r.initpipe.open() || r.reaped || ended(r.launched)
	})
	r.step()
	a, b := r.reply()
	if b != 0 {
		if a != 0 {
			r.waitStage1(a, b)
		}
		if r.wait("return of the init process", func() bool {
			return strings.HasPrefix(r.output(), returned) || ended(b)
		}) {
			r.o.Init = stateOf(b, r.fdNames, r.console)
		}
	}
	if !r.reaped {
		r.waitLaunched()
	}
	if b != 0 {
		r.sendDocument()
		if r.wait("end of the init process", func() bool { return ended(b) }) {
			var status syscall.WaitStatus
			syscall.Wait4(b, &status, 0, nil)
			r.o.InitStatus = statusText(status)
		}
	}
	r.conclude(a, b)
}

func (r *run) waitLaunched() {
	if !r.wait("exit of the launched process", func() bool { return ended(r.launched) }) {
		r.o.Status = "still running"
		return
	}
	if _, err := syscall.Wait4(r.launched, &r.status, 0, nil); err != nil {
		r.o.Status = err.Error()
		return
	}
	r.reaped = true
	r.o.Status = statusText(r.status)
}

func statusText(status syscall.WaitStatus) string {
	if status.Signaled() {
		return fmt.Sprintf("signal %d", int(status.Signal()))
	}
	return strconv.Itoa(status.ExitStatus())
}

// waitStage1 waits for pid A as runc does, and says what it was.
func (r *run) waitStage1(a, b int) {
	switch stat := statFields(a); {
	case a == b:
		r.o.Stage1 = "the init process"
	case a == os.Getpid():
		r.o.Stage1 = "parent"
	case a == r.launched:
		r.o.Stage1 = "the launched process"
	case stat == nil || stat[1] != strconv.Itoa(os.Getpid()):
		r.o.Stage1 = "no child of the parent"
	case !r.wait("end of pid A", func() bool { return ended(a) }):
		r.o.Stage1 = "a child that does not end"
	default:
		syscall.Wait4(a, nil, 0, nil)
		r.o.Stage1 = "child that ends"
	}
}

func (r *run) sendDocument() {
	if r.toInit < 0 {
		return
	}
	r.queue, r.piece, r.shut = []byte(Document), 0, true
}

// conclude collects what is left and what was said.
func (r *run) conclude(a, b int) {
	for _, pid := range r.bystand {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	r.wait("end of everything", func() bool {
		return !r.initpipe.open() && !r.logpipe.open() && !r.stdout.open() && !r.stderr.open() &&
			len(processes()) == 0
	})
	for _, s := range []struct {
		name string
		*source
	}{{"INITPIPE", r.initpipe}, {"LOGPIPE", r.logpipe}, {"stdout", r.stdout}, {"stderr", r.stderr}} {
		// A terminal that nobody ever opened has no end.
		if s.source.open() && !(s.name == "stdout" && r.console != 0) {
			r.o.Left = append(r.o.Left, s.name+" open")
		}
	}
	r.o.Left = append(r.o.Left, processes()...)
	if r.launched != 0 && !r.reaped {
		syscall.Kill(r.launched, syscall.SIGKILL)
	}
	text := r.output()
	r.o.Untouched = b == 0 && strings.HasPrefix(text, returned)
	r.o.Stdout = text
	r.o.Stderr = r.namePid(r.stderr.text())
	r.o.Initpipe = nameReply(r.initpipe.text())
	r.readLog()
	if spied, err := os.ReadFile("/mnt/spied"); err == nil {
		r.o.Spied = string(spied)
	}
}

func nameReply(text string) string {
	if netlinkReply.MatchString(text) {
		return netlinkReply.ReplaceAllString(text, `{"stage1_pid":A,"stage2_pid":B}`+"\n")
	}
	if classicReply.MatchString(text) {
		return classicReply.ReplaceAllString(text, `{ "pid" : B }`+"\n")
	}
	return text
}

var tag = regexp.MustCompile(`nsexec(?:-([0-2]))?\[([0-9]+)\]`)

var otherPid = regexp.MustCompile(`(/proc/|\bon )47[0-9]{2}\b`)

// namePid puts PID in the place of the number in a tag, and in a text in the place of pids that
// only chance determines. The launched process's own is checked.
func (r *run) namePid(text string) string {
	text = otherPid.ReplaceAllStringFunc(text, func(found string) string {
		before := found[:len(found)-len("4711")]
		if found == before+strconv.Itoa(FixturePid) {
			return found
		}
		return before + "PID"
	})
	return tag.ReplaceAllStringFunc(text, func(found string) string {
		parts := tag.FindStringSubmatch(found)
		if (parts[1] == "" || parts[1] == "0") && parts[2] != strconv.Itoa(r.ownPid) {
			return strings.Replace(found, "["+parts[2]+"]", "[another PID]", 1)
		}
		return strings.Replace(found, "["+parts[2]+"]", "[PID]", 1)
	})
}

// readLog takes LOGPIPE apart and notes what breaks the rules for its lines.
func (r *run) readLog() {
	for _, line := range strings.SplitAfter(r.logpipe.text(), "\n") {
		if strings.TrimSuffix(line, "\n") == "" {
			continue
		}
		if len(line) >= 4096 {
			r.o.BadLog = append(r.o.BadLog, fmt.Sprintf("line of %d bytes", len(line)))
		}
		var entry map[string]string
		if err := json.Unmarshal([]byte(line), &entry); err != nil || !strings.HasSuffix(line, "\n") {
			r.o.BadLog = append(r.o.BadLog, fmt.Sprintf("no complete JSON object of strings: %q", line))
			continue
		}
		level, msg := entry["level"], entry["msg"]
		if len(entry) != 2 || level == "" || !strings.HasPrefix(msg, "nsexec") {
			r.o.BadLog = append(r.o.BadLog, fmt.Sprintf("other than level and msg: %q", line))
		}
		if level == "fatal" {
			r.o.Fatal = append(r.o.Fatal, r.namePid(msg))
		} else {
			r.o.Log = append(r.o.Log, level+" "+r.namePid(msg))
		}
	}
}

var numbered = regexp.MustCompile(`(pipe|socket):\[[0-9]+\]`)

// spyMain is a mapping tool that writes down what it was given, and fails. The pid of the process to
// be mapped is checked here, and only a wrong one is shown.
func spyMain() {
	args := append([]string(nil), os.Args...)
	if len(args) > 1 {
		pid, _ := strconv.Atoi(args[1])
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && exe == "/mnt/probe" {
			args[1] = "PID"
		} else if procText(pid, "comm") == "probe" || strings.HasPrefix(procText(pid, "comm"), "runc:[") {
			args[1] = "PID"
		}
	}
	fds := numbered.ReplaceAllString(describeFDs(os.Getpid(), map[string]string{"/dev/null": "null"}), "$1")
	text := fmt.Sprintf("%s; environment %q; fds %s\n", strings.Join(args, " "), os.Environ(), fds)
	os.WriteFile("/mnt/spied", []byte(text), 0)
	os.Exit(3)
}
