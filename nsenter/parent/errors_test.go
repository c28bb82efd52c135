// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package parent

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"nsenter-cpp.example/nsenter/bootstrap"
)

// TestFatalErrorsAreOneLine: a map that the kernel has refused has lines of its own.
func TestFatalErrorsAreOneLine(t *testing.T) {
	requireRoot(t) // to be somebody else
	nothingLeft(t)
	ids := []bootstrap.IDRange{{Inside: 0, Outside: 1000, Count: 1}, {Inside: 1, Outside: 5000, Count: 1}}
	c := self(&bootstrap.Message{Create: bootstrap.User, UIDMap: ids, GIDMap: ids, Rootless: true})
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
	_, err := c.Start(deadline(t, 20*time.Second))
	var fatal *FatalError
	if !errors.As(err, &fatal) || fatal.Errno != syscall.EPERM {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(fatal.Text, "0 1000 1\n1 5000 1") {
		t.Errorf("the text is %q, without the map", fatal.Text)
	}
	if got := err.Error(); strings.Contains(got, "\n") || !strings.Contains(got, `0 1000 1\n1 5000 1`) {
		t.Errorf("got %q", got)
	}
}
