// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"nsenter-cpp.example/internal/kernel"
	"nsenter-cpp.example/nsenter/parent"
)

// explain has an error of a start name a namespace as its caller has: the process that fails has it as a descriptor.
// Where it is not permitted to join it, the error says what is lacking.
func (f *childFiles) explain(err error) error {
	var fatal *parent.FatalError
	if !errors.As(err, &fatal) {
		return err
	}
	for i, join := range f.joins {
		if fatal.Path != join.Path {
			continue
		}
		file := f.namespaces[i].file
		named := *fatal
		named.Path = file.Name()
		named.Text = strings.Replace(fatal.Text, fatal.Path, named.Path, 1)
		if named.Errno == syscall.EPERM && join.Kind != User {
			if lack := f.lack(file); lack != "" {
				return fmt.Errorf("%w (%s)", &named, lack)
			}
		}
		return &named
	}
	return err
}

// lack is what a namespace cannot be joined without, as far as it can be told.
func (f *childFiles) lack(namespace *os.File) string {
	fd, _, errno := syscall.Syscall(syscall.SYS_IOCTL, namespace.Fd(), kernel.NsGetUserns, 0)
	if errno == syscall.EPERM {
		return "it belongs to a user namespace outside of this process's"
	}
	if errno != 0 {
		return ""
	}
	defer syscall.Close(int(fd))
	owner := linkOf(fd)
	for i, join := range f.joins {
		if join.Kind == User && linkOf(f.namespaces[i].file.Fd()) == owner {
			return ""
		}
	}
	if own, err := os.Readlink("/proc/thread-self/ns/user"); err == nil && own == owner {
		return fmt.Sprintf("it needs CAP_SYS_ADMIN in %s, this process's user namespace", owner)
	}
	return fmt.Sprintf("it belongs to %s, a user namespace that has to be joined too", owner)
}

func linkOf(fd uintptr) string {
	link, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	return link
}
