// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package surroundings

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"nsenter-cpp.example/internal/testutil"
	"nsenter-cpp.example/nsenter/bootstrap"
)

// filtered executes the launched program with a seccomp filter that refuses a system call: "NUMBER MASK", where the
// call is refused if its first argument has a bit of the mask, or always if that is 0.
func filtered(arguments string) {
	runtime.LockOSThread()
	var number, mask uint64
	if _, err := fmt.Sscan(arguments, &number, &mask); err != nil {
		os.Exit(2)
	}
	const (
		load = 0x20 // BPF_LD|BPF_W|BPF_ABS
		same = 0x15 // BPF_JMP|BPF_JEQ|BPF_K
		set  = 0x45 // BPF_JMP|BPF_JSET|BPF_K
		give = 0x06 // BPF_RET|BPF_K

		allow  = 0x7fff0000 // SECCOMP_RET_ALLOW
		refuse = 0x00050000 // SECCOMP_RET_ERRNO
	)
	low := uint32(16) // of the first argument
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		low += 4
	}
	program := []syscall.SockFilter{
		{Code: load, K: 0},
		{Code: same, K: uint32(number), Jf: 3},
		{Code: load, K: low},
		{Code: set, K: uint32(mask), Jf: 1},
		{Code: give, K: refuse | uint32(syscall.EPERM)},
		{Code: give, K: allow},
	}
	if mask == 0 {
		program[3] = syscall.SockFilter{Code: 0x05} // BPF_JMP|BPF_JA: to the next
	}
	fprog := syscall.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	const setNoNewPrivs, setSeccomp, modeFilter = 38, 22, 2
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, setNoNewPrivs, 1, 0, 0, 0, 0); errno != 0 {
		os.Exit(3)
	}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, setSeccomp, modeFilter,
		uintptr(unsafe.Pointer(&fprog))); errno != 0 {
		os.Exit(3)
	}
	env := []string{role + "=init"}
	for _, setting := range os.Environ() {
		if strings.HasPrefix(setting, "FILTERED") {
			env = append(env, strings.TrimPrefix(setting, "FILTERED"))
		}
	}
	fmt.Fprintln(os.Stderr, syscall.Exec("/proc/self/exe", os.Args, env))
	os.Exit(3)
}

// What sharing memory takes, and a copy does not, may be refused.
func TestRefusedCalls(t *testing.T) {
	testutil.RequireRoot(t)
	maps := []bootstrap.IDRange{{Outside: 100000, Count: 65536}}
	for _, refused := range []struct {
		name         string
		number, mask uint64
	}{
		{"nothing", 1 << 20, 0},
		{"clone with CLONE_VM", syscall.SYS_CLONE, syscall.CLONE_VM},
		{"set_tid_address", syscall.SYS_SET_TID_ADDRESS, 0},
		{"uname", syscall.SYS_UNAME, 0},
		{"get_robust_list", syscall.SYS_GET_ROBUST_LIST, 0},
	} {
		for _, message := range []bootstrap.Message{
			{Create: bootstrap.Mount},
			{Create: bootstrap.Mount | bootstrap.User, UIDMap: maps, GIDMap: maps},
		} {
			t.Run(fmt.Sprintf("%s/%v", refused.name, message.Create), func(t *testing.T) {
				r := request{message: message, env: []string{
					role + "=filter " + strconv.FormatUint(refused.number, 10) + " " + strconv.FormatUint(refused.mask, 10),
					"_LIBCONTAINER_INITPIPE=", // not yet
					"FILTERED_LIBCONTAINER_INITPIPE=3", "FILTERED_LIBCONTAINER_LOGPIPE=4",
				}}
				l := r.launchAll(t)
				l.mustRun(t)
			})
		}
	}
}
