// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"fmt"
	"os"
	"syscall"
)

// checkProc demands that /proc is procfs: whoever could put something else there could say which
// program the child is.
func checkProc() error {
	const procMagic = 0x9fa0
	var fs syscall.Statfs_t
	if err := syscall.Statfs("/proc/self", &fs); err != nil {
		return fmt.Errorf("within: /proc is needed: %w", os.NewSyscallError("statfs", err))
	}
	if int64(fs.Type) != procMagic {
		return fmt.Errorf("within: /proc/self does not lie on procfs")
	}
	return nil
}

// ownProgram is the program of this process, whatever lies at its path by now.
const ownProgram = "/proc/self/exe"

// maxFiles is how many descriptors a child can be given.
const maxFiles = 180
