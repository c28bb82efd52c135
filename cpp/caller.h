// SPDX-License-Identifier: Apache-2.0
//
// Whom nothing is done for, whatever is asked, and whom it is done for in another way.

#pragma once

#include "base.h"
#include "error.h"

namespace nsenter {

/// True if the program runs with privileges its caller does not have (set-uid, file capabilities):
/// that caller's environment must not steer it.
bool IsPrivilegedProgram();
/// Which these are.
Error ExplainPrivileges();

/// An error if the init process could not go on, or nobody could reap it: if this code is in a
/// library that the program is loading, or the parent is outside of our pid namespace.
Status RefuseCaller();

/// True if this process has more than one thread, and so cannot be put into namespaces.
bool HasThreads();

}  // namespace nsenter
