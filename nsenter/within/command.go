// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"unsafe"
)

// Start starts the program. That it cannot be executed is an error of Start's. When ctx ends, it is
// killed.
func (c *Cmd) Start(ctx context.Context) error {
	if c.isStarted() {
		return errors.New("within: already started")
	}
	defer func() {
		closeFiles(c.confined)
		c.confined = nil
	}()
	arguments, err := c.arguments()
	if err != nil {
		return err
	}
	environment, err := c.environment()
	if err != nil {
		return err
	}
	if c.Before != nil && c.Before.err != nil {
		return c.Before.err
	}
	if c.Attr != nil {
		if err := c.Attr.check(c.Proc); err != nil {
			return err
		}
	}
	if program, err := c.startProgram(ctx); err != nil {
		return err
	} else if program != nil {
		c.program, c.Process = program, program.process
		return nil
	}
	r, err := c.Proc.startChild(ctx, c)
	if err != nil {
		return err
	}
	setup := frame{kind: frameSetup, limit: defaultMaxMessage}
	if r.attr == nil && c.Before == nil {
		setup.body = []byte(c.Proc.Dir)
	}
	r.requests.post(setup)
	r.requests.post(frame{kind: frameEnv, body: environment})
	if r.attr == nil && c.Before != nil { // which may make the directory
		r.attr = &sentAttr{Dir: fromRoot(c.Proc.Dir)}
	}
	if r.attr != nil {
		r.requests.post(frame{kind: frameAttr, body: r.attr.bytes()})
	}
	if c.Before != nil {
		r.requests.post(frame{kind: frameBefore, name: c.Before.name, body: c.Before.argument})
	}
	r.requests.post(frame{
		kind:     frameExec,
		program:  int32(r.program),
		terminal: int32(r.terminal),
		diesWith: c.DieWithCaller,
		name:     c.Path,
		body:     arguments,
	})
	// INITPIPE is closed by what makes the program run.
	f, err := readFrame(r.answers, defaultMaxMessage)
	if err == nil && f.kind == frameReady {
		r.requests.post(frame{kind: frameGo})
		f, err = readFrame(r.answers, defaultMaxMessage)
	}
	if err == nil || r.isLeft() {
		r.kill()
		state, endErr, _ := r.end()
		switch {
		case ctx.Err() != nil:
			return notEnded(endErr, context.Cause(ctx))
		case f.kind == frameFailure:
			return decodeError(f.body)
		}
		return &ExitError{state}
	}
	c.running, c.Process = r, r.process.Process
	return nil
}

func (c *Cmd) isStarted() bool { return c.running != nil || c.program != nil }

// arguments are those of the program as they are sent.
func (c *Cmd) arguments() ([]byte, error) {
	const pathMax = 4096 // path_resolution(7)
	if len(c.Path) >= pathMax {
		return nil, &os.PathError{Op: "exec", Path: c.Path, Err: syscall.ENAMETOOLONG}
	}
	arguments := c.Args
	if len(arguments) == 0 {
		arguments = []string{c.Path}
	}
	return c.joined("the argument", arguments)
}

// joined is texts as they are sent, each but the last with a NUL behind it.
func (c *Cmd) joined(what string, texts []string) ([]byte, error) {
	size := 0
	for _, text := range texts {
		size += len(text) + 1
		if strings.Contains(text, "\x00") {
			return nil, fmt.Errorf("within: a NUL in %s %q: %w", what, text, syscall.EINVAL)
		}
	}
	if size > defaultMaxMessage { // more than the kernel takes
		return nil, &os.PathError{Op: "exec", Path: c.Path, Err: syscall.E2BIG}
	}
	return []byte(strings.Join(texts, "\x00")), nil
}

// environment is that of the program as it is sent. The child is not
// executed with it: that happens outside, with the caller's rights, and a container that has a say in it (the
// configuration of an image, /proc/PID/environ) could have libraries loaded there (LD_PRELOAD).
func (c *Cmd) environment() ([]byte, error) {
	if c.Proc.Env == nil {
		return nil, nil
	}
	return c.joined("the environment,", withoutDuplicates(c.Proc.environment(c, 0)))
}

// takeEnvironment takes the program's environment, which the function before it has as well. Settings
// that the Go runtime of this process would follow are kept for the program.
func (c *childProcess) takeEnvironment(body []byte) {
	own := make(map[string]string)
	for _, name := range ownVariables {
		if value, found := os.LookupEnv(name); found {
			own[name] = value
		}
	}
	os.Clearenv()
	for name, value := range own {
		os.Setenv(name, value)
	}
	for _, setting := range strings.Split(string(body), "\x00") {
		name, value, found := strings.Cut(setting, "=")
		switch {
		case setting == "":
		case !found, slices.Contains(ownVariables, name), os.Setenv(name, value) != nil:
			c.forProgram = append(c.forProgram, setting)
		}
	}
}

// Wait waits for the program, and for all of its output. The error is an *exec.ExitError if it did not
// exit with status 0, and a *NotEndedError if it has been killed, because the context has ended, and does not end
// within 5 seconds. Others that still hold a pipe from which Stdout or Stderr is copied are given a second;
// then the error is exec.ErrWaitDelay, and what the program itself has written has been copied.
func (c *Cmd) Wait() error {
	switch {
	case !c.isStarted():
		return errors.New("within: not started")
	case c.waited:
		return errors.New("within: Wait was already called")
	}
	c.waited = true
	end := c.program.end
	if c.running != nil {
		end = c.running.end
	}
	state, err, outputErr := end()
	c.ProcessState = state
	switch {
	case state != nil && !state.Success():
		return &exec.ExitError{ProcessState: state}
	case err != nil:
		return err
	}
	return outputErr
}

// Run is Start and Wait. The error of a program that has been killed is context.Cause(ctx) if ctx has ended.
func (c *Cmd) Run(ctx context.Context) error {
	if err := c.Start(ctx); err != nil {
		return err
	}
	err := c.Wait()
	if ctx.Err() != nil && (c.ProcessState == nil || !c.ProcessState.Exited()) {
		return notEnded(err, context.Cause(ctx))
	}
	return err
}

// Output runs the program and returns its standard output. If it fails, and Proc.Stderr is nil, what it has written to
// standard error is in the *exec.ExitError, without its middle if it is long.
func (c *Cmd) Output(ctx context.Context) ([]byte, error) {
	if c.Proc.Stdout != nil {
		return nil, errors.New("within: Stdout is set already")
	}
	var output bytes.Buffer
	var said ends
	err := c.withOutput(func(p *Proc) {
		p.Stdout = &output
		if p.Stderr == nil {
			p.Stderr = &said
		}
	}).run(ctx, c)
	var exit *exec.ExitError
	if errors.As(err, &exit) && c.Proc.Stderr == nil {
		exit.Stderr = said.bytes()
	}
	return output.Bytes(), err
}

// CombinedOutput runs the program and returns its standard output and standard error.
func (c *Cmd) CombinedOutput(ctx context.Context) ([]byte, error) {
	if c.Proc.Stdout != nil || c.Proc.Stderr != nil {
		return nil, errors.New("within: Stdout or Stderr is set already")
	}
	var output bytes.Buffer
	err := c.withOutput(func(p *Proc) { p.Stdout, p.Stderr = &output, &output }).run(ctx, c)
	return output.Bytes(), err
}

// withOutput is the command with a Proc of its own.
func (c *Cmd) withOutput(set func(p *Proc)) *Cmd {
	p := *c.Proc
	set(&p)
	return &Cmd{Proc: &p, Attr: c.Attr, Before: c.Before, Path: c.Path, Args: c.Args, FromCaller: c.FromCaller,
		DieWithCaller: c.DieWithCaller, Terminal: c.Terminal, ShareMemory: c.ShareMemory, confined: c.confined,
		isConfined: c.isConfined}
}

// run runs the command in another's place.
func (c *Cmd) run(ctx context.Context, other *Cmd) error {
	if other.isStarted() {
		return errors.New("within: already started")
	}
	err := c.Run(ctx)
	other.Process, other.ProcessState, other.waited = c.Process, c.ProcessState, c.waited
	other.running, other.program = c.running, c.program
	return err
}

// openProgram opens a program of the caller's, which the caller of this has to close.
func openProgram(name string) (*os.File, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}

// defaultPath is where programs are looked up without a PATH, and what a function has for it.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// execute makes this process, a child, run a program. It returns only if that is not possible.
func (c *childProcess) execute(f frame) error {
	arguments := strings.Split(string(f.body), "\x00")
	for _, name := range ownVariables {
		os.Unsetenv(name)
	}
	environment := append(os.Environ(), c.forProgram...)
	if f.program >= 0 {
		// Restores the limit of open files, which the runtime has raised, and finds nothing to execute.
		syscall.Exec("", arguments, nil)
		if err := c.takeLast(); err != nil {
			return err
		}
		return execveat(int(f.program), f.name, arguments, environment)
	}
	if _, found := os.LookupEnv("PATH"); !found {
		os.Setenv("PATH", defaultPath) // for this look-up only
	}
	path, err := exec.LookPath(f.name)
	if err != nil {
		return err
	}
	if err := c.takeLast(); err != nil {
		return err
	}
	return &os.PathError{Op: "exec", Path: path, Err: syscall.Exec(path, arguments, environment)}
}

// takeLast takes what comes last.
func (c *childProcess) takeLast() error {
	if c.attr == nil {
		return nil
	}
	if err := c.attr.takeLateLimits(); err != nil || !c.attr.NoNewPrivs {
		return err
	}
	return c.attr.installFilters()
}

// becomeProgram executes a program, or says why that is not possible. A thread without filters says it.
func (c *childProcess) becomeProgram(f frame) {
	failure := make(chan error)
	go func() {
		c.failProcess(<-failure)
		os.Exit(1)
	}()
	failure <- c.tryProgram(f)
	select {}
}

func (c *childProcess) tryProgram(f frame) error {
	if f.terminal > 0 {
		if err := takeTerminal(int(f.terminal)); err != nil {
			return err
		}
	}
	if c.attr != nil {
		if err := c.attr.take(); err != nil {
			return err
		}
	}
	if f.diesWith {
		// After the ids: the kernel forgets it when they change.
		if err := c.dieWithCaller(); err != nil {
			return err
		}
	}
	if c.attr != nil {
		if err := c.attr.enterDirectory(); err != nil {
			return err
		}
	}
	return c.execute(f)
}

// execveat executes an open file, to which no path leads from here.
func execveat(fd int, name string, arguments, environment []string) error {
	const atEmptyPath = 0x1000
	argv, err := syscall.SlicePtrFromStrings(arguments)
	if err != nil {
		return err
	}
	envp, err := syscall.SlicePtrFromStrings(environment)
	if err != nil {
		return err
	}
	var empty byte
	_, _, errno := syscall.RawSyscall6(sysExecveat, uintptr(fd), uintptr(unsafe.Pointer(&empty)),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envp[0])), atEmptyPath, 0)
	runtime.KeepAlive(argv)
	runtime.KeepAlive(envp)
	return &os.PathError{Op: "exec", Path: fmt.Sprintf("the caller's %s", name), Err: errno}
}
