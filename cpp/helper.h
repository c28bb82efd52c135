// SPDX-License-Identifier: Apache-2.0
//
// The helper ("stage 1"): a process that stays in the user namespace we come from and writes the id
// maps of the one the launched process has moved to. It exists only where maps need it.

#pragma once

#include "base.h"
#include "bootstrap.h"
#include "error.h"
#include "fd.h"
#include "log.h"
#include "memory.h"
#include "own_proc.h"

#include <sys/types.h>

namespace nsenter {

/// What a helper that shares memory leaves there.
struct SharedAnswer {
  int helper_lives;  // 1; cleared by the kernel, however the helper ends (CLONE_CHILD_CLEARTID)
  char answer;       // 0: none
};

/// The helper, as the launched process has it. When this is gone, so is the helper.
class Helper {
 public:
  Helper() = default;

  /// Clones the helper, a sibling, which waits for WriteMaps. Before anything is joined: it would
  /// otherwise be a process inside, with the privileges of one outside.
  ///
  /// With kShared it uses the launched process's memory, if libc can do that, which must then be
  /// out of everybody's reach until WriteMaps has returned. `bootstrap` and `proc` have to live
  /// until then, `log` as long as this process.
  static Result<Helper> Start(const Bootstrap& bootstrap, const OwnProc& proc, Memory memory,
                              const Log& log);

  /// Has the maps written, and waits until they are and, if memory is shared, the helper is gone.
  [[nodiscard]] Status WriteMaps() const;

  [[nodiscard]] bool exists() const { return pid_ != 0; }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  UniqueFd end_;
  pid_t pid_ = 0;
  bool shares_memory_ = false;
};

}  // namespace nsenter
