// SPDX-License-Identifier: Apache-2.0

// Package nsenter puts the process into Linux namespaces before the Go runtime boots.
//
// The Go runtime starts threads before main runs, and a process with threads can neither join nor
// create most kinds of namespaces. This package does that work earlier. The C library calls its
// constructor before the Go runtime gets control. The constructor calls nsexec, in the package's C++
// core. nsexec reads the parent's request from the environment and a pipe, joins and creates
// namespaces, and clones the init process of the container. The Go runtime starts there.
//
// A blank import is enough:
//
//	import _ "nsenter-cpp.example/nsenter"
//
// A program that imports the package behaves as before unless _LIBCONTAINER_INITPID or
// _LIBCONTAINER_INITPIPE is set in its environment. If neither is set, nsexec makes no system call
// and writes nothing.
//
// # Protocols
//
// The package speaks two protocols: the classic protocol, of runc's nsenter of June 2015
// (_LIBCONTAINER_INITPID), and the netlink protocol, with the bootstrap message of runc 1.2 to 1.5
// (_LIBCONTAINER_INITPIPE). The environment chooses one. Unmodified parents of both work. The
// document docs/protocol.md of this module is the contract.
//
// # Errors
//
// The package has no API that could return an error. If nsexec cannot do what the parent asks for,
// one line says what failed and why, on LOGPIPE if there is one, else on standard error. No process
// is left, and the process exits with status 1 before any Go code has run.
//
// # Requirements
//
// A build needs Linux, cgo, and a C++20 compiler. At run time the package needs only the C library.
// Without cgo or on another system the build fails with an identifier that gives the reason.
//
// The package takes the place of runc's libcontainer/nsenter. A program that links both fails to link
// with "multiple definition of `nsexec'".
package nsenter
