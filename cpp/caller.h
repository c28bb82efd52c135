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

/// An error if this process cannot be put into namespaces: it has more than one thread, or the
/// parent that would have to reap its siblings is outside of its pid namespace.
Status RefuseUnfitProcess();

}  // namespace nsenter
