// SPDX-License-Identifier: Apache-2.0
//
// The helper, whose pid is `stage1_pid` in the reply: a process that stays in the user namespace we
// come from. It writes the id maps of the user namespace to which the launched process has moved.
// It exists only if maps need it.

#pragma once

#include "base.h"
#include "bootstrap.h"
#include "channel.h"
#include "clone.h"
#include "error.h"
#include "log.h"
#include "own_proc.h"

#include <sys/types.h>

namespace nsenter {

/// The helper, as the launched process has it. When this is gone, so is the helper.
class Helper {
 public:
  Helper() = default;

  /// Clones the helper, which waits for WriteMaps. Call it before anything is joined: a helper that
  /// is cloned later would be a process inside, with the privileges of one outside.
  ///
  /// It may share the launched process's memory only if that is `out_of_reach` of everybody else
  /// until WriteMaps has returned. `bootstrap` and `proc` have to live until then, `log` as long as
  /// this process, which is the launched one in it from the clone on.
  static Result<Helper> Start(const Bootstrap& bootstrap, const OwnProc& proc, Kinship kinship,
                              bool out_of_reach, Log& log);

  /// Has the maps written, and waits until they are written. If memory is shared, it waits until
  /// the helper is gone.
  [[nodiscard]] Status WriteMaps();

  [[nodiscard]] bool exists() const { return pid_ != 0; }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  Channel request_;  // the helper receives
  Channel answer_;   // the launched process receives
  pid_t pid_ = 0;
  Kinship kinship_ = Kinship::kSibling;
  bool shares_memory_ = false;
};

}  // namespace nsenter
