// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command probe is the smallest program that can test an nsexec.
//
// It does nothing of its own: when nsexec has returned it says so on standard output, copies what
// its INITPIPE holds to standard output until EOF, and exits 0. A test reads facts about the process
// from /proc while the probe waits for that EOF. The probe itself says only whether it is dumpable, if PROBE_DUMPABLE
// is set.
//
// Another file says what it is linked with: nsenter.go is ours. The modules of tests/conformance/peers have this file
// by a symbolic link, and runc's nsenter beside it.
package main

import (
	"io"
	"os"
	"strconv"
	"syscall"
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
