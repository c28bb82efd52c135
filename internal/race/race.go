// SPDX-License-Identifier: Apache-2.0

//go:build race

// Package race tells whether the program was built with Go's race detector.
package race

// Enabled is so with -race.
const Enabled = true
