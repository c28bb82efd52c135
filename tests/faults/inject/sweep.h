// SPDX-License-Identifier: Apache-2.0
//
// All cases, and the table of what came of them.

#pragma once

#include "scenario.h"

#include <string>

namespace inject {

struct SweepOptions {
  std::string program;
  std::string harmless = "tests/faults/inject/harmless.txt";
  std::string purposes = "tests/faults/inject/purposes.txt";
  std::string only;       // groups whose name begins so
  std::string scenarios;  // these only, separated by commas
  bool netlink_only = false;
  bool strace = false;  // instead: each case under strace too, and the outcomes compared
  int every = 1;        // one case in so many, the same ones each time
  int jobs = 2;
  unsigned seed = 1;  // of the faults that come in pairs

  [[nodiscard]] bool Wants(const Scenario& scenario) const;
  [[nodiscard]] bool complete() const { return every == 1 && only.empty() && scenarios.empty(); }
};

/// 0: everything as promised.
int Sweep(const SweepOptions& options);

}  // namespace inject
