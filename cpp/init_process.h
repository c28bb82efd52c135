// SPDX-License-Identifier: Apache-2.0
//
// What the init process does before it goes on as a Go program. By then the launched process has
// done all that can fail; in the netlink protocol nothing here can.

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

/// Makes the open terminal `console` the controlling one and standard input, output and error. It
/// is still open under its own number afterwards, unless that is one of them.
Status TakeConsole(int console);

}  // namespace nsenter
