// SPDX-License-Identifier: Apache-2.0

// Package staticcheck has only a go.mod, which names the version of staticcheck that lint runs on all modules. It is
// a module of its own, since the root module has no requirements.
package staticcheck
