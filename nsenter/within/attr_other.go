// SPDX-License-Identifier: Apache-2.0

//go:build !linux && go1.22

package within

import (
	"os"

	"nsenter-cpp.example/internal/kernel"
)

// Attr is what the process of a Cmd's program is besides its namespaces, on Linux. It is here for code that is built on
// this system too, which lacks some of the types of its fields. attr.go says what the fields Credential, KeepCaps,
// Capabilities, NoNewPrivs, Seccomp, AppArmorProfile, SELinuxLabel, Rlimits, Cgroups, CPUs, Scheduler, Chroot, Root,
// Dir and Umask are.
type Attr struct {
	Credential                    *kernel.Credential
	KeepCaps                      bool
	Capabilities                  *Capabilities
	NoNewPrivs                    bool
	Seccomp                       []SeccompFilter
	AppArmorProfile, SELinuxLabel string

	Rlimits   []Rlimit
	Cgroups   []*os.File
	CPUs      []int
	Scheduler *Scheduler

	Chroot string
	Root   *os.File
	Dir    *os.File
	Umask  *int
}

// SeccompFilter is a filter program of seccomp(2): instructions in Program, and Flags.
type SeccompFilter struct {
	Program []kernel.SockFilter
	Flags   uint
}

// Rlimit is a limit of getrlimit(2), by the number of its Resource.
type Rlimit struct {
	Resource int
	kernel.Rlimit
}
