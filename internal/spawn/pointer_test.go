// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package spawn

import "unsafe"

func pointer[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }
