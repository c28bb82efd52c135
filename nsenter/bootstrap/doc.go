// SPDX-License-Identifier: Apache-2.0

// Package bootstrap has the bootstrap message: the request that a parent sends to a program that links
// nsenter.
//
// A Message is made of typed fields, and Encode gives the bytes for INITPIPE, in the order that
// docs/protocol.md describes. Encode refuses every message that the C++ core would refuse, with the
// same texts. It also refuses messages that only the kernel would refuse later, with a text that says
// less, for example maps that overlap.
//
// Decode is the way back, for tools and tests. Check is the verdict of the C++ parser, on any bytes.
//
// The package needs neither cgo nor Linux. It is for Go 1.22 or newer (docs/decisions/0012).
package bootstrap
