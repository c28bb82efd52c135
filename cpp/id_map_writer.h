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

/// True if the launched process may write its own maps from inside. A process may map its own ids
/// alone, and the gid only with setgroups denied. All other maps need a process outside.
bool MayWriteOwnMaps(const Bootstrap& bootstrap);

/// The reaction to EPERM.
struct MappingTools {
  /// The helper, which is outside, runs a mapping tool for maps that only the tool may write; these
  /// signals are unblocked in the tool. Null: the launched process writes, and EPERM is an error.
  const BlockedSignals* signals = nullptr;
};

/// Writes setgroups, uid_map and gid_map of the launched process `pid`, whose folder is `proc`.
Status WriteIdMaps(const Bootstrap& bootstrap, const OwnProc& proc, pid_t pid, MappingTools tools);

}  // namespace nsenter
