// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

// Padding moves what lies behind it. The benchmark replaces this file by others in which there is more.
var (
	readOnly = "x"
	written  = [1]byte{1}
)
