// SPDX-License-Identifier: Apache-2.0

//go:build go1.22 && !(linux && cgo && gc)

package within

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"nsenter-cpp.example/internal/kernel"
)

// Elsewhere than on Linux, and without cgo, this package can be imported, so that a program which has other uses can be
// built there. A test compares what is exported with that for Linux (scripts/elsewhere_test.go).

// errUnsupported is the error of all that needs namespaces.
var errUnsupported = unsupported(runtime.GOOS, runtime.Compiler)

func unsupported(system, compiler string) error {
	switch {
	case system != "linux":
		return fmt.Errorf("within: there are no namespaces on %s: %w", system, errors.ErrUnsupported)
	case compiler != "gc":
		return fmt.Errorf("within: the program was built by %s, not gc: %w", compiler, errors.ErrUnsupported)
	}
	return fmt.Errorf("within: the program was built without cgo: %w", errors.ErrUnsupported)
}

// Init returns at once, and from then on functions can no longer be registered.
func Init() { functions.freeze(callSite(2)) }

func isChild() bool { return false }

func (*Proc) call(context.Context, string, message) (message, error) {
	return message{}, errUnsupported
}

// Start fails with an error in which errors.Is finds errors.ErrUnsupported.
func (p *Proc) Start(ctx context.Context) (*Session, error) { return nil, errUnsupported }

// Session is a process that runs any number of functions. There are none here.
type Session struct{ _ [0]func() }

func (*Session) call(context.Context, string, message) (message, error) {
	return message{}, errUnsupported
}

// Pid is 0.
func (s *Session) Pid() int { return 0 }

// Done is closed.
func (s *Session) Done() <-chan struct{} { return closed }

var closed = func() chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}()

// Err is an error in which errors.Is finds errors.ErrUnsupported.
func (s *Session) Err() error { return errUnsupported }

// Kill does nothing.
func (s *Session) Kill() {}

// Close fails with an error in which errors.Is finds errors.ErrUnsupported.
func (s *Session) Close() error { return errUnsupported }

// Target says which existing namespaces are to be joined. Here it is none.
type Target struct{ _ [0]func() }

// Of is a Target that cannot be joined.
func Of(pid int, kinds Namespaces) Target { return Target{} }

// OfPidfd is a Target that cannot be joined.
func OfPidfd(pidfd *os.File, kinds Namespaces) Target { return Target{} }

// Path is a Target that cannot be joined.
func Path(kind Namespaces, path string) Target { return Target{} }

// FD is a Target that cannot be joined.
func FD(kind Namespaces, file *os.File) Target { return Target{} }

// And is a Target that cannot be joined.
func (t Target) And(other Target) Target { return Target{} }

// Types of fields of Cmd and Pool that are not exported.
type (
	running  struct{}
	program  struct{}
	identity struct{}
	pooled   struct{}
)

// Start fails with an error in which errors.Is finds errors.ErrUnsupported.
func (c *Cmd) Start(ctx context.Context) error { return errUnsupported }

// Wait fails as Start does.
func (c *Cmd) Wait() error { return errUnsupported }

// Run fails as Start does.
func (c *Cmd) Run(ctx context.Context) error { return errUnsupported }

// Output fails as Start does.
func (c *Cmd) Output(ctx context.Context) ([]byte, error) { return nil, errUnsupported }

// CombinedOutput fails as Start does.
func (c *Cmd) CombinedOutput(ctx context.Context) ([]byte, error) { return nil, errUnsupported }

// Confine fails as Start does.
func (c *Cmd) Confine(ctx context.Context, pid int) (err error) { return errUnsupported }

// CgroupsOf fails with an error in which errors.Is finds errors.ErrUnsupported.
func CgroupsOf(pid int) ([]*os.File, error) { return nil, errUnsupported }

// CredentialOf fails with an error in which errors.Is finds errors.ErrUnsupported.
func CredentialOf(pid int) (*kernel.Credential, error) { return nil, errUnsupported }

// SubIDs fails with an error in which errors.Is finds errors.ErrUnsupported.
func SubIDs(user string) (uids, gids []IDRange, err error) { return nil, nil, errUnsupported }

// OpenTerminal fails with an error in which errors.Is finds errors.ErrUnsupported.
func OpenTerminal() (*Terminal, error) { return nil, errUnsupported }

// Close fails as OpenTerminal does.
func (t *Terminal) Close() error { return errUnsupported }

// Resize fails as OpenTerminal does.
func (t *Terminal) Resize(rows, columns uint16) error { return errUnsupported }

// Attach fails as OpenTerminal does.
func (t *Terminal) Attach(other *os.File) (detach func() error, err error) {
	return nil, errUnsupported
}

// Place is a target of which a Pool has the sessions. There are none here.
type Place struct{ _ [0]func() }

func (*Place) call(context.Context, string, message) (message, error) {
	return message{}, errUnsupported
}

// Close has nothing to close.
func (l *Place) Close() error { return nil }

// At fails with an error in which errors.Is finds errors.ErrUnsupported.
func (p *Pool) At(t Target) (*Place, error) { return nil, errUnsupported }

// Close has no sessions to close.
func (p *Pool) Close() error { return nil }

// Descriptors are not duplicated here, so a File cannot be sent, to Here neither.
func duplicateDescriptor(*os.File) (int, error) { return -1, errUnsupported }

func closeDescriptors([]int) {}
