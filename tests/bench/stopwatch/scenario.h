// SPDX-License-Identifier: Apache-2.0
//
// What a launched program is asked to do, and what has to come of it.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace bench {

/// A type of namespace, as it is called in /proc/PID/ns and in a bootstrap message.
struct NamespaceType {
  const char* name;
  int clone_flag;
};

/// In the order in which runc names them in NS_PATHS.
inline constexpr int kNamespaceTypes = 8;
const NamespaceType* NamespaceTypes();

/// One namespace to join: that of the `target`th fixture process.
struct Join {
  const char* type;
  int target;
};

struct Scenario {
  const char* name;
  bool asks = true;      // else no variable is set
  bool classic = false;  // the classic protocol
  bool log = false;      // with a debug log
  int clone_flags = 0;
  int map_lines = 0;  // of each id map
  std::vector<Join> joins = {};

  [[nodiscard]] int TargetOf(std::string_view type) const;
};

/// How many processes the scenarios need to join.
inline constexpr int kTargets = 2;

/// Exits if there is no such scenario.
Scenario FindScenario(std::string_view name);
std::vector<const char*> ScenarioNames();

/// The id outside that 0 inside is mapped to.
inline constexpr unsigned kFirstIdOutside = 2000;
std::string IdMap(int lines);

/// The bytes that a parent writes to INITPIPE.
std::string BootstrapMessage(const Scenario& scenario, const pid_t* targets);

/// The environment of the launched program, whose INITPIPE is `pipe`.
std::vector<std::string> Environment(const Scenario& scenario, const pid_t* targets, int pipe,
                                     int log);

}  // namespace bench
