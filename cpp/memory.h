// SPDX-License-Identifier: Apache-2.0

#pragma once

#include "base.h"

namespace nsenter {

/// What memory a process that we create has.
enum class Memory {
  /// Ours: nothing is copied, and nothing has to fault again.
  kShared,
  /// A copy, as after fork.
  kCopied,
};

}  // namespace nsenter
