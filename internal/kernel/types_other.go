// SPDX-License-Identifier: Apache-2.0

//go:build !unix && go1.22

package kernel

// Credential has the fields of package syscall's, on Linux.
type Credential struct {
	Uid, Gid    uint32
	Groups      []uint32
	NoSetGroups bool
}

// Rlimit has the fields of package syscall's, on Linux.
type Rlimit struct{ Cur, Max uint64 }
