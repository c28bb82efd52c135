// SPDX-License-Identifier: Apache-2.0
//
// A scenario without a fault: what all cases of it are compared with.

#pragma once

#include "observation.h"
#include "plan.h"
#include "world.h"

#include <string>

namespace inject {

struct Normal {
  Observation seen;
  Roles roles;
  std::string wrong;    // empty if all is well
  bool usable = false;  // it has succeeded, whatever else is wrong: faults can be compared with it
};

/// `plan` without what goes wrong in it.
Plan WithoutFaults(const Plan& plan);

Normal RunNormal(const Plan& plan, const World& world, int program);

}  // namespace inject
