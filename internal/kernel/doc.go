// SPDX-License-Identifier: Apache-2.0

// Package kernel has numbers of the kernel's that package syscall does not have, and that are not the same on every
// architecture; and types of package syscall for systems where it does not have them.
package kernel
