// SPDX-License-Identifier: Apache-2.0
//
// How the launched process becomes the init process: a clone goes on in its place, and the launched
// process tells the parent and ends.

#pragma once

#include "base.h"
#include "error.h"
#include "log.h"
#include "memory.h"
#include "step.h"

#include <sys/types.h>

namespace nsenter {

/// The two sides of it.
struct HandOver {
  /// What is special about the init process.
  NewProcess init;
  /// Launched process, once the init process exists: tells the parent.
  Step<pid_t> report;
  /// Launched process, the last thing it does if all has gone well.
  Step<> leave;
  /// Init process, before the parent knows of it: starts the session, and takes further steps. With
  /// NewProcess::takes_console only.
  Step<> prepare;
};

/// Creates the init process and returns in it, as the leader of a session, once the launched
/// process has reported it. If the launched process fails or dies before that, the init process
/// ends here, or returns an error that is reported already.
///
/// The launched process returns only if it could not create an init process. Otherwise it ends
/// here: with status 0, or with 1 after it has said why it failed.
Status BecomeInitProcess(const HandOver& hand_over, Log& log);

}  // namespace nsenter
