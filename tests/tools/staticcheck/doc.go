// SPDX-License-Identifier: Apache-2.0

// Package staticcheck has nothing but a go.mod, which says with which version of staticcheck lint checks all
// modules. It is a module of its own, since the root module has no requirements.
package staticcheck
