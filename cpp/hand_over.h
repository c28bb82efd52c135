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
  /// Whether sharing is possible at all is found out here (sys::CanShareMemory). kCopied for an
  /// init process that enters another time namespace, which takes memory of its own, or that has
  /// something to prepare.
  Memory memory = Memory::kShared;
  /// Launched process, once the init process exists: tells the parent.
  Step<pid_t> report;
  /// Init process, before the parent knows of it. With kCopied only.
  Step<> prepare;
};

/// Creates the init process and returns in it, once the launched process has reported it. If the
/// launched process fails or dies before that, the init process ends here, or returns an error that
/// is reported already.
///
/// The launched process returns only if there is no init process to be had; else it ends here: with
/// status 0, or with 1 after it has said what failed.
Status BecomeInitProcess(const HandOver& hand_over, Log& log);

}  // namespace nsenter
