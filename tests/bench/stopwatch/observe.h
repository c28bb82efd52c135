// SPDX-License-Identifier: Apache-2.0
//
// What a launch needs of memory, which is looked at while it is stopped or limited, and not timed.

#pragma once

#include "launch.h"
#include "scenario.h"

#include <string>
#include <sys/types.h>

namespace bench {

/// The page tables of all processes of a launch together, in KiB: the most that there is when one
/// of them has just created another. Memory that two processes share counts once.
long PageTables(const Scenario& scenario, const Contestant& contestant, const pid_t* targets);

/// Starts `contestant`, puts it into the cgroup whose folder that is once it waits for its message
/// (as a runtime does before it sends that), and goes on. False if a process of it did not come to
/// its proper end.
bool StartsIn(const std::string& cgroup, const Scenario& scenario, const Contestant& contestant,
              const pid_t* targets);

}  // namespace bench
