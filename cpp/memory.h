// SPDX-License-Identifier: Apache-2.0
//
// Whether a process that we create shares our memory or has a copy of it.

#pragma once

#include "base.h"

#include <string_view>

namespace nsenter {

/// What is special about a process that is to be created. All of these are reasons for a copy.
struct NewProcess {
  bool enters_time_namespace = false;  // which the kernel wants memory of its own for
  bool takes_console = false;          // before the launched process may reply
  bool has_more_privileges = false;    // than others who could get at our memory
};

/// Empty if the process can share our memory, else why it has a copy, for the log.
///
/// Sharing is for where all is as it was tested (docs/decisions/0010-one-memory.md has the table).
/// What is found out only later, by the calls that share memory, leads to a copy as well.
std::string_view ReasonToCopy(const NewProcess& process);

}  // namespace nsenter
