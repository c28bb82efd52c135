// SPDX-License-Identifier: Apache-2.0
//
// The descriptors of a launch.

#pragma once

#include "scenario.h"

namespace bench {

// The numbers of the program's pipes. They are open without close-on-exec here already: the work of
// the child of vfork would be measured too.
inline constexpr int kInitPipe = 3;
inline constexpr int kLogPipe = 4;

/// Gives `fd` a number that is not in the way of those.
int MoveAway(int fd);

/// Our ends of a launched program's pipes.
struct Pipes {
  int init = -1;
  int log = -1;
};

/// Makes the pipes, the program's ends with the numbers above.
Pipes MakePipes(const Scenario& scenario);

}  // namespace bench
