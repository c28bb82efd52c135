// SPDX-License-Identifier: Apache-2.0

// Package gvisor has nothing but a go.mod, which says with which version of gVisor the script run tests. It is a module
// of its own, since the root module has no requirements.
package gvisor
