// SPDX-License-Identifier: Apache-2.0

#include "normal.h"

#include "judge.h"
#include "run.h"

namespace inject {

Plan WithoutFaults(const Plan& plan) {
  Plan normal;
  normal.scenario = plan.scenario;
  normal.wait_first = plan.wait_first;
  normal.log_level = plan.log_level;
  return normal;
}

Normal RunNormal(const Plan& plan, const World& world, int program) {
  const Plan without = WithoutFaults(plan);
  Normal normal;
  normal.seen = Run(without, world, {}, program);
  normal.roles = LearnRoles(normal.seen);
  normal.wrong = WhatIsWrong(without, normal.seen);
  normal.usable = normal.wrong.empty() || Succeeded(normal.seen);
  return normal;
}

}  // namespace inject
