// SPDX-License-Identifier: Apache-2.0

// Package nsenter puts the process into Linux namespaces before the Go runtime boots.
//
// The Go runtime starts threads before main runs, and a process with threads can neither join nor
// create most kinds of namespaces. This package does that work earlier: its constructor, which the
// C library calls before the Go runtime gets control, hands over to nsexec (in the package's C++
// core), which reads what to do from the environment and a pipe, joins and creates namespaces,
// clones the init process of the container, and lets the Go runtime start there.
//
// A blank import is all there is to do:
//
//	import _ "nsenter-cpp.example/nsenter"
//
// A program that imports the package behaves as before unless _LIBCONTAINER_INITPID or
// _LIBCONTAINER_INITPIPE is set in its environment. If nothing is asked, nsexec makes no system
// call and writes nothing.
//
// # Protocols
//
// Two protocols are spoken, both chosen by the environment and both compatible with the parents
// that use them: the environment protocol of runc's nsenter of June 2015 (_LIBCONTAINER_INITPID)
// and the netlink bootstrap message of runc 1.2 to 1.5 (_LIBCONTAINER_INITPIPE). The document
// docs/protocol.md of this module is the contract.
//
// # Errors
//
// The package has no API that could return an error. When something that was asked for cannot be
// done, one line says what failed and why (on LOGPIPE if there is one, else on standard error),
// nothing is left behind, and the process exits with status 1 before any Go code has run.
//
// # Requirements
//
// Linux, cgo, and a C++20 compiler at build time; at run time nothing but the C library. Without cgo
// or on another system the build fails with an identifier that gives the reason.
//
// The package takes the place of runc's libcontainer/nsenter. A program that links both fails to link
// with "multiple definition of `nsexec'".
package nsenter
