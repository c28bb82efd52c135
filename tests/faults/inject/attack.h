// SPDX-License-Identifier: Apache-2.0
//
// The openings of a launch: at each point at which one of its processes is stopped, attackers
// (attacker.h) try to get at all of them. The openings that they find are compared with a list.

#pragma once

#include <string>

namespace inject {

struct AttackOptions {
  std::string program;
  std::string openings = "tests/faults/inject/openings.txt";
  std::string scenario;  // only this one
  bool plant = false;    // leave out what makes processes non-dumpable, to see that it is found
  int times = 0;         // only measure how long windows are, in so many launches
};

/// 0 if all is as the list says.
int Attack(const AttackOptions& options);

}  // namespace inject
