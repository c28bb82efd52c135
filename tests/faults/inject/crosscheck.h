// SPDX-License-Identifier: Apache-2.0
//
// The same fault made by strace, which knows nothing of this program: if the outcome is another,
// one of the two is wrong.

#pragma once

#include "observation.h"
#include "plan.h"
#include "world.h"

#include <string>

namespace inject {

struct Comparison {
  bool comparable = false;  // strace can make this fault in this process alone
  std::string difference;
};

Comparison CompareWithStrace(const Plan& plan, const Observation& seen, const Observation& normal,
                             const World& world, int program);

}  // namespace inject
