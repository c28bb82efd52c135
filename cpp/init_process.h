// SPDX-License-Identifier: Apache-2.0
//
// What the init process does before it goes on as a Go program. By then the launched process has
// done all that can really fail; what is left fails only if a filter wants it to.

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

/// Makes the open terminal `console`, which is above 2, the controlling one, and standard input,
/// output and error, the last one last: until this has succeeded, errors go where they went before.
Status TakeConsole(int console);

}  // namespace nsenter
