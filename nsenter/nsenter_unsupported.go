// SPDX-License-Identifier: Apache-2.0

//go:build !linux || !cgo

package nsenter

// The build stops here on purpose, with a text that says why: a program that was built without the
// constructor would start in the wrong namespaces and not know it.
var _ = nsenter_needs_linux_and_cgo__set_CGO_ENABLED_1_and_have_a_cxx20_compiler
