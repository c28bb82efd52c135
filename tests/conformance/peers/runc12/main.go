// SPDX-License-Identifier: Apache-2.0

//go:build linux

// The runtime of Go 1.25 and later keeps files of the cgroup open, which would be counted as fds
// that nsexec left behind.
//
//go:debug containermaxprocs=0

// Command runc12 is tests/conformance/probe linked with runc's own nsenter: the same program under test, with the
// C code that this project replaces in the place of ours.
package main

import (
	"io"
	"os"
	"strconv"
	"syscall"

	_ "github.com/opencontainers/runc/libcontainer/nsenter"
)

func main() {
	os.Stdout.WriteString("nsexec returned\n")
	if os.Getenv("PROBE_DUMPABLE") != "" {
		// Of a process that is root /proc does not tell.
		dumpable, _, _ := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_GET_DUMPABLE, 0, 0)
		os.Stdout.WriteString("dumpable " + strconv.Itoa(int(dumpable)) + "\n")
	}
	pipe := os.Getenv("_LIBCONTAINER_INITPIPE")
	if pipe == "" {
		return
	}
	fd, err := strconv.Atoi(pipe)
	if err != nil {
		os.Stderr.WriteString("probe: _LIBCONTAINER_INITPIPE is no number: " + pipe + "\n")
		os.Exit(2)
	}
	if _, err := io.Copy(os.Stdout, os.NewFile(uintptr(fd), "INITPIPE")); err != nil {
		os.Stderr.WriteString("probe: " + err.Error() + "\n")
		os.Exit(2)
	}
}
