// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package cpp

// -Wl,--as-needed: with C++ in the build the go command links through the C++ compiler, which adds
// -lstdc++ and -lm. The core refers to neither, so this keeps both out of DT_NEEDED.

/*
#cgo CXXFLAGS: -std=c++20 -fno-exceptions -fno-rtti -fvisibility=hidden -fstack-protector-strong
#cgo LDFLAGS: -Wl,--as-needed
*/
import "C"
