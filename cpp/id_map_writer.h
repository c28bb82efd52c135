// SPDX-License-Identifier: Apache-2.0
//
// Writing the id maps of a new user namespace (user_namespaces(7)).

#pragma once

#include "base.h"
#include "bootstrap.h"
#include "error.h"
#include "own_proc.h"
#include "signals.h"

#include <sys/types.h>

namespace nsenter {

/// True if the launched process may write its own maps, being inside: a process may map its own ids
/// alone, and for the gid only with setgroups denied. Everything else takes a process outside.
bool MayWriteOwnMaps(const Bootstrap& bootstrap);

/// What is done about EPERM.
struct MappingTools {
  /// The helper, which is outside, has a mapping tool do what only that may be allowed to; these
  /// signals are unblocked there. Null: the launched process writes, and it is an error.
  const BlockedSignals* signals = nullptr;
};

/// Writes setgroups, uid_map and gid_map of the launched process `pid`, whose folder is `proc`.
Status WriteIdMaps(const Bootstrap& bootstrap, const OwnProc& proc, pid_t pid, MappingTools tools);

}  // namespace nsenter
