// SPDX-License-Identifier: Apache-2.0
//
// What the program under test is asked to do.

#pragma once

#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace inject {

inline constexpr int kNewTime = 0x80;  // CLONE_NEWTIME, which old headers do not have

enum class FixtureKind {
  kNone,
  kPlain,    // without a user namespace
  kUser,     // with one, which root has created
  kOwned,    // with one, which the rootless user has created
  kHostile,  // as kUser, with something of its own mounted over /proc
};

struct Scenario {
  const char* name = nullptr;
  uid_t uid = 0;                             // of the launched process, and its gid
  FixtureKind fixture = FixtureKind::kNone;  // the process whose namespaces are joined
  const char* joins = nullptr;               // types, separated by spaces
  // Join /proc/N/task/N/ns/..., paths of no process: what could be joined at once is joined one by
  // one.
  bool by_task = false;
  bool long_paths = false;  // the same, and the message is one for which memory has to be mapped
  int clone_flags = 0;
  bool capable = false;           // all capabilities, whatever the uid
  const char* uid_map = nullptr;  // and gid map
  bool setgroups = false;
  bool rootless_euid = false;
  bool tools = false;  // the mapping tools may be used
  const char* oom_score_adj = nullptr;
  const char* time_offsets = nullptr;
  bool classic = false;
  bool console = false;
  bool copies_memory = false;  // NSEXEC_COPY_MEMORY is set
  bool leads_session = false;  // the launched process does, and has a controlling terminal
  bool threads = false;        // the program has a second one
};

const std::vector<Scenario>& Scenarios();
/// Those that matter to an attacker only, see attack.h.
const std::vector<Scenario>& ScenariosToAttack();
/// Null if there is none of that name.
const Scenario* FindScenario(std::string_view name);

/// The bootstrap message, empty in the classic protocol.
std::string MessageOf(const Scenario& scenario, pid_t fixture);

/// The parent's variables. `fd` numbers are those in world.h.
std::vector<std::string> EnvironmentOf(const Scenario& scenario, pid_t fixture,
                                       const std::string& console, int log_level);

}  // namespace inject
