// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"nsenter-cpp.example/internal/race"
	"nsenter-cpp.example/nsenter/bootstrap"
	"nsenter-cpp.example/nsenter/parent"

	_ "nsenter-cpp.example/nsenter" // the constructor, which works in the child
)

func (p *Proc) maxMessage() int {
	if p.MaxMessage > 0 {
		return p.MaxMessage
	}
	return defaultMaxMessage
}

func (p *Proc) maxPending() int {
	if p.MaxPending > 0 {
		return p.MaxPending
	}
	return 1024
}

// Start starts a session. When ctx ends, the process is killed, and calls fail with context.Cause(ctx).
func (p *Proc) Start(ctx context.Context) (*Session, error) {
	r, err := p.startChild(ctx, nil)
	if err != nil {
		return nil, err
	}
	s := &Session{
		running:  r,
		limit:    p.maxMessage(),
		ctx:      ctx,
		patience: 5 * time.Second,
		calls:    make(map[uint64]*call),
		done:     make(chan struct{}),
	}
	r.requests.refuse = s.refuse
	r.requests.post(frame{
		kind:         frameSetup,
		sent:         monotonic(),
		limit:        int64(s.limit),
		reuseThreads: p.ReuseThreads,
		isShifted:    r.isShifted,
		body:         []byte(p.Dir),
	})
	go s.read()
	return s, nil
}

// call starts a process for this call only.
func (p *Proc) call(ctx context.Context, name string, argument message) (message, error) {
	if len(argument.body) > p.maxMessage() {
		argument.close()
		return message{}, errArgument(name, len(argument.body))
	}
	s, err := p.Start(ctx)
	if err != nil {
		argument.close()
		return message{}, err
	}
	var result message
	answers, id, err := s.begin(name, argument)
	if err == nil {
		result, err = s.finish(ctx, frameLast, answers, id, name, argument)
	} else {
		argument.close()
	}
	if err != nil {
		s.running.kill() // if it has not ended by itself
	}
	<-s.done
	if err == nil {
		err = s.output
	}
	return result, notEnded(s.notEnded, err)
}

// startChild starts the process and returns when it is on its way to Init. c is the program that takes its place then,
// nil for functions.
func (p *Proc) startChild(ctx context.Context, c *Cmd) (*running, error) {
	switch {
	case isNested(ctx):
		return nil, ErrNested
	case !functions.frozen():
		return nil, ErrNoInit
	}
	files, err := p.openFiles(c)
	if err != nil {
		return nil, err
	}
	defer files.close()
	var terminal *os.File
	if c != nil && c.Terminal != nil {
		terminal = c.Terminal
		files.terminal = files.add(terminal)
	}
	message, err := p.message(files.joins)
	if err != nil {
		return nil, err
	}
	path, err := files.addSelf()
	if err != nil {
		return nil, err
	}
	requests, err := files.addRequests()
	if err != nil {
		return nil, err
	}
	stdio, err := openStdio(p.Stdin, p.Stdout, p.Stderr, terminal)
	if err != nil {
		requests.Close()
		return nil, err
	}
	if c != nil {
		stdio.giveTo(c.Attr, files.joined()|p.New)
	}
	isStarted := false
	defer func() {
		stdio.closeTheirs()
		if !isStarted { // Started may have panicked, too
			requests.Close()
			stdio.abandon()
		}
	}()
	environment := p.environment(c, files.joined())
	if c != nil { // that of the program is sent, see Cmd.environment
		environment = new(Proc).environment(c, 0)
	}
	command := &parent.Cmd{
		Path:          path,
		Args:          os.Args[:1],
		Env:           append(environment, files.setting(p.New)),
		Dir:           "/",
		Stdin:         stdio.theirs[0],
		Stdout:        stdio.theirs[1],
		Stderr:        stdio.theirs[2],
		ExtraFiles:    files.list,
		Message:       message,
		BeforeMessage: p.Started,
		Logger:        p.Logger,
	}
	if files.attr != nil {
		files.prepare(command, files.joined()|p.New, p.New)
	}
	if files.joined().Has(User) && mayDropGroups() {
		// In there setgroups(2) may be denied, and the caller's groups would still open files.
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{}}
	}
	var process *parent.Init
	ended := make(chan struct{})
	if c != nil && c.DieWithCaller {
		process, err = startKept(ctx, command, ended)
	} else {
		process, err = command.Start(ctx)
	}
	if err != nil {
		return nil, files.explain(err)
	}
	isStarted = true
	stdio.start()
	r := newRunning(ctx, process, ended, requests, stdio)
	r.program, r.terminal, r.attr = files.program, files.terminal, files.attr
	r.isShifted = isClockShifted(files.joined() | p.New)
	r.requests.maxPending = p.maxPending()
	return r, nil
}

// mayDropGroups tells whether the caller is root, has groups, and may give them up.
func mayDropGroups() bool {
	const capSetgid = 6
	groups, err := os.Getgroups()
	if err != nil || len(groups) == 0 || !isPlainRoot() || !hasCapability(capSetgid) {
		return false
	}
	text, err := os.ReadFile("/proc/self/setgroups")
	return err != nil || strings.TrimSpace(string(text)) != "deny"
}

// openFiles opens the namespaces to join and, for a c that is FromCaller, its program. The caller closes what
// it returns.
func (p *Proc) openFiles(c *Cmd) (*childFiles, error) {
	namespaces, err := p.Target.open()
	if err != nil {
		return nil, err
	}
	files := newChildFiles(p.ExtraFiles)
	for _, n := range namespaces {
		files.addNamespace(n)
	}
	files.isExposed = p.isExposed(files.joined())
	if c != nil && c.FromCaller {
		if err := files.addProgram(c.Path); err != nil {
			files.close()
			return nil, err
		}
	}
	if c != nil && c.Attr != nil {
		if err := files.addAttr(c); err != nil {
			files.close()
			return nil, err
		}
	}
	if n := len(files.list); n > maxFiles {
		files.close()
		return nil, fmt.Errorf("within: %d files, namespaces among them, are more than %d", n, maxFiles)
	}
	return files, nil
}

// isExposed tells whether others could get at what is executed in the namespaces.
func (p *Proc) isExposed(joined Namespaces) bool {
	return (joined|p.New)&(PID|Mount) != 0 && !noGuard
}

// message is what is asked of the core. It is valid.
func (p *Proc) message(joins []bootstrap.Join) (*bootstrap.Message, error) {
	m := &bootstrap.Message{
		Join:        joins,
		Create:      p.New,
		OOMScoreAdj: p.OOMScoreAdj,
		TimeOffsets: p.TimeOffsets,
	}
	m.Rootless = os.Geteuid() != 0
	switch {
	case p.New.Has(User):
		p.mapIDs(m)
	case p.UIDMap != nil || p.GIDMap != nil:
		return nil, errors.New("within: maps without a new user namespace")
	}
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("within: %w", err)
	}
	return m, nil
}

// mapIDs says who is who in a new user namespace.
func (p *Proc) mapIDs(m *bootstrap.Message) {
	m.UIDMap, m.GIDMap = p.UIDMap, p.GIDMap
	if m.UIDMap == nil && m.GIDMap == nil {
		m.UIDMap = []IDRange{{Inside: 0, Outside: uint32(os.Geteuid()), Count: 1}}
		m.GIDMap = []IDRange{{Inside: 0, Outside: uint32(os.Getegid()), Count: 1}}
	}
	// The groups of the caller are nobody in there, and would still open files.
	m.DropGroups = true
	if m.Rootless {
		m.UIDMapTool, _ = exec.LookPath("newuidmap")
		m.GIDMapTool, _ = exec.LookPath("newgidmap")
		// Without DropGroups the core denies setgroups, as the kernel demands of a caller who writes his own map. A
		// user with subordinate gids has been granted by /etc/subgid what setgroups can do; then newgidmap writes the
		// map.
		m.DropGroups = m.GIDMapTool != "" && !isOnly(m.GIDMap, os.Getegid())
	}
}

// isOnly tells whether a map has one id, and that one.
func isOnly(ids []IDRange, id int) bool {
	return len(ids) == 1 && ids[0].Count == 1 && ids[0].Outside == uint32(id)
}

// ownVariables are about this program, wherever it runs.
var ownVariables = []string{"GODEBUG", "GOTRACEBACK", "GOCOVERDIR", "GORACE"}

// environment is Env without what is this package's or the protocol's: with such variables inherited, this child would
// take itself for another's. It is for a child that executes c or, if that is nil, runs functions.
func (p *Proc) environment(c *Cmd, joined Namespaces) []string {
	from := p.Env
	if from == nil {
		if c == nil {
			from = append(from, "PATH="+defaultPath)
		}
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
	if c == nil && joined.Has(Mount) { // what executes a program resolves no names
		// The C library's resolver loads libraries that the target's /etc/nsswitch.conf names.
		debug = strings.TrimPrefix(debug+",netdns=go", ",")
	}
	if debug != "" {
		env = append(env, "GODEBUG="+debug)
	}
	if race.Enabled && c == nil {
		env = withoutExitSleep(env)
	}
	return env
}

// exitSleep is what keeps a program with -race from sleeping for a second when it exits, in which other threads could
// still report. A race is reported before.
const exitSleep = "atexit_sleep_ms=0"

// withoutExitSleep is an environment in which GORACE says so, unless it says something about it already. dropExitSleep
// takes it out again.
func withoutExitSleep(env []string) []string {
	for i, setting := range env {
		if value, found := strings.CutPrefix(setting, "GORACE="); found {
			if !strings.Contains(value, "atexit_sleep_ms") {
				env[i] = "GORACE=" + strings.TrimPrefix(value+" "+addedExitSleep, " ")
			}
			return env
		}
	}
	return append(env, "GORACE="+addedExitSleep)
}

// addedExitSleep tells what this package has added from what was there: the last of the two counts.
const addedExitSleep = exitSleep + " " + exitSleep

func dropExitSleep() {
	value, found := strings.CutSuffix(os.Getenv("GORACE"), addedExitSleep)
	switch {
	case !found:
	case value == "":
		os.Unsetenv("GORACE")
	default:
		os.Setenv("GORACE", strings.TrimSuffix(value, " "))
	}
}

func isInternal(name string) bool {
	return name == envInternal || strings.HasPrefix(name, "_LIBCONTAINER_")
}
