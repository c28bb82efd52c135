// SPDX-License-Identifier: Apache-2.0

//go:build linux

package launch

import (
	"errors"
	"fmt"
	"syscall"
)

// explainLimit names the limit of open files in an error of a fork, if that is why it has failed: a number that is not
// below the limit is an invalid argument, or a bad descriptor, for the calls that put files on their numbers.
func explainLimit(err error, files []uintptr) error {
	var limit syscall.Rlimit
	if !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.EBADF) && !errors.Is(err, syscall.EMFILE) ||
		syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return err
	}
	if needed := lowestFree(files); uint64(needed) > uint64(limit.Cur) {
		return fmt.Errorf("%w (%d descriptors are needed, and the limit of open files, RLIMIT_NOFILE, is %d)",
			err, needed, limit.Cur)
	}
	return err
}

// lowestFree is a number that nothing has while package syscall puts files on their numbers. On the way it takes
// numbers above all of them: one for each file that has to give way, and two more.
func lowestFree(files []uintptr) int {
	above, given := len(files), 0
	for _, file := range files {
		if file != nothing {
			given++
			if int(file) > above {
				above = int(file)
			}
		}
	}
	return above + given + 4
}
