// SPDX-License-Identifier: Apache-2.0

//go:build unix && go1.22

package kernel

import "syscall"

// Credential and Rlimit are those of package syscall, which other systems than Unix do not have.
type (
	Credential = syscall.Credential
	Rlimit     = syscall.Rlimit
)
