// SPDX-License-Identifier: Apache-2.0
//
// Signals that must not end us, or run a handler, at the wrong moment.

#pragma once

#include "base.h"
#include "error.h"
#include "sys.h"

#include <csignal>

namespace nsenter {

/// A parent that closes its end should be an error, and not kill us. While this lasts, a write to a
/// pipe or socket that nobody reads fails with EPIPE and raises no signal. It holds for clones too.
/// It does not end by itself like a guard: a process that fails ignores SIGPIPE until it has said
/// why.
class IgnoredSigpipe {
 public:
  [[nodiscard]] Status Start();
  /// Gives SIGPIPE the disposition it had.
  [[nodiscard]] Status End() const;

 private:
  sys::SignalAction before_;
};

/// Blocks all signals around a clone, so that the new process begins with all of them blocked. A
/// signal that comes meanwhile stays pending, in the process to which it was sent.
///
/// The init process needs that until it leads a session. Until then it belongs to the launched
/// process's session. If the launched process leads that session and has a terminal, its end is a
/// SIGHUP for all of them. And while the init process waits with the launched process's memory, no
/// handler of the program may run there: it would run in the middle of the same data.
class BlockedSignals {
 public:
  [[nodiscard]] Status Block();
  /// Restores the mask from before.
  [[nodiscard]] Status Restore() const;
  /// In a process that has started a session: drops the SIGHUP of the session that it has left.
  [[nodiscard]] static Status DropHangUp();

 private:
  sys::SignalSet before_ = {};
};

}  // namespace nsenter
