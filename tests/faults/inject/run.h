// SPDX-License-Identifier: Apache-2.0
//
// Runs one case and tells what happened; judge.h says whether that is as promised.

#pragma once

#include "observation.h"
#include "plan.h"
#include "tracer.h"
#include "world.h"

#include <functional>

namespace inject {

/// A moment of a launch, with `now` stopped.
struct Sight {
  const Tracer& tracer;
  const Process& now;
  Moment moment;
  const KnownFiles& known;
};
using Looker = std::function<void(const Sight&)>;

/// `roles` come from the same scenario without a fault; empty for that one. `program` is an open
/// descriptor of what is executed.
Observation Run(const Plan& plan, const World& world, const Roles& roles, int program,
                const Looker& look = {});

}  // namespace inject
