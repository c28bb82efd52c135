// SPDX-License-Identifier: Apache-2.0
//
// Creating processes beside the launched one.

#pragma once

#include "base.h"
#include "error.h"

#include <string_view>
#include <sys/types.h>

namespace nsenter {

/// A copy of this process whose parent is our parent (CLONE_PARENT), who reaps it. Returns twice,
/// as fork does: the child's pid as our pid namespace sees it, and 0 in the child.
///
/// The child is a sound C process, as fork would have left it: libc's cached thread id and its list
/// of robust mutexes are right. What fork does besides (handlers of pthread_atfork) is not done:
/// there is no thread but this one and no lock that could be held.
///
/// `what` the child is to be, for the error.
Result<pid_t> CloneSibling(std::string_view what);

}  // namespace nsenter
