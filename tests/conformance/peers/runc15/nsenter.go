// SPDX-License-Identifier: Apache-2.0

//go:build linux

// The runtime of Go 1.25 and later keeps files of the cgroup open, which would be counted as fds
// that nsexec left behind.
//
//go:debug containermaxprocs=0

package main

// The same program under test, with the C code that this project replaces in the place of ours.
import _ "github.com/opencontainers/runc/libcontainer/nsenter"
