// SPDX-License-Identifier: Apache-2.0
//
// Whether a process that we create shares our memory or has a copy of it.

#pragma once

#include "base.h"

#include <string_view>

namespace nsenter {

/// The special things about a process that is to be created. Each is a reason for a copy.
struct NewProcess {
  bool enters_time_namespace = false;  // which the kernel wants memory of its own for
  bool takes_console = false;          // before the launched process may reply
  bool has_more_privileges = false;    // than others who could get at our memory
};

/// Empty if the process can share our memory. Otherwise the reason for a copy, for the log.
///
/// Memory is shared only where the tests have shown that it works
/// (docs/decisions/0010-one-memory.md has the table). If a call that shares memory fails later,
/// that leads to a copy as well.
std::string_view ReasonToCopy(const NewProcess& process);

/// The part of it that is the same for every process: the machine, the build, the environment.
/// internal/spawn asks for it alone. A Go program with the race detector looks like one with a
/// sanitizer, and none of Go's code runs in the processes that internal/spawn makes.
std::string_view ReasonToCopyHere(bool allows_sanitizer = false);

}  // namespace nsenter
