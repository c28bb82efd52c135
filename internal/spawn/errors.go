// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package spawn

// #include "request.h"
import "C"

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"syscall"

	"nsenter-cpp.example/nsenter/bootstrap"
)

// Error is a step that has failed, in the words of the core.
type Error struct {
	What string // "failed to join net namespace of process 42"
	Err  error  // nil if no system call has failed
}

// Error is What, and then libc's text of the errno.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.What
	}
	return e.What + ": " + libcText(e.Err)
}

// Unwrap is Err.
func (e *Error) Unwrap() error { return e.Err }

// libcText is what strerror(3) says. Go has the same texts, but begins them with a small letter.
func libcText(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}

// failure is the error of a program that does not run.
func (s *Spec) failure(r *C.SpawnRequest) error {
	var err error
	if r.code != 0 {
		err = syscall.Errno(r.code)
	}
	switch r.step {
	case C.kSpawnLookUp:
		return s.missing(err)
	case C.kSpawnRelative:
		return &exec.Error{Name: s.Path, Err: exec.ErrDot}
	case C.kSpawnExecute:
		path := fmt.Sprintf("the caller's %s", s.Path)
		if s.Program == nil {
			candidates, _ := s.candidates()
			path = candidates[r.detail]
		}
		return &fs.PathError{Op: "exec", Path: path, Err: err}
	case C.kSpawnDirectory:
		if s.Dir != "" {
			return &fs.PathError{Op: "chdir", Path: s.Dir, Err: err}
		}
	}
	return &Error{What: s.what(int(r.step), int(r.detail)), Err: err}
}

// missing is what exec.LookPath says.
func (s *Spec) missing(err error) error {
	switch {
	case !strings.Contains(s.Path, "/"):
		return &exec.Error{Name: s.Path, Err: exec.ErrNotFound}
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EISDIR):
		return &exec.Error{Name: s.Path, Err: err}
	}
	return &exec.Error{Name: s.Path, Err: &fs.PathError{Op: "stat", Path: s.Path, Err: err}}
}

func (s *Spec) what(step, detail int) string {
	switch step {
	case C.kSpawnPrepare:
		return "failed to prepare for the program's process"
	case C.kSpawnJoin:
		return "failed to join " + s.names(bootstrap.Namespaces(detail))
	case C.kSpawnCreate:
		return "failed to create namespaces: " + strings.ReplaceAll(bootstrap.Namespaces(detail).String(), ",", " ")
	case C.kSpawnClone:
		return "failed to create the program's process"
	case C.kSpawnFile:
		return fmt.Sprintf("failed to put a file on fd %d", detail)
	case C.kSpawnClose:
		return "failed to close what is not the program's"
	case C.kSpawnSession:
		return "failed to start a session"
	case C.kSpawnTerminal:
		return fmt.Sprintf("failed to make fd %d the controlling terminal", *s.Terminal)
	case C.kSpawnRoot:
		return "failed to change the root directory"
	case C.kSpawnDirectory:
		return "failed to change the working directory"
	case C.kSpawnLimit:
		return fmt.Sprintf("failed to set the resource limit %d", detail)
	case C.kSpawnNoNewPrivileges:
		return "failed to set no_new_privs"
	case C.kSpawnBounding:
		return fmt.Sprintf("failed to drop capability %d from the bounding set", detail)
	case C.kSpawnKeep:
		return "failed to keep capabilities while ids change"
	case C.kSpawnGroups:
		return "failed to set the supplementary groups"
	case C.kSpawnGid:
		return fmt.Sprintf("failed to become gid %d", s.IDs.GID)
	case C.kSpawnUid:
		return fmt.Sprintf("failed to become uid %d", s.IDs.UID)
	case C.kSpawnCapabilities:
		return "failed to set capabilities"
	case C.kSpawnAmbient:
		return fmt.Sprintf("failed to raise ambient capability %d", detail)
	case C.kSpawnDeathSignal:
		return fmt.Sprintf("failed to ask for %v at the caller's end", s.DeathSignal)
	case C.kSpawnFilter:
		return "failed to install the seccomp filter"
	case C.kSpawnSignals:
		return "failed to unblock signals"
	}
	return fmt.Sprintf("step %d failed", step)
}

// names are the namespaces of the kinds as they were given.
func (s *Spec) names(kinds bootstrap.Namespaces) string {
	var names []string
	for _, kind := range kinds.Each() {
		of := ""
		if s.Target != nil && s.Join.Has(kind) {
			of = fmt.Sprintf("of process %d", s.Target.Pid)
		}
		for _, n := range s.Joins {
			if n.Kind == kind {
				of = n.Name
			}
		}
		names = append(names, fmt.Sprintf("%v namespace %s", kind, of))
	}
	return strings.Join(names, ", ")
}
