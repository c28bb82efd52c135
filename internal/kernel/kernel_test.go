// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"os"
	"runtime"
	"syscall"
	"testing"
)

// TestNumbersOfArchitectures: as the kernel's headers have them.
func TestNumbersOfArchitectures(t *testing.T) {
	for _, c := range []struct {
		architecture      string
		nstype, pidfdOpen uintptr
	}{
		{"386", 0xb703, 434},
		{"amd64", 0xb703, 434},
		{"arm", 0xb703, 434},
		{"arm64", 0xb703, 434},
		{"loong64", 0xb703, 434},
		{"mips", 0x2000b703, 4434},
		{"mips64le", 0x2000b703, 5434},
		{"ppc64", 0x2000b703, 434},
		{"ppc64le", 0x2000b703, 434},
		{"riscv64", 0xb703, 434},
		{"s390x", 0xb703, 434},
		{"sparc64", 0x2000b703, 434},
	} {
		if got := ioctlWithoutArgument(c.architecture, 0xb7, 3); got != c.nstype {
			t.Errorf("%s: NS_GET_NSTYPE is %#x, want %#x", c.architecture, got, c.nstype)
		}
		if got := call(c.architecture, 434); got != c.pidfdOpen {
			t.Errorf("%s: pidfd_open is %d, want %d", c.architecture, got, c.pidfdOpen)
		}
	}
}

// TestTheKernelKnowsThem: this one does.
func TestTheKernelKnowsThem(t *testing.T) {
	file, err := os.Open("/proc/self/ns/uts")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	kind, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), NsGetNstype, 0)
	if errno != 0 || kind != syscall.CLONE_NEWUTS {
		t.Errorf("%s: a UTS namespace is a namespace of type %#x (%v)", runtime.GOARCH, kind, errno)
	}
}

func TestIDInside(t *testing.T) {
	const idMap = "         0       1000          1\n         1     100000      65536\n  4294967294 7 1\n"
	for id, want := range map[uint32]uint32{1000: 0, 100000: 1, 165535: 65536, 7: 4294967294} {
		if got, found := IDInside(idMap, id); !found || got != want {
			t.Errorf("%d: %d, %v, want %d", id, got, found, want)
		}
	}
	for _, id := range []uint32{0, 999, 1001, 99999, 165536, 4294967295} {
		if got, found := IDInside(idMap, id); found {
			t.Errorf("%d: %d, which is nobody", id, got)
		}
	}
	if _, found := IDInside("", 0); found {
		t.Error("a map without lines has somebody")
	}
}
