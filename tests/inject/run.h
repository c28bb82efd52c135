// SPDX-License-Identifier: Apache-2.0
//
// Runs one case and tells what happened; judge.h says whether that is as promised.

#pragma once

#include "observation.h"
#include "plan.h"
#include "world.h"

namespace inject {

/// `roles` come from the same scenario without a fault; empty for that one. `program` is an open
/// descriptor of what is executed.
Observation Run(const Plan& plan, const World& world, const Roles& roles, int program);

}  // namespace inject
