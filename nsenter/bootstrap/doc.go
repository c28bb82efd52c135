// SPDX-License-Identifier: Apache-2.0

// Package bootstrap has the bootstrap message: what a parent sends to a program that links nsenter,
// and what it asks for with it.
//
// A Message is made of typed fields, and Encode gives the bytes for INITPIPE, in the order that
// docs/protocol.md describes. What the C++ core would refuse Encode refuses before, in the same
// words, and besides them what only the kernel would refuse later, in words that say less: maps that
// overlap, for instance.
//
// Decode is the way back, for tools and tests. Check is the verdict of the C++ parser, on any bytes.
//
// The package needs no cgo. It is for gc, and for Go 1.22 or newer (docs/decisions/0012).
package bootstrap
