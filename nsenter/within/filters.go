// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// filters takes the seccomp filters of the process. It says so if it cannot.
func (t *confinement) filters(ctx context.Context) error {
	switch {
	case t.attr.Seccomp != nil || t.status["Seccomp"] == "0":
		return nil
	case t.status["Seccomp"] != "2":
		return t.unreadable("Seccomp")
	}
	if !hasCapability(capSysAdmin) {
		return fmt.Errorf("within: it takes CAP_SYS_ADMIN to read the seccomp filters of process %d (Attr.Seccomp can say "+
			"which to take): %w", t.pid, syscall.EPERM)
	}
	// By a process of its own: somebody in this one who waits for the target, as its parent, would be told of the stop.
	filters, err := filtersOf.Call(ctx, &Proc{}, t.pid)
	if err != nil {
		return fmt.Errorf("within: failed to read the seccomp filters of process %d (Attr.Seccomp can say which to take): %w",
			t.pid, err)
	}
	for i, f := range filters {
		if asksSupervisor(f.Program) {
			return fmt.Errorf("within: seccomp filter %d of process %d asks a supervisor, which a copy does not have "+
				"(Attr.Seccomp can say which to take)", i+1, t.pid)
		}
		// Else kernels before 5.16 switch a feature of the processor off.
		if strings.Contains(t.status["Speculation_Store_Bypass"], "vulnerable") {
			filters[i].Flags |= seccompFlagSpecAllow
		}
	}
	t.attr.Seccomp = filters
	return nil
}

const capSysAdmin = 21

// hasCapability tells whether this thread has a capability in its user namespace.
func hasCapability(capability int) bool {
	header := capHeader{version: capVersion3}
	var data capData
	_, _, errno := syscall.RawSyscall(syscall.SYS_CAPGET, uintptr(unsafe.Pointer(&header)),
		uintptr(unsafe.Pointer(&data)), 0)
	return errno == 0 && data[capability/32].effective>>(capability%32)&1 != 0
}

// asksSupervisor tells whether a filter has an instruction that returns SECCOMP_RET_USER_NOTIF.
func asksSupervisor(program []syscall.SockFilter) bool {
	const bpfRetK, action, userNotif = 0x06, 0xffff0000, 0x7fc00000
	for _, instruction := range program {
		if instruction.Code == bpfRetK && instruction.K&action == userNotif {
			return true
		}
	}
	return false
}

var filtersOf = Register("nsenter-cpp.example/nsenter/within.filters", readFilters)

// Requests of ptrace(2).
const (
	ptraceDetach             = 17
	ptraceSeize              = 0x4206
	ptraceInterrupt          = 0x4207
	ptraceSeccompGetFilter   = 0x420c // Linux 4.4
	ptraceSeccompGetMetadata = 0x420d // Linux 4.16
)

func ptrace(request, pid int, address, data uintptr) (int, syscall.Errno) {
	result, _, errno := syscall.RawSyscall6(syscall.SYS_PTRACE, uintptr(request), uintptr(pid), address, data, 0, 0)
	return int(result), errno
}

// readFilters stops a process for as long as it takes to read its filters. This thread is this call's alone: the
// kernel lets go of what it traces when it ends, however that comes.
func readFilters(ctx context.Context, pid int) (filters []SeccompFilter, err error) {
	if _, errno := ptrace(ptraceSeize, pid, 0, 0); errno != 0 {
		return nil, fmt.Errorf("failed to trace it: %w", errno)
	}
	signal := syscall.Signal(0)
	defer func() { ptrace(ptraceDetach, pid, 0, uintptr(signal)) }()
	if _, errno := ptrace(ptraceInterrupt, pid, 0, 0); errno != 0 {
		return nil, fmt.Errorf("failed to stop it: %w", errno)
	}
	if signal, err = awaitStop(ctx, pid); err != nil {
		return nil, err
	}
	// The first is the one that was installed first.
	for i := 0; ; i++ {
		n, errno := ptrace(ptraceSeccompGetFilter, pid, uintptr(i), 0)
		if errno == syscall.ENOENT && i > 0 {
			return filters, nil
		}
		if errno != 0 {
			return nil, fmt.Errorf("PTRACE_SECCOMP_GET_FILTER: %w", errno)
		}
		f := SeccompFilter{Program: make([]syscall.SockFilter, n)}
		_, errno = ptrace(ptraceSeccompGetFilter, pid, uintptr(i), uintptr(unsafe.Pointer(&f.Program[0])))
		if errno != 0 {
			return nil, fmt.Errorf("PTRACE_SECCOMP_GET_FILTER: %w", errno)
		}
		metadata := struct{ index, flags uint64 }{index: uint64(i)}
		_, errno = ptrace(ptraceSeccompGetMetadata, pid, unsafe.Sizeof(metadata), uintptr(unsafe.Pointer(&metadata)))
		if errno == 0 {
			f.Flags = uint(metadata.flags) & (seccompFlagLog | seccompFlagSpecAllow)
		}
		filters = append(filters, f)
	}
}

// awaitStop waits until the process has stopped, and returns the signal that it was about to be given, or 0.
func awaitStop(ctx context.Context, pid int) (syscall.Signal, error) {
	const wall, eventStop = 0x40000000, 128
	for end := time.Now().Add(patienceForKernel); ; time.Sleep(time.Millisecond) {
		var status syscall.WaitStatus
		found, err := syscall.Wait4(pid, &status, syscall.WNOHANG|wall, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return 0, fmt.Errorf("failed to wait until it has stopped: %w", err)
		case found == pid && !status.Stopped():
			return 0, errEnded(pid)
		case found == pid && status>>16 == eventStop:
			return 0, nil
		case found == pid:
			return status.StopSignal(), nil
		case ctx.Err() != nil:
			return 0, context.Cause(ctx)
		case time.Now().After(end):
			return 0, fmt.Errorf("it does not stop (state %c)", processState(pid))
		}
	}
}
