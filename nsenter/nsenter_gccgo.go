// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gccgo

package nsenter

/*
extern void nsexec(void);

// Not static: Go code below refers to it.
void __attribute__((constructor)) nsenter_cpp_before_main(void) { nsexec(); }
*/
import "C"

import _ "nsenter-cpp.example/cpp"

// CallAgain is always false. gccgo links with archives, from which the linker takes only objects
// that something refers to: the reference in init below keeps the object that holds the
// constructor, and the variable is exported so that the compiler cannot prove it to be false.
var CallAgain bool

func init() {
	if CallAgain {
		C.nsenter_cpp_before_main()
	}
}
