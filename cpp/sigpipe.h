// SPDX-License-Identifier: Apache-2.0
//
// A parent that closes its end shall be an error, and not our death.

#pragma once

#include "base.h"
#include "error.h"

#include <csignal>

namespace nsenter {

/// While it lasts, writing to a pipe or socket that nobody reads fails with EPIPE and raises no
/// signal. It holds for clones too. Not a guard that ends by itself: a process that fails ignores
/// SIGPIPE until it has said why.
class IgnoredSigpipe {
 public:
  [[nodiscard]] Status Start();
  /// Gives SIGPIPE the disposition it had.
  [[nodiscard]] Status End() const;

 private:
  struct sigaction before_ = {};
};

}  // namespace nsenter
