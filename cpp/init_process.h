// SPDX-License-Identifier: Apache-2.0
//
// The steps of the init process before it goes on as a Go program. By then the launched process has
// done all steps that are likely to fail. These fail only if a filter refuses them.

#pragma once

#include "base.h"
#include "error.h"

namespace nsenter {

/// The name that programs look for in /proc/PID/comm until the Go side changes it.
inline constexpr const char* kInitProcessName = "runc:[2:INIT]";

/// A session of its own, whose leader it is.
Status StartSession();

/// The name above.
Status TakeInitName();

/// Makes the open terminal `console`, which is above 2, the controlling terminal, and standard
/// input, output and error. Standard error is last: until this has succeeded, errors go where they
/// went before.
Status TakeConsole(int console);

}  // namespace nsenter
