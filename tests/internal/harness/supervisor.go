// SPDX-License-Identifier: Apache-2.0

//go:build linux

package harness

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
	"sync"
	"syscall"
	"time"
	"unsafe"

	"nsenter-cpp.example/internal/launch"
)

// superviseMain is pid 1 of the new namespaces. While package launch does the parent's part, this
// goroutine polls: what it sees of two fds is then in the order in which it looked.
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

	launch launch.Launch
	conn   int // launch.Conn
	// What arrives at our ends. Of INITPIPE it is what follows the reply's line, and nil until that has been read.
	initpipe, stdout, stderr *source
	logEnd                   *os.File
	log                      *launch.Log // nil: not read yet
	mutex                    sync.Mutex
	lines                    []string // of the log

	files   []uintptr // the launched process's
	ours    []int     // their numbers here, to be closed after the start
	fdNames map[string]string
	console uint64 // device number
	bystand []int  // processes of ours, to be ended
	first   int    // one that ends last: the first of the launched process's pid namespace
	ownPid  int    // the launched process's pid as it sees it itself
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

// step collects what has arrived. Standard output is read first: what the init process says there
// comes after the reply, so that must be there when INITPIPE is looked at afterwards.
func (r *run) step() {
	r.stdout.drain()
	r.initpipe.drain()
	r.stderr.drain()
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
	r := &run{c: c, deadline: time.Now().Add(c.Deadline), fdNames: make(map[string]string)}
	if err := r.prepareFDs(); err != nil {
		return Outcome{}, err
	}
	if err := r.start(); err != nil {
		return Outcome{}, err
	}
	err := r.drive()
	return r.o, err
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
	r.logEnd = os.NewFile(uintptr(fd), "LOGPIPE")
	if r.c.has("logpipe-no-reader") {
		r.logEnd.Close()
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
	l := &r.launch
	l.Initpipe, l.Message, l.Piece, l.Shut = 3, r.c.Message, r.c.Piece, r.c.Shut
	make := socketPair
	switch {
	case r.c.has("initpipe-file"):
		if err := os.WriteFile("/mnt/message", r.c.Message, 0o644); err != nil {
			return err
		}
		make = func() (ours, theirs int, err error) {
			if theirs, err = syscall.Open("/mnt/message", syscall.O_RDONLY|syscall.O_CLOEXEC, 0); err == nil {
				ours, err = atEOF()
			}
			return ours, theirs, err
		}
		l.Message, l.Shut = nil, false
	case r.c.has("initpipe-pipe-write"):
		make = outPipe
		l.Message, l.Shut = nil, false
	case r.c.has("initpipe-pipe-read"):
		make = inPipe
	case r.c.has("initpipe-no-reader"):
		make = func() (ours, theirs int, err error) {
			left, theirs, err := socketPair()
			if err == nil {
				_, err = syscall.Write(left, r.c.Message)
				syscall.Close(left)
			}
			if err == nil {
				ours, err = atEOF()
			}
			return ours, theirs, err
		}
		l.Message, l.Shut = nil, false
	}
	var err error
	r.conn, err = r.pair(3, "initpipe", make)
	l.Conn = os.NewFile(uintptr(r.conn), "INITPIPE")
	return err
}

// atEOF is our end of an INITPIPE that we have no end of.
func atEOF() (int, error) { return syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0) }

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
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(master), call.request,
			uintptr(unsafe.Pointer(call.value))); errno != 0 {
			return fmt.Errorf("/dev/ptmx: %w", errno)
		}
	}
	slave := fmt.Sprintf("/dev/pts/%d", number)
	var st syscall.Stat_t
	if err := syscall.Stat(slave, &st); err != nil {
		return fmt.Errorf("%s: %w", slave, err)
	}
	r.console = uint64(st.Rdev) // of 32 bits on MIPS
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
	if r.c.has("setuid") {
		program = "/mnt/setuid"
	}
	l := &r.launch
	l.Path, l.Args, l.Env, l.Dir, l.Files = program, []string{program}, r.c.Env, "/mnt", r.files
	l.WaitFirst = r.c.Order == WaitFirst
	l.Sys = &syscall.SysProcAttr{Credential: &syscall.Credential{
		Uid: uint32(r.c.UID), Gid: uint32(r.c.GID), Groups: []uint32{10, 20},
	}}
	if r.c.has("pid-1") {
		l.Sys.Cloneflags = syscall.CLONE_NEWPID
		r.ownPid = 1
	}
	if r.c.has("parent-outside") {
		if err := syscall.Unshare(syscall.CLONE_NEWPID); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		var err error
		if r.first, err = syscall.ForkExec("/bin/sleep", []string{"sleep", "infinity"}, &syscall.ProcAttr{}); err != nil {
			return err
		}
		r.ownPid = 2
	}
	if err := l.Start(); err != nil {
		return fmt.Errorf("failed to start the program: %w", err)
	}
	if r.ownPid == 0 {
		r.ownPid = l.Pid
	}
	for _, fd := range r.ours {
		syscall.Close(fd)
	}
	if !r.c.has("logpipe-full") {
		r.readLog()
	}
	return nil
}

func (r *run) readLog() {
	r.log = launch.ReadLog(r.logEnd, nil, func(line []byte) {
		r.mutex.Lock()
		defer r.mutex.Unlock()
		r.lines = append(r.lines, string(line))
	})
}

const returned = "nsexec returned\n"

func (r *run) output() string { return strings.ReplaceAll(r.stdout.text(), "\r\n", "\n") }

// drive is all that comes after the start.
func (r *run) drive() error {
	l := &r.launch
	failure := r.watch()
	r.initpipe = &source{fd: r.conn}
	init := l.Reply().Init
	if init != 0 && r.wait("return of the init process", func() bool {
		return strings.HasPrefix(r.output(), returned) || ended(init)
	}) {
		r.o.Init = stateOf(init, r.fdNames, r.console)
	}
	r.o.Status = "still running"
	if r.wait("exit of the launched process", func() bool { return ended(l.Pid) }) {
		status, err := launch.PeekStatus(l.Pid)
		if err != nil && err != syscall.ECHILD { // it has been reaped, which only status 0 is
			return err
		}
		r.o.Status = statusText(status)
	}
	if r.log == nil {
		r.readLog()
	}
	if init != 0 {
		launch.Send(l.Conn, []byte(Document), 0, true)
		if r.wait("end of the init process", func() bool { return ended(init) }) {
			var status syscall.WaitStatus
			syscall.Wait4(init, &status, 0, nil)
			r.o.InitStatus = statusText(status)
		}
	}
	r.conclude(init)
	if r.o.Hang == "" {
		r.cleanUp(failure)
	}
	return nil
}

// watch lets package launch be the parent, and looks on.
func (r *run) watch() (failure error) {
	l := &r.launch
	stage1 := make(chan string, 1)
	l.Replied = func(reply launch.Reply) { stage1 <- r.whatIs(reply.Stage1) }
	driven := make(chan error, 1)
	go func() { driven <- l.Drive() }()
	if !r.wait("", func() bool {
		if strings.HasPrefix(r.output(), returned) && !l.Heard() && !ended(l.Pid) && len(r.processes()) > 1 {
			r.o.EarlyInit = true
		}
		select {
		case failure = <-driven:
			return true
		default:
			return false
		}
	}) {
		r.o.Hang = l.Step()
	}
	select {
	case r.o.Stage1 = <-stage1:
	default:
	}
	if r.o.Hang == "end of the process in stage1_pid" {
		r.o.Stage1 = "a child that does not end"
	}
	return failure
}

// cleanUp lets package launch undo what has failed, and sees whether all have been waited for.
func (r *run) cleanUp(failure error) {
	if failure != nil {
		r.launch.Undo()
	}
	if r.first != 0 {
		// It ends when the kernel has ended its pid namespace, in which nobody may be left to be waited for. (Somebody
		// is if the reply had that namespace's pids, which here are others', or nobody's.)
		syscall.Kill(r.first, syscall.SIGKILL)
		r.bystand = append(r.bystand, r.first)
	}
	for _, pid := range r.bystand {
		if r.wait("end of a process of the harness", func() bool { return ended(pid) }) {
			syscall.Wait4(pid, nil, 0, nil)
		}
	}
	r.o.Left = append(r.o.Left, zombies()...)
}

func statusText(status syscall.WaitStatus) string {
	if status.Signaled() {
		return fmt.Sprintf("signal %d", int(status.Signal()))
	}
	return strconv.Itoa(status.ExitStatus())
}

// whatIs says what the process in stage1_pid is, before it is waited for.
func (r *run) whatIs(a int) string {
	switch stat := statFields(a); {
	case a == 0:
		return ""
	case a == launch.NoStage1:
		return "none"
	case a == os.Getpid():
		return "the parent"
	case a == r.launch.Pid:
		return "the launched process"
	case stat == nil || stat[1] != strconv.Itoa(os.Getpid()):
		return "no child of the parent"
	}
	return "child that ends"
}

// conclude collects what is left and what was said.
func (r *run) conclude(init int) {
	for _, pid := range r.bystand {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	r.wait("end of everything", func() bool {
		return !r.initpipe.open() && r.log.Ended() && !r.stdout.open() && !r.stderr.open() &&
			len(r.processes()) == 0
	})
	for _, end := range []struct {
		name string
		open bool
	}{
		{"INITPIPE", r.initpipe.open()},
		{"LOGPIPE", !r.log.Ended()},
		// A terminal that nobody ever opened has no end.
		{"stdout", r.stdout.open() && r.console == 0},
		{"stderr", r.stderr.open()},
	} {
		if end.open {
			r.o.Left = append(r.o.Left, end.name+" open")
		}
	}
	r.o.Left = append(r.o.Left, r.processes()...)
	text := r.output()
	r.o.Untouched = init == 0 && strings.HasPrefix(text, returned)
	r.o.Stdout = text
	r.o.Stderr = namePids(r.stderr.text())
	r.o.Initpipe = nameReply(r.launch.Line()+r.initpipe.text(), r.launch.Reply())
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, line := range r.lines {
		r.takeLine(line)
	}
	if spied, err := os.ReadFile("/mnt/spied"); err == nil {
		r.o.Spied = string(spied)
	}
}

var number = regexp.MustCompile(`\b[0-9]+\b`)

// nameReply puts A and B in the place of the reply's pids.
func nameReply(text string, reply launch.Reply) string {
	return number.ReplaceAllStringFunc(text, func(found string) string {
		switch found {
		case strconv.Itoa(reply.Stage1):
			return "A"
		case strconv.Itoa(reply.Init):
			return "B"
		}
		return found
	})
}

// What chance determines are the pids that the kernel has given out, and it has not got far. Those that vectors name
// have four digits or more.
var givenPid = regexp.MustCompile(`(/proc/|\bon )[0-9]{1,3}\b`)

// namePids puts PID in the place of pids that only chance determines.
func namePids(text string) string { return givenPid.ReplaceAllString(text, "${1}PID") }

// takeLine notes what a line of the log says, PID being the pid of who says it, and what breaks the rules for such
// lines. The launched process's own pid is checked.
func (r *run) takeLine(raw string) {
	bad := func(format string, value interface{}) { r.o.BadLog = append(r.o.BadLog, fmt.Sprintf(format, value)) }
	const tooLong = 4096
	if len(raw) >= tooLong { // how long also depends on pids
		bad("line of %d bytes or more", tooLong)
	}
	line, err := launch.ParseLine([]byte(raw))
	var entry map[string]string
	if err != nil || json.Unmarshal([]byte(raw), &entry) != nil || !strings.HasSuffix(raw, "\n") {
		bad("no complete JSON object of strings: %q", raw)
		return
	}
	if len(entry) != 2 || line.Level == "" || line.Pid == 0 {
		bad("other than level and msg: %q", raw)
	}
	tag, pid := "nsexec", "PID"
	if line.Stage >= 0 {
		tag += "-" + strconv.Itoa(line.Stage)
	}
	if line.Stage <= 0 && line.Pid != r.ownPid {
		pid = "another PID"
	}
	text := tag + "[" + pid + "]: " + namePids(line.Text)
	if line.Level == "fatal" {
		r.o.Fatal = append(r.o.Fatal, text)
	} else {
		r.o.Log = append(r.o.Log, line.Level+" "+text)
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
