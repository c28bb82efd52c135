// SPDX-License-Identifier: Apache-2.0
//
// Processes whose namespaces are joined. Those of the injector (tests/faults/inject/world.h) are
// children of whoever wants them, die with its pid namespace, and may have a user namespace.

#pragma once

#include "scenario.h"

#include <sys/types.h>

namespace bench {

/// kTargets processes, each the first of namespaces of its own, of all types but user. They are not
/// our children, so waiting for any child does not wait for them, and they end when we do.
class Fixture {
 public:
  Fixture();
  ~Fixture();
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;

  [[nodiscard]] const pid_t* targets() const { return targets_; }

 private:
  pid_t targets_[kTargets] = {};
  int lifeline_ = -1;  // they end when it is closed
};

}  // namespace bench
