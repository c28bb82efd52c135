// SPDX-License-Identifier: Apache-2.0

#include "scenario.h"

#include "../../unit/message.h"
#include "world.h"

#include <cstdint>
#include <sched.h>
#include <sstream>

namespace inject {
namespace {

using nsenter::test::NumberAttribute;
using nsenter::test::TextAttribute;

constexpr int kNewAll =
    CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWUTS;
constexpr const char* kJoinAll = "cgroup ipc mnt net pid time uts";
constexpr const char* kJoinAllAndUser = "user cgroup ipc mnt net pid time uts";
// So often "/." in a path: five of these are more than the 16 KiB that the core has room for.
constexpr int kLongPath = 1800;
constexpr const char* kOffsets = "boottime 1000 0\nmonotonic 2000 0\n";
constexpr const char* kRootMap = "0 100000 65536\n";

std::string PathsOf(const Scenario& scenario, pid_t fixture) {
  std::istringstream types(scenario.joins);
  std::string paths;
  for (std::string type; types >> type;) {
    const std::string pid = std::to_string(fixture);
    if (!paths.empty()) paths += ',';
    paths += type + ":/proc/" + pid + (scenario.by_task ? "/task/" + pid : "");
    for (int i = 0; scenario.long_paths && i < kLongPath; ++i) paths += "/.";
    paths += "/ns/" + type;
  }
  return paths;
}

}  // namespace

const std::vector<Scenario>& Scenarios() {
  static const std::vector<Scenario> scenarios = {
      {.name = "create", .clone_flags = kNewAll, .setgroups = true, .oom_score_adj = "500"},
      {.name = "create-user",
       .clone_flags = kNewAll | CLONE_NEWUSER,
       .uid_map = kRootMap,
       .setgroups = true,
       .oom_score_adj = "500"},
      {.name = "rootless-tools",
       .uid = kRootlessUid,
       .clone_flags = kNewAll | CLONE_NEWUSER,
       .uid_map = "0 1000 1\n1 100000 65535\n",
       .setgroups = true,
       .rootless_euid = true,
       .tools = true},
      {.name = "rootless-single",
       .uid = kRootlessUid,
       .clone_flags = kNewAll | CLONE_NEWUSER,
       .uid_map = "0 1000 1\n",
       .rootless_euid = true},
      {.name = "rootless-time",
       .uid = kRootlessUid,
       .clone_flags = kNewAll | CLONE_NEWUSER | kNewTime,
       .uid_map = "0 1000 1\n",
       .rootless_euid = true,
       .time_offsets = kOffsets},
      {.name = "join", .fixture = FixtureKind::kPlain, .joins = kJoinAll, .setgroups = true},
      {.name = "join-each",
       .fixture = FixtureKind::kPlain,
       .joins = kJoinAll,
       .by_task = true,
       .setgroups = true,
       .oom_score_adj = "500"},
      {.name = "join-long",
       .fixture = FixtureKind::kPlain,
       .joins = "cgroup ipc net pid uts",
       .long_paths = true,
       .setgroups = true},
      {.name = "join-user",
       .fixture = FixtureKind::kUser,
       .joins = kJoinAllAndUser,
       .setgroups = true},
      {.name = "join-user-each",
       .fixture = FixtureKind::kUser,
       .joins = kJoinAllAndUser,
       .by_task = true,
       .setgroups = true},
      {.name = "join-and-create-user",
       .fixture = FixtureKind::kPlain,
       .joins = "net ipc",
       .clone_flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID,
       .uid_map = kRootMap,
       .setgroups = true},
      {.name = "time",
       .clone_flags = kNewAll | kNewTime,
       .setgroups = true,
       .time_offsets = kOffsets},
      {.name = "classic", .fixture = FixtureKind::kPlain, .classic = true},
      {.name = "classic-console", .fixture = FixtureKind::kPlain, .classic = true, .console = true},
      {.name = "create-user-copying",
       .clone_flags = kNewAll | CLONE_NEWUSER,
       .uid_map = kRootMap,
       .setgroups = true,
       .copies_memory = true},
      {.name = "classic-copying",
       .fixture = FixtureKind::kPlain,
       .classic = true,
       .copies_memory = true},
      {.name = "leader", .clone_flags = kNewAll, .leads_session = true},
      {.name = "leader-same-mounts", .clone_flags = CLONE_NEWUTS, .leads_session = true},
      {.name = "leader-copying",
       .clone_flags = CLONE_NEWNS,
       .copies_memory = true,
       .leads_session = true},
      {.name = "classic-leader",
       .fixture = FixtureKind::kPlain,
       .classic = true,
       .leads_session = true},
      {.name = "classic-console-leader",
       .fixture = FixtureKind::kPlain,
       .classic = true,
       .console = true,
       .leads_session = true},
      {.name = "threads",
       .clone_flags = kNewAll | CLONE_NEWUSER,
       .uid_map = kRootMap,
       .setgroups = true,
       .threads = true},
      {.name = "classic-threads", .fixture = FixtureKind::kPlain, .classic = true, .threads = true},
  };
  return scenarios;
}

const std::vector<Scenario>& ScenariosToAttack() {
  static const std::vector<Scenario> scenarios = {
      {.name = "create-user-same-ids",
       .clone_flags = kNewAll | CLONE_NEWUSER,
       .uid_map = "0 0 65536\n",
       .setgroups = true},
      {.name = "create-user-same-ids-alone",
       .clone_flags = kNewAll | CLONE_NEWUSER,
       .uid_map = "0 0 1\n",
       .rootless_euid = true},
      {.name = "join-user-hostile-proc",
       .fixture = FixtureKind::kHostile,
       .joins = kJoinAllAndUser,
       .by_task = true,
       .setgroups = true},
      {.name = "rootless-join-user",
       .uid = kRootlessUid,
       .fixture = FixtureKind::kOwned,
       .joins = kJoinAllAndUser,
       .rootless_euid = true},
      {.name = "rootless-join-user-each",
       .uid = kRootlessUid,
       .fixture = FixtureKind::kOwned,
       .joins = kJoinAllAndUser,
       .by_task = true,
       .rootless_euid = true},
      {.name = "capable-join-and-create-user",
       .uid = kRootlessUid,
       .fixture = FixtureKind::kPlain,
       .joins = "net ipc",
       .clone_flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID,
       .capable = true,
       .uid_map = kRootMap,
       .setgroups = true},
  };
  return scenarios;
}

const Scenario* FindScenario(std::string_view name) {
  for (const auto* all : {&Scenarios(), &ScenariosToAttack()}) {
    for (const Scenario& scenario : *all) {
      if (scenario.name == name) return &scenario;
    }
  }
  return nullptr;
}

std::string MessageOf(const Scenario& scenario, pid_t fixture) {
  if (scenario.classic) return {};
  std::string attributes = NumberAttribute(27281, static_cast<std::uint32_t>(scenario.clone_flags));
  if (scenario.joins != nullptr) attributes += TextAttribute(27282, PathsOf(scenario, fixture));
  if (scenario.tools) attributes += TextAttribute(27288, "/usr/bin/newuidmap");
  if (scenario.uid_map != nullptr) attributes += TextAttribute(27283, scenario.uid_map);
  if (scenario.tools) attributes += TextAttribute(27289, "/usr/bin/newgidmap");
  if (scenario.uid_map != nullptr) attributes += TextAttribute(27284, scenario.uid_map);
  if (scenario.setgroups) attributes += NumberAttribute(27285, 1);
  if (scenario.oom_score_adj != nullptr) attributes += TextAttribute(27286, scenario.oom_score_adj);
  if (scenario.time_offsets != nullptr) attributes += TextAttribute(27290, scenario.time_offsets);
  attributes += NumberAttribute(27287, scenario.rootless_euid ? 1 : 0);
  return nsenter::test::Message(attributes);
}

std::vector<std::string> EnvironmentOf(const Scenario& scenario, pid_t fixture,
                                       const std::string& console, int log_level) {
  std::vector<std::string> variables = {"_LIBCONTAINER_INITPIPE=" + std::to_string(kInitpipeFd)};
  if (scenario.classic) {
    variables.push_back("_LIBCONTAINER_INITPID=" + std::to_string(fixture));
    if (scenario.console) variables.push_back("_LIBCONTAINER_CONSOLE_PATH=" + console);
  } else {
    variables.push_back("_LIBCONTAINER_LOGPIPE=" + std::to_string(kLogFd));
    variables.push_back("_LIBCONTAINER_LOGLEVEL=" + std::to_string(log_level));
  }
  if (scenario.copies_memory) variables.push_back("NSEXEC_COPY_MEMORY=1");
  return variables;
}

}  // namespace inject
