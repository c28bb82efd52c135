// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc

package nsenter

/*
extern void nsexec(void);

// Static and with a name of its own, so that a program which links runc's nsenter as well fails on
// one symbol only, nsexec, and not on the constructor too.
static void __attribute__((constructor)) nsenter_cpp_before_main(void) { nsexec(); }
*/
import "C"

// The C++ core. It is a package of its own because cgo compiles only what lies in the package's
// folder, and because `go mod vendor` copies only folders that are Go packages.
import _ "nsenter-cpp.example/cpp"
