// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import "runtime"

// Requests of ioctl_ns(2).
var (
	NsGetUserns = ioctlWithoutArgument(runtime.GOARCH, 0xb7, 1) // Linux 4.9
	NsGetNstype = ioctlWithoutArgument(runtime.GOARCH, 0xb7, 3) // Linux 4.11
)

// TiocGptpeer is a request of ioctl_tty(2), Linux 4.13.
var TiocGptpeer = ioctlWithoutArgument(runtime.GOARCH, 'T', 0x41)

// ioctlWithoutArgument is _IO of <asm/ioctl.h>. Most architectures say with 0 that there is no argument. MIPS, PowerPC
// and SPARC say it with a bit of its own.
func ioctlWithoutArgument(architecture string, kind, number uintptr) uintptr {
	none := uintptr(0)
	switch architecture {
	case "mips", "mipsle", "mips64", "mips64le", "mips64p32", "mips64p32le", "ppc", "ppc64", "ppc64le", "sparc", "sparc64":
		none = 1 << 29
	}
	return none | kind<<8 | number
}

// Call is the number of a system call of those that are numbered alike everywhere, from pidfd_send_signal (424) on.
func Call(number uintptr) uintptr { return call(runtime.GOARCH, number) }

func call(architecture string, number uintptr) uintptr {
	switch architecture {
	case "mips", "mipsle":
		return 4000 + number
	case "mips64", "mips64le":
		return 5000 + number
	case "mips64p32", "mips64p32le":
		return 6000 + number
	case "alpha":
		return 110 + number
	}
	return number
}
