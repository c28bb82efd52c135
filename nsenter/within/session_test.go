// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"context"
	"errors"
	"syscall"
	"testing"
)

// TestHowASessionEnds: Done and Err say it, and calls fail with the same.
func TestHowASessionEnds(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	cause := errors.New("it is too late")
	for _, c := range []struct {
		name  string
		end   func(s *Session, cancel context.CancelCauseFunc)
		right func(err error) bool
	}{
		{"Close", func(s *Session, _ context.CancelCauseFunc) { s.Close() },
			func(err error) bool { return err == ErrClosed }},
		{"Kill", func(s *Session, _ context.CancelCauseFunc) { s.Kill() },
			func(err error) bool { return err == ErrKilled }},
		{"context", func(_ *Session, cancel context.CancelCauseFunc) { cancel(cause) },
			func(err error) bool { return err == cause }},
		{"killed by others", func(s *Session, _ context.CancelCauseFunc) { syscall.Kill(s.Pid(), syscall.SIGKILL) },
			func(err error) bool {
				var exit *ExitError
				return errors.As(err, &exit) && isKilled(exit.State)
			}},
		{"exit", func(s *Session, _ context.CancelCauseFunc) { fail.Call(deadline(t, short), s, "exit") },
			func(err error) bool {
				var exit *ExitError
				return errors.As(err, &exit) && exit.State.ExitCode() == 3
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(deadline(t, short))
			defer cancel(nil)
			s, err := (&Proc{New: User}).Start(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if _, err := thread.Call(ctx, s, struct{}{}); err != nil {
				t.Fatal(err)
			}
			select {
			case <-s.Done():
				t.Error("Done is closed while the process runs")
			default:
			}
			if err := s.Err(); err != nil {
				t.Errorf("Err is %v while the process runs", err)
			}
			under := make(chan error, 1)
			go func() {
				_, err := hold.Call(deadline(t, short), s, struct{}{})
				under <- err
			}()
			c.end(s, cancel)
			select {
			case <-s.Done():
			case <-deadline(t, short).Done():
				t.Fatal("Done is not closed")
			}
			if err := s.Err(); !c.right(err) {
				t.Errorf("Err is %v", err)
			}
			if err := <-under; !c.right(err) {
				t.Errorf("the call under way: %v", err)
			}
			_, err = thread.Call(deadline(t, short), s, struct{}{})
			if !c.right(err) {
				t.Errorf("a call afterwards: %v", err)
			}
			s.Kill() // which comes too late
			if err := s.Err(); !c.right(err) {
				t.Errorf("after a late Kill Err is %v", err)
			}
		})
	}
}

// TestCallsAreRefusedOnceASessionIsKilled, although its process may not have ended yet.
func TestCallsAreRefusedOnceASessionIsKilled(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	s, err := (&Proc{New: User}).Start(deadline(t, short))
	if err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if _, err := thread.Call(deadline(t, short), s, struct{}{}); err != ErrKilled {
		t.Errorf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}
