// SPDX-License-Identifier: Apache-2.0
//
// Launches that are refused for any request, and launches that need a working copy.

#pragma once

#include "base.h"
#include "error.h"

namespace nsenter {

/// True if the program runs with privileges that its caller does not have (set-uid, file
/// capabilities). That caller's environment must not steer it.
bool IsPrivilegedProgram();
/// Says which of these privileges it has.
Error ExplainPrivileges();

/// An error if the init process could not go on, or nobody could reap it. This is so if the program
/// is loading this code as a library, or if the parent is outside of our pid namespace.
Status RefuseCaller();

/// True if this process has more than one thread, and so cannot be put into namespaces.
bool HasThreads();

}  // namespace nsenter
