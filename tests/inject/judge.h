// SPDX-License-Identifier: Apache-2.0
//
// Whether what happened is what was promised.

#pragma once

#include "observation.h"
#include "plan.h"

#include <string>
#include <vector>

namespace inject {

/// A call whose failure does not end as others do, a line of harmless.txt.
struct Harmless {
  std::string call;  // a pattern, see fnmatch(3)
  std::string
      faults;  // names separated by commas: errnos, "short", or "any" for all errnos but EINTR
  std::string outcome;  // see harmless.txt
  std::string reason;
  int used = 0;
};

inline constexpr std::size_t kHarmlessLimit = 15;

/// Ends the program if the file cannot be read or is too long.
std::vector<Harmless> ReadHarmless(const std::string& path);

struct Verdict {
  enum class Kind { kAsPromised, kOnList, kViolation, kNotDelivered };
  Kind kind = Kind::kAsPromised;
  std::string text;   // what is wrong
  bool late = false;  // nothing is, but that it took too long: a busy machine?
};

/// `normal` is the same scenario without a fault. `harmless` counts which of its entries are used.
Verdict Judge(const Plan& plan, const Observation& seen, const Observation& normal,
              std::vector<Harmless>& harmless);

/// The launched process ended well, and nsexec returned.
bool Succeeded(const Observation& seen);

/// A launch without a fault: empty if all is well.
std::string WhatIsWrong(const Plan& plan, const Observation& seen);

}  // namespace inject
