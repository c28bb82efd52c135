// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"runtime"
	"syscall"

	"nsenter-cpp.example/internal/kernel"
)

// Numbers of system calls that package syscall does not have for every architecture.
var (
	sysMemfdCreate, sysExecveat, sysCloseRange = numbers()
	// Everywhere these come in this order: sched_setattr, sched_getattr, renameat2, seccomp, getrandom, memfd_create.
	sysSchedSetattr = sysMemfdCreate - 5
	sysSchedGetattr = sysMemfdCreate - 4
	sysSeccomp      = sysMemfdCreate - 2
)

// Calls for ids of 32 bits.
var sysSetgroups, sysSetresgid, sysSetresuid = idNumbers()

func idNumbers() (setgroups, setresgid, setresuid uintptr) {
	switch runtime.GOARCH {
	case "386", "arm": // package syscall's are for 16 bits
		return 206, 210, 208
	}
	return syscall.SYS_SETGROUPS, syscall.SYS_SETRESGID, syscall.SYS_SETRESUID
}

func numbers() (memfdCreate, execveat, closeRange uintptr) {
	newer := kernel.Call(436)
	switch runtime.GOARCH {
	case "386":
		return 356, 358, newer
	case "amd64":
		return 319, 322, newer
	case "arm":
		return 385, 387, newer
	case "mips", "mipsle":
		return 4354, 4356, newer
	case "mips64", "mips64le":
		return 5314, 5316, newer
	case "ppc64", "ppc64le":
		return 360, 362, newer
	case "s390x":
		return 350, 354, newer
	default: // those with the generic table: arm64, loong64, riscv64
		return 279, 281, newer
	}
}
