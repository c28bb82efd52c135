// SPDX-License-Identifier: Apache-2.0
//
// Whom nothing is done for, whatever is asked.

#pragma once

#include "base.h"
#include "error.h"

namespace nsenter {

/// True if the program runs with privileges its caller does not have (set-uid, file capabilities).
/// Nothing in its environment may be believed then, not even where errors go.
bool IsPrivilegedProgram();

/// An error if this process has more than one thread, and so cannot be put into namespaces.
Status RefuseThreads();

/// An error if the parent, which would have to reap this process's siblings, is outside of its pid
/// namespace.
Status RefuseParentOutside();

}  // namespace nsenter
