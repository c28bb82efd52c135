// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

// Command bind mounts a folder of this machine into a running container. The mount is taken out here,
// as a descriptor (open_tree(2), Linux 5.2), which the function in the container attaches.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"unsafe"

	"nsenter-cpp.example/nsenter/within"
)

// Numbers are the same on every architecture but MIPS, where 4000 or 5000 are added.
const (
	sysOpenTree  = 428
	sysMoveMount = 429

	openTreeClone      = 0x1
	openTreeCloexec    = syscall.O_CLOEXEC
	moveMountEmptyPath = 0x4 // of the source
)

var atFDCWD = -100

// Attach takes the mount from descriptor 3, the first of Proc.ExtraFiles.
var attach = within.Register("bind.attach", func(_ context.Context, at string) (struct{}, error) {
	target, err := syscall.BytePtrFromString(at)
	if err != nil {
		return struct{}{}, err
	}
	var empty byte
	_, _, errno := syscall.Syscall6(sysMoveMount, 3, uintptr(unsafe.Pointer(&empty)),
		uintptr(atFDCWD), uintptr(unsafe.Pointer(target)), moveMountEmptyPath, 0)
	if errno != 0 {
		return struct{}{}, &os.PathError{Op: "mount", Path: at, Err: errno}
	}
	return struct{}{}, nil
})

// detached is a mount of a folder that is nowhere yet.
func detached(folder string) (*os.File, error) {
	path, err := syscall.BytePtrFromString(folder)
	if err != nil {
		return nil, err
	}
	fd, _, errno := syscall.Syscall(sysOpenTree, uintptr(atFDCWD), uintptr(unsafe.Pointer(path)),
		openTreeClone|openTreeCloexec)
	if errno != 0 {
		return nil, &os.PathError{Op: "open_tree", Path: folder, Err: errno}
	}
	return os.NewFile(fd, folder), nil
}

func main() {
	within.Init()
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: bind PID FOLDER WHERE")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "bind:", err)
		os.Exit(1)
	}
}

func run(process, folder, where string) error {
	pid, err := strconv.Atoi(process)
	if err != nil {
		return err
	}
	mount, err := detached(folder)
	if err != nil {
		return err
	}
	defer mount.Close()
	p := &within.Proc{Target: within.Of(pid, within.Mount), ExtraFiles: []*os.File{mount}}
	_, err = attach.Call(context.Background(), p, where)
	return err
}
