// SPDX-License-Identifier: Apache-2.0

//go:build !linux && go1.22

package kernel

// SockFilter has the fields of package syscall's, on Linux.
type SockFilter struct {
	Code   uint16
	Jt, Jf uint8
	K      uint32
}
