// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernel

import (
	"fmt"
	"strings"
)

// IDInside is what an id, as this process sees it, is in a user namespace, by the lines of its /proc/PID/uid_map or
// gid_map as this process reads them (user_namespaces(7)). False: it is nobody there.
func IDInside(idMap string, id uint32) (uint32, bool) {
	for _, line := range strings.Split(idMap, "\n") {
		var inside, outside, count uint64
		if n, _ := fmt.Sscan(line, &inside, &outside, &count); n == 3 &&
			uint64(id) >= outside && uint64(id)-outside < count {
			return uint32(inside + uint64(id) - outside), true
		}
	}
	return 0, false
}
