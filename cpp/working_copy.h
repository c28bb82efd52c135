// SPDX-License-Identifier: Apache-2.0
//
// A copy of the launched process that does its work.

#pragma once

#include "base.h"
#include "channel.h"
#include "error.h"
#include "log.h"

namespace nsenter {

/// A process with threads cannot change its namespaces, and a library that was preloaded
/// (/etc/ld.so.preload) may have started some before us. Then a copy of the process, which has one
/// thread, does all that the launched process would do, and that one waits for it and ends as it
/// does. To the parent the copy is what `stage1_pid` names: a child of its own that ends once it
/// has replied.
class WorkingCopy {
 public:
  /// None: the launched process does its work itself.
  WorkingCopy() = default;

  /// Where there is only one thread, does nothing. Else returns in the copy, and the launched
  /// process ends here. This has to live longer than `log`, which tells the launched process of a
  /// failure.
  Status MakeIfThreads(Log& log);

  [[nodiscard]] bool exists() const { return result_.exists(); }

  /// Before the reply: an error that is reported already if the launched process has been killed,
  /// from which the parent will know that there is no container. Nothing if there is no copy.
  [[nodiscard]] Status RequireLaunchedProcess() const;
  /// After all has been done. Nothing if there is no copy.
  [[nodiscard]] Status Finish() const;

 private:
  Channel result_;    // the launched process receives kReported or kFailed
  Channel launched_;  // nothing is sent: its end is the launched process's
};

}  // namespace nsenter
