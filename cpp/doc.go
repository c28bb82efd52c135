// SPDX-License-Identifier: Apache-2.0

// Package cpp holds the C++ core of nsenter. It has no Go API: import nsenter instead.
package cpp
