// SPDX-License-Identifier: Apache-2.0

//go:build linux

// The runtime of Go 1.25 and later reads files of the cgroup at start, which is noise here.
//
//go:debug containermaxprocs=0

// Command contestant is the program that the benchmark launches: a Go program that only reads INITPIPE to its
// end. A build tag chooses the one import in which the contestants differ.
package main

import (
	"os"
	"strconv"
	"syscall"
)

func main() {
	if len(os.Args) > 100 { // or the linker would leave it out
		os.Stdout.WriteString(readOnly)
		os.Stdout.Write(written[:])
	}
	pipe := os.Getenv("_LIBCONTAINER_INITPIPE")
	if pipe == "" {
		return
	}
	fd, err := strconv.Atoi(pipe)
	if err != nil {
		os.Exit(2)
	}
	var buffer [8192]byte
	for {
		n, err := syscall.Read(fd, buffer[:])
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			os.Exit(2)
		}
		if n == 0 {
			return
		}
	}
}
