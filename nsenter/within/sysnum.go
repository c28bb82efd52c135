// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package within

import "runtime"

// Numbers of system calls that package syscall does not have for every architecture.
var sysMemfdCreate, sysExecveat = numbers()

func numbers() (memfdCreate, execveat uintptr) {
	switch runtime.GOARCH {
	case "386":
		return 356, 358
	case "amd64":
		return 319, 322
	case "arm":
		return 385, 387
	case "mips", "mipsle":
		return 4354, 4356
	case "mips64", "mips64le":
		return 5314, 5316
	case "ppc64", "ppc64le":
		return 360, 362
	case "s390x":
		return 350, 354
	default: // those with the generic table: arm64, loong64, riscv64
		return 279, 281
	}
}
