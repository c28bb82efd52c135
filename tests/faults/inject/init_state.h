// SPDX-License-Identifier: Apache-2.0
//
// The init process, looked at from outside when nsexec has just returned in it.

#pragma once

#include "call.h"

#include <string>
#include <sys/types.h>

namespace inject {

struct Surroundings {
  pid_t fixture = 0;
  pid_t parent = 0;
  bool parent_ended = false;
  KnownFiles known;
};

/// All that a launch is to decide, as one line: namespaces, ids, groups, session, descriptors and
/// so on. Without numbers that differ from launch to launch.
std::string StateOf(pid_t init, const Surroundings& surroundings);

}  // namespace inject
