// SPDX-License-Identifier: Apache-2.0
//
// Which cases there are.

#pragma once

#include "normal.h"
#include "plan.h"
#include "sweep.h"

#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace inject {

/// A second fault: one that depends on what the process does after the first one, or one of another
/// process.
enum class Second { kNone, kSampled, kOnFatalLine, kElsewhere };

struct SweptCase {
  std::string group;
  Plan plan;
  Second second = Second::kNone;
};

/// Of each scenario, with the parent that reads first and the one that waits first.
using Normals = std::map<std::pair<const Scenario*, bool>, Normal>;

Plan PlainPlan(const Scenario& scenario, bool wait_first);

/// All that the options ask for, in an order that depends on nothing else. Scenarios without a
/// normal launch have none.
std::vector<SweptCase> EnumerateCases(const SweepOptions& options, const World& world,
                                      const Normals& normals);

/// Adds the second fault to `plan`, of which `first` is the outcome. False if there is no call for
/// it.
bool AddSecondFault(Second second, Plan& plan, const Observation& first, std::minstd_rand& random);

}  // namespace inject
