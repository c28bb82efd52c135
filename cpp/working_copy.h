// SPDX-License-Identifier: Apache-2.0
//
// A copy of the launched process that does its work.

#pragma once

#include "base.h"
#include "channel.h"
#include "error.h"
#include "log.h"

namespace nsenter {

/// A process with threads cannot change its namespaces, and a preloaded library
/// (/etc/ld.so.preload) may have started threads before us. Then a copy of the process, which has
/// one thread, does all the work of the launched process. The launched process waits for it and
/// ends as it does. `stage1_pid` names the copy: it is a child of the parent that ends once it has
/// replied.
class WorkingCopy {
 public:
  /// None: the launched process does its work itself.
  WorkingCopy() = default;

  /// If there is only one thread, does nothing. Otherwise it returns in the copy, and the launched
  /// process ends here. This object has to live longer than `log`, which tells the launched process
  /// of a failure.
  Status MakeIfThreads(Log& log);

  [[nodiscard]] bool exists() const { return result_.exists(); }

  /// Before the reply: an error that is reported already if the launched process has been killed,
  /// since the parent then knows that there is no container. Does nothing if there is no copy.
  [[nodiscard]] Status RequireLaunchedProcess() const;
  /// After all work is done. Does nothing if there is no copy.
  [[nodiscard]] Status Finish() const;

 private:
  Channel result_;    // the launched process receives kReported or kFailed
  Channel launched_;  // nothing is sent: its end is the launched process's
};

}  // namespace nsenter
