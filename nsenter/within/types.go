// SPDX-License-Identifier: Apache-2.0

//go:build go1.22

package within

import (
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"nsenter-cpp.example/nsenter/bootstrap"
)

// Namespaces is a set of kinds of namespaces.
type Namespaces = bootstrap.Namespaces

// The kinds of namespaces there are. Mount is "mnt" in /proc/PID/ns.
const (
	Cgroup = bootstrap.Cgroup
	IPC    = bootstrap.IPC
	Mount  = bootstrap.Mount
	Net    = bootstrap.Net
	PID    = bootstrap.PID
	Time   = bootstrap.Time
	User   = bootstrap.User
	UTS    = bootstrap.UTS

	// All, in Of and OfPidfd, is every namespace of the process that the caller is not in already.
	All = bootstrap.All
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
	// newgidmap(1) in PATH, for which SubIDs makes maps. Where the kernel demands it, groups cannot be set in there: a
	// caller who is not root gives a GIDMap of nothing but his own gid.
	UIDMap, GIDMap []IDRange
	TimeOffsets    []TimeOffset // of a new time namespace
	OOMScoreAdj    *int         // nil leaves it as it is

	// Env is the whole environment. Unlike with os/exec, nil is not the caller's: that describes
	// the machine outside, has secrets, and steers libraries (LD_PRELOAD). It is a usual PATH, and the caller's
	// GODEBUG, GOTRACEBACK, GOCOVERDIR and GORACE, which are about this program and not about where it runs; for a
	// Cmd it is nothing. The program of a Cmd has it, and what comes before that has not, so it can be a container's.
	// The process of functions is executed with it outside, with the caller's rights: there it has to be one that the
	// caller trusts.
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
	// MaxPending is how many calls of a session can wait to be sent, because its process does not read, or not as fast
	// as they are made; 0 is 1024. One more fails with ErrBusy.
	MaxPending int
	// ReuseThreads makes calls of a session faster: a new thread for each is a third of what a call costs.
	// With it, a function that changes its thread (setns, a capability dropped) has to follow Go's rule:
	// call runtime.LockOSThread before, and do not unlock. Else a later call may find the thread changed.
	ReuseThreads bool
}

const defaultMaxMessage = 16 << 20

// Cmd is a program to be run in other namespaces. It takes the place of the process in which functions
// run, so it is pid 1 of a new pid namespace. Unlike that one, it does not end with its caller, unless DieWithCaller
// says so.
type Cmd struct {
	Proc *Proc // where it runs, and with which files and environment
	Attr *Attr // what its process is besides: ids, capabilities, limits, a seccomp filter; nil: as Proc says
	// Before runs in the process that becomes the program, in the namespaces, as root there, before the process takes
	// Attr: it mounts, or sets a host name. Its error is Start's, and then nothing is executed; its result is nowhere.
	Before *Bound
	// Path is the program, looked up in the PATH of Proc.Env, or a usual one, if it has no slash: in
	// the target's root. With FromCaller it is the caller's program, looked up in the caller's PATH.
	Path string
	Args []string // Args[0] is the name under which it is started; none are Path alone
	// A program FromCaller finds its libraries in the target's root: better, it is static. It cannot be a script. Where
	// somebody could overwrite it, it is guarded (CVE-2019-5736).
	FromCaller bool
	// DieWithCaller kills the program (SIGKILL) when the caller ends, in whatever way; not what the program has started,
	// unless the program is pid 1 of a pid namespace. It takes one thread of the caller's until the program ends. The
	// kernel forgets it when the program changes its user or group ids, or executes a set-user-ID program that does
	// (PR_SET_PDEATHSIG(2const)).
	DieWithCaller bool
	// Terminal becomes the program's controlling terminal, and those of its standard streams that are nil in Proc. It is
	// one that is no other session's, so not the caller's own: OpenTerminal makes one. nil is none: the program has a
	// session of its own, and what is typed at the caller's terminal sends no signal to it.
	Terminal *os.File
	// ShareMemory lets the process that becomes the program share the caller's memory until then, where nobody in the
	// namespaces is known to get at that. The start then takes about as long as package os/exec's outside. But root of a
	// container that has no user namespace can stop that process on its way. Until ctx ends, it then sees through it
	// files like /proc/PID/net of the caller's namespaces, and keeps the caller's descriptors open. Decision 0017 has all
	// that is known to be open. So it is for containers that the caller trusts that far.
	ShareMemory bool

	// Process and ProcessState are as in os/exec.
	Process      *os.Process
	ProcessState *os.ProcessState

	running  *running
	program  *program   // instead of running
	confined []*os.File // that Confine has opened
	waited   bool

	isConfined bool // by Confine
}

// Command is a program with arguments, to be run as p says.
func Command(p *Proc, name string, arguments ...string) *Cmd {
	return &Cmd{Proc: p, Path: name, Args: append([]string{name}, arguments...)}
}

// Capabilities are the sets of capabilities(7), Effective, Permitted, Inheritable, Bounding and Ambient, as bits: 1<<12
// is CAP_NET_ADMIN.
type Capabilities struct{ Effective, Permitted, Inheritable, Bounding, Ambient uint64 }

// Scheduler is how a process is scheduled, as sched_setattr(2) has it: Policy is SCHED_OTHER (0) or another one, Nice
// is for that and SCHED_BATCH, Priority for SCHED_FIFO and SCHED_RR. Runtime, Deadline and Period, in nanoseconds, are
// for SCHED_DEADLINE.
type Scheduler struct {
	Policy                    uint32
	Flags                     uint64 // SCHED_FLAG_RESET_ON_FORK
	Nice                      int32
	Priority                  uint32
	Runtime, Deadline, Period uint64
}

// Terminal is a new pseudo terminal (pty(7)). A program that has Slave as Cmd.Terminal has job control: what is typed,
// which is written to Master, Ctrl-C and Ctrl-Z too, is for its jobs.
type Terminal struct {
	Master *os.File // the user's side. After the last program with the other side has ended, reading it fails with EIO
	Slave  *os.File // the program's side
}

// Pool keeps a session for each target, from one call to the next. The first call into a target starts its session, as
// does the first one after its process has ended, in whatever way. A call that was under way then fails, as it does in
// a session: it may have begun, so it is not made again.
//
// A session is found by the namespaces that it is in, those of the calling thread that it has not joined among them.
// They are compared by device and inode number, with each call. While the session exists, the pool has its target's
// namespaces open, so the kernel gives their numbers to no others. So when a number of a process, or a path, has come
// to mean other namespaces, a call does not get a session of the former ones.
//
// A namespace that no process is in any more exists for as long as its session, so until Idle is over.
//
// The fields are not changed once At has been called. The zero Pool is ready, and can be used by many at a time. It is
// not to be copied.
type Pool struct {
	// Proc says how sessions are started. The namespaces of its Target are joined too. nil is the zero Proc.
	Proc *Proc
	// Idle is how long a session is kept that has no call; 0 is a minute.
	Idle time.Duration
	// Max is how many sessions there are at most; 0 is 32. One more takes the place of the one that has had no call for
	// the longest time. If all have calls, a further call waits, no longer than until its context ends.
	Max int

	mutex   sync.Mutex
	pooled  map[identity]*pooled
	number  int           // of sessions, those that are starting or ending among them
	ending  int           // of those that end, and that nobody finds any more
	changed chan struct{} // closed, and made anew, when somebody who waits may go on
	closed  bool
}
