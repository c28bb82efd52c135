// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package harness starts a program under test the way the parents of both protocols do, in a pid
// and a mount namespace of its own, and reports everything that is then to be seen from outside.
// Package launch, under it, is one launch: it does the parent's part, which this package watches.
//
// A test calls Main in its TestMain and Run for each launch. Run executes the test binary again as
// pid 1 of new namespaces; what happens there is in supervisor.go.
package harness

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Order is the order in which a parent waits and reads; runc has two.
type Order string

const (
	// ReadFirst decodes the reply, waits for the process in stage1_pid, then for the launched process: a new container.
	ReadFirst Order = "read-first"
	// WaitFirst waits for the launched process, decodes the reply, then waits for the one in stage1_pid: exec.
	WaitFirst Order = "wait-first"
)

// Document is what the parent sends to the Go side after the reply.
const Document = `{"to":"the Go side"}` + "\n"

// FixturePid is the pid of the fixture in every supervisor's pid namespace.
const FixturePid = 4711

// NamespaceTypes are the entries of /proc/PID/ns that an nsexec joins or creates.
var NamespaceTypes = []string{"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"}

// HasNamespace says whether the kernel has namespaces of a type.
func HasNamespace(name string) bool {
	_, err := os.Lstat("/proc/self/ns/" + name)
	return err == nil
}

// Case is one launch.
type Case struct {
	Program  string   // absolute path
	Env      []string // the whole environment
	UID, GID int
	Fixture  string   // plain, user, rootless, zombie or none
	Setup    []string // words of tests/conformance/vectors/README.md
	Message  []byte   // written to INITPIPE
	Piece    int      // in pieces of this size; 0: in one
	Shut     bool     // shut the writing side down after the message
	Order    Order
	Deadline time.Duration // for everything together; what is not over then is reported as it stands
}

func (c *Case) has(word string) bool {
	for _, s := range c.Setup {
		if s == word {
			return true
		}
	}
	return false
}

// Outcome is what a launch came to. Texts name no pid: it is replaced by PID, A or B.
type Outcome struct {
	Hang       string   // what was not over at the deadline
	Status     string   // of the launched process: a number, or "signal N"
	InitStatus string   // the same of the init process
	Fatal      []string // texts of the fatal lines
	Log        []string // "LEVEL TEXT" of the other lines
	BadLog     []string // what is wrong with the form of lines on LOGPIPE
	Stderr     string
	Stdout     string
	Initpipe   string   // every byte that was written to it
	Stage1     string   // what the process in stage1_pid was: "none", "child that ends", or else
	Left       []string // processes and open fds that were left when it was over
	Untouched  bool     // nsexec returned in the launched process itself
	Init       *State   // of the init process
	EarlyInit  bool     // the init process returned before the reply was on INITPIPE
	Spied      string   // what the mapping tool /mnt/tools/spy saw
}

// State is the init process while it waits for the parent's document.
type State struct {
	PPid      int
	Session   bool              // leader of its session
	NS        map[string]string // own, new, joined; also of pid_for_children and time_for_children
	UID, GID  string
	Groups    string
	Comm      string
	Oom       string
	Dumpable  string
	UIDMap    []string
	GIDMap    []string
	Setgroups string
	Time      string
	Cwd       string
	FDs       string
	Terminal  bool   // its controlling terminal is the console
	Caps      string // inheritable, permitted, effective, bounding, ambient
}

const (
	envStage   = "NSEXEC_TEST_STAGE"
	supervisor = "supervisor"
)

// Main is to be called first in TestMain: in the processes that Run starts it does not return.
func Main() {
	if os.Getenv(envStage) == supervisor {
		superviseMain()
	}
	// A mapping tool's environment is empty, so that it can only be told by its name.
	if filepath.Base(os.Args[0]) == "spy" {
		spyMain()
	}
}

type report struct {
	Outcome Outcome
	Error   string
}

// Run launches c. An error is a defect of the harness or its surroundings, never of the program.
func Run(c Case) (Outcome, error) {
	if c.Deadline == 0 {
		c.Deadline = 20 * time.Second
	}
	input, err := json.Marshal(c)
	if err != nil {
		return Outcome{}, err
	}
	var output, noise bytes.Buffer
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{envStage + "=" + supervisor, "PATH=" + os.Getenv("PATH")}
	cmd.Stdin = bytes.NewReader(input)
	cmd.Stdout = &output
	cmd.Stderr = &noise
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
		Pdeathsig:  syscall.SIGKILL,
		// The launched process inherits these; tests look for both.
		Credential: &syscall.Credential{Uid: 0, Gid: 0, Groups: []uint32{10, 20}},
	}
	if err := cmd.Start(); err != nil {
		return Outcome{}, fmt.Errorf("failed to start the supervisor: %w", err)
	}
	// The supervisor keeps the deadline itself, to say what was not over. Killing it kills
	// everything in its pid namespace.
	backstop := time.AfterFunc(c.Deadline+20*time.Second, func() { cmd.Process.Kill() })
	err = cmd.Wait()
	backstop.Stop()
	if err != nil {
		return Outcome{}, fmt.Errorf("supervisor: %w\n%s", err, noise.String())
	}
	var r report
	decoder := json.NewDecoder(&output)
	if err := decoder.Decode(&r); err != nil {
		return Outcome{}, fmt.Errorf("supervisor's report: %w\n%s", err, noise.String())
	}
	if _, err := decoder.Token(); err != io.EOF {
		return Outcome{}, errors.New("supervisor wrote more than its report")
	}
	if r.Error != "" {
		return Outcome{}, errors.New(r.Error)
	}
	return r.Outcome, nil
}
