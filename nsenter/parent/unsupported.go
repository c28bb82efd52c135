// SPDX-License-Identifier: Apache-2.0

//go:build go1.22 && !(linux && gc)

package parent

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// errUnsupported is the error of all launches.
var errUnsupported = fmt.Errorf("parent: programs are launched on Linux only, by programs that gc has built: %w",
	errors.ErrUnsupported)

// Start fails with an error in which errors.Is finds errors.ErrUnsupported.
func (c *Cmd) Start(ctx context.Context) (*Init, error) { return nil, errUnsupported }

// Init is the init process: a child of the caller. There are none here.
type Init struct {
	Pid     int         // in the caller's pid namespace
	Process *os.Process // the same, for package os
	Conn    *os.File    // the other end of the init process's INITPIPE

	_ [0]func()
}

// Kill fails with an error in which errors.Is finds errors.ErrUnsupported.
func (i *Init) Kill() error { return errUnsupported }

// Wait fails as Kill does.
func (i *Init) Wait() (*os.ProcessState, error) { return nil, errUnsupported }

// Err is an error in which errors.Is finds errors.ErrUnsupported.
func (i *Init) Err() error { return errUnsupported }

// Pidfd fails as Kill does.
func (i *Init) Pidfd() (*os.File, error) { return nil, errUnsupported }
