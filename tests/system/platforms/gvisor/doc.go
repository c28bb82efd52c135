// SPDX-License-Identifier: Apache-2.0

// Package gvisor has only a go.mod, which names the version of gVisor for the script run. It is a module
// of its own, since the root module has no requirements.
package gvisor
