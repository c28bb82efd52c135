// SPDX-License-Identifier: Apache-2.0
//
// Whether what happened is what was promised.

#pragma once

#include "lists.h"
#include "observation.h"
#include "plan.h"

#include <string>
#include <vector>

namespace inject {

struct Verdict {
  enum class Kind { kAsPromised, kOnList, kViolation, kNotDelivered };
  Kind kind = Kind::kAsPromised;
  std::string text;   // what is wrong
  bool late = false;  // nothing is, but that it took too long: a busy machine?
};

/// From now on everything may take so many times as long as is promised: the machine is emulated.
void JudgeOnSlowMachine(int times);

/// `normal` is the same scenario without a fault. Counts which entries of `lists` are used.
Verdict Judge(const Plan& plan, const Observation& seen, const Observation& normal, Lists& lists);

/// The launched process ended well, and nsexec returned.
bool Succeeded(const Observation& seen);

/// A launch without a fault: empty if all is well.
std::string WhatIsWrong(const Plan& plan, const Observation& seen);

}  // namespace inject
