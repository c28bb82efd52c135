// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package within

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"nsenter-cpp.example/nsenter/bootstrap"
	"nsenter-cpp.example/nsenter/parent"

	_ "nsenter-cpp.example/nsenter" // the constructor, which works in the child
)

// IDRange is a line of a user namespace's map.
type IDRange = bootstrap.IDRange

// TimeOffset is what a clock of a new time namespace is ahead by.
type TimeOffset = bootstrap.TimeOffset

// Proc describes the process in which functions run. The zero Proc is a process in the namespaces of
// the thread that calls. A Proc can be used any number of times, at the same time too, if its Stdin,
// Stdout and Stderr can.
//
// In the namespaces the process is uid 0 and gid 0.
type Proc struct {
	Target Target     // namespaces to join
	New    Namespaces // namespaces to create, for each process

	// UIDMap and GIDMap are those of a new user namespace. If both are nil, root in there is who the
	// caller is outside, and nobody else exists. More than that needs root, or newuidmap(1) and
	// newgidmap(1) in PATH.
	UIDMap, GIDMap []IDRange
	TimeOffsets    []TimeOffset // of a new time namespace
	OOMScoreAdj    *int         // nil leaves it as it is

	// Env is the whole environment. Unlike with os/exec, nil is not the caller's: that describes
	// the machine outside, has secrets, and steers libraries (LD_PRELOAD). It is GODEBUG, GOTRACEBACK,
	// GOCOVERDIR and GORACE, which are about this program and not about where it runs; for a Cmd it is nothing.
	Env []string
	// Dir is the working directory, in the namespaces. The default is their root.
	Dir string
	// Stdin, Stdout and Stderr are as with os/exec; nil is the caller's /dev/null. But a Stdin that is no *os.File
	// is not waited for when the process has ended: what is read from it afterwards is lost.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// ExtraFiles are descriptors 3 and following, as with os/exec. With the namespaces to join and a program of
	// the caller's they may be 180.
	ExtraFiles []*os.File

	// Started is called while the process exists and nothing is done yet: what it is given then (a
	// cgroup, CPU affinity), the function's process inherits.
	Started func(pid int) error
	// Logger has the log of what happens before the function's process runs.
	Logger *slog.Logger
	// MaxMessage is how many bytes an encoded argument or result can have; 0 is 16 MiB.
	MaxMessage int
	// ReuseThreads makes calls of a session faster: a new thread for each is a third of what a call costs.
	// With it, a function that changes its thread (setns, a capability dropped) has to follow Go's rule:
	// call runtime.LockOSThread before, and do not unlock. Else a later call may find the thread changed.
	ReuseThreads bool
}

const defaultMaxMessage = 16 << 20

func (p *Proc) maxMessage() int {
	if p.MaxMessage > 0 {
		return p.MaxMessage
	}
	return defaultMaxMessage
}

// envInternal tells the child which of its descriptors are this package's, and what it has to know
// before anything else: FIRST,COUNT,JOINED. From FIRST on there are COUNT descriptors: a program to be
// executed and a copy of this program, if there are, namespaces, and at the end the socket for requests.
// INITPIPE and LOGPIPE follow. JOINED is the namespaces that were joined, as a number.
const envInternal = "_NSENTER_WITHIN"

// launch starts the child and returns when it is on its way to Init. With a command, nil for functions, that is
// the caller's program, the child has it as a descriptor; the number is that there, or else -1.
func (p *Proc) launch(ctx context.Context, c *Cmd) (r *running, number int, err error) {
	switch {
	case child != nil:
		return nil, -1, ErrNested
	case !functions.frozen():
		return nil, -1, ErrNoInit
	}
	namespaces, err := p.Target.open()
	if err != nil {
		return nil, -1, err
	}
	defer closeAll(namespaces)
	message, err := p.message()
	if err != nil {
		return nil, -1, err
	}
	joined := Namespaces(0)
	for _, n := range namespaces {
		joined |= n.kind
	}
	exposed := (joined|p.New)&(PID|Mount) != 0 && !noSealedCopy
	files := p.ExtraFiles[:len(p.ExtraFiles):len(p.ExtraFiles)]
	first := 3 + len(files)
	number = -1
	if c != nil && c.FromCaller {
		program, err := openProgram(c.Path, exposed)
		if err != nil {
			return nil, -1, err
		}
		defer program.Close()
		number = first
		files = append(files, program)
	}
	for _, n := range namespaces {
		message.Join = append(message.Join, bootstrap.Join{
			Kind: n.kind,
			Path: fmt.Sprintf("/proc/self/fd/%d", 3+len(files)),
		})
		files = append(files, n.file)
	}
	if len(files) > maxFiles {
		return nil, -1, fmt.Errorf("within: %d files, namespaces among them, are more than %d", len(files), maxFiles)
	}
	if err := message.Validate(); err != nil {
		return nil, -1, fmt.Errorf("within: %w", err)
	}
	path, copied, err := ownPath(exposed)
	if err != nil {
		return nil, -1, err
	}
	if copied != nil {
		files = append(files, copied)
	}
	requests, theirs, err := requestSocket()
	if err != nil {
		return nil, -1, err
	}
	defer theirs.Close()
	files = append(files, theirs)
	stdio, err := p.openStdio()
	if err != nil {
		requests.Close()
		return nil, -1, err
	}
	defer stdio.closeTheirs()
	resolves := joined // by names, which a child that executes a program does not
	if c != nil {
		resolves = 0
	}
	cmd := &parent.Cmd{
		Path: path,
		Args: os.Args[:1],
		Env: append(p.environment(resolves),
			fmt.Sprintf("%s=%d,%d,%d", envInternal, first, 3+len(files)-first, joined)),
		Dir:           "/",
		Stdin:         stdio.theirs[0],
		Stdout:        stdio.theirs[1],
		Stderr:        stdio.theirs[2],
		ExtraFiles:    files,
		Message:       message,
		BeforeMessage: p.Started,
		Logger:        p.Logger,
	}
	init, err := cmd.Start(ctx)
	if err != nil {
		requests.Close()
		stdio.abandon()
		return nil, -1, err
	}
	stdio.start()
	return newRunning(init, requests, stdio), number, nil
}

// message is what is asked of the core, but for what is to be joined.
func (p *Proc) message() (*bootstrap.Message, error) {
	m := &bootstrap.Message{
		Create:      p.New,
		OOMScoreAdj: p.OOMScoreAdj,
		TimeOffsets: p.TimeOffsets,
	}
	root := os.Geteuid() == 0
	m.Rootless = !root
	if !p.New.Has(User) {
		if p.UIDMap != nil || p.GIDMap != nil {
			return nil, fmt.Errorf("within: maps without a new user namespace")
		}
		return m, nil
	}
	m.UIDMap, m.GIDMap = p.UIDMap, p.GIDMap
	if m.UIDMap == nil && m.GIDMap == nil {
		m.UIDMap = []IDRange{{Inside: 0, Outside: uint32(os.Geteuid()), Count: 1}}
		m.GIDMap = []IDRange{{Inside: 0, Outside: uint32(os.Getegid()), Count: 1}}
	}
	// The groups of the caller are nobody in there, and would still open files.
	m.DropGroups = root
	if !root {
		m.UIDMapTool, _ = exec.LookPath("newuidmap")
		m.GIDMapTool, _ = exec.LookPath("newgidmap")
	}
	return m, nil
}

// ownVariables are about this program, wherever it runs.
var ownVariables = []string{"GODEBUG", "GOTRACEBACK", "GOCOVERDIR", "GORACE"}

// environment is Env without what is this package's or the protocol's: with such variables inherited,
// this child would take itself for another's.
func (p *Proc) environment(joined Namespaces) []string {
	from := p.Env
	if from == nil {
		for _, name := range ownVariables {
			if value, found := os.LookupEnv(name); found {
				from = append(from, name+"="+value)
			}
		}
	}
	var env []string
	debug := ""
	for _, setting := range from {
		name, value, _ := strings.Cut(setting, "=")
		switch {
		case isInternal(name):
		case name == "GODEBUG":
			debug = value
		default:
			env = append(env, setting)
		}
	}
	if joined.Has(Mount) {
		// The C library's resolver loads libraries that the target's /etc/nsswitch.conf names.
		debug = strings.TrimPrefix(debug+",netdns=go", ",")
	}
	if debug != "" {
		env = append(env, "GODEBUG="+debug)
	}
	return env
}

func isInternal(name string) bool {
	return name == envInternal || strings.HasPrefix(name, "_LIBCONTAINER_")
}

// requestSocket makes the socket on which the child is told what to do. Answers come on INITPIPE, which
// the runtime polls: if it were the same socket, the runtime would be woken up whenever the child has
// read a request, only to learn that it could write another one. Our end blocks, so it is not polled.
func requestSocket() (ours, theirs *os.File, err error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(pair[0]), "requests"), os.NewFile(uintptr(pair[1]), "requests"), nil
}
