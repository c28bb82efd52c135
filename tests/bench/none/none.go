// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

// Package none has C code, as every contestant does, and no constructor: its program shows what a Go
// program's start costs by itself.
package none

// static int nothing(void) { return 0; }
import "C"

// Nothing refers to the C code, which would otherwise not be linked.
func Nothing() int { return int(C.nothing()) }
