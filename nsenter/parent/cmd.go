// SPDX-License-Identifier: Apache-2.0

//go:build go1.22

package parent

import (
	"log/slog"
	"os"
	"syscall"

	"nsenter-cpp.example/nsenter/bootstrap"
)

// Cmd is a program about to be launched. Fields that os/exec has too mean the same here, except that standard streams
// are files.
type Cmd struct {
	Path                  string     // of the program, not looked up
	Args                  []string   // Args[0] is the name under which it is started
	Env                   []string   // the whole environment, except for the protocol's own variables
	Dir                   string     // the working directory; the caller's if empty
	Stdin, Stdout, Stderr *os.File   // nil is /dev/null
	ExtraFiles            []*os.File // descriptors 3 and following; the program has no others
	// SysProcAttr is for the launched process, and the init process inherits what it can. The process group is the
	// package's: it finds children there that nobody has reported.
	SysProcAttr *syscall.SysProcAttr

	// One of these two is the request, and chooses the protocol.
	Message *bootstrap.Message
	Classic *Classic // Stderr is then a pipe, since the fatal line is said there, and copied to the file

	// Order is one of runc's two orders, in which it reads the reply and waits for the processes.
	Order Order

	// BeforeMessage is called when the launched process exists and waits for its message. The init process inherits what
	// the launched process gets then: a cgroup, CPU affinity. Only for Message.
	BeforeMessage func(pid int) error

	// Logger gets the log lines of the processes, with the attributes pid and, after the first clone, stage. The package
	// does not ask the processes for lines that Logger would drop. Only for Message. The fatal line is not among them: it
	// is the error.
	Logger *slog.Logger
}

// Classic asks for the namespaces of a process, in the classic protocol.
type Classic struct {
	Pid     int    // of the process, in the caller's pid namespace
	Console string // path of a terminal that becomes the init process's; none if empty
}

// Order is an order of waiting and reading.
type Order int

const (
	// ReadFirst reads the reply and then waits for the launched process, as runc does for a new
	// container.
	ReadFirst Order = iota
	// WaitFirst waits for the launched process and then reads the reply, as runc does for exec. It is
	// the only order that the classic protocol knows.
	WaitFirst
)
