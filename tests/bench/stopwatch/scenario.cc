// SPDX-License-Identifier: Apache-2.0

#include "scenario.h"

#include "../../unit/message.h"
#include "check.h"

#include <sched.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

namespace bench {
namespace {

using nsenter::test::NumberAttribute;
using nsenter::test::TextAttribute;

constexpr NamespaceType kTypes[kNamespaceTypes] = {
    {"user", CLONE_NEWUSER},     {"ipc", CLONE_NEWIPC},   {"uts", CLONE_NEWUTS},
    {"net", CLONE_NEWNET},       {"pid", CLONE_NEWPID},   {"mnt", CLONE_NEWNS},
    {"cgroup", CLONE_NEWCGROUP}, {"time", CLONE_NEWTIME},
};

constexpr int kContainer = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID;

std::vector<Scenario> All() {
  const std::vector<Join> five = {{"ipc", 0}, {"uts", 0}, {"net", 0}, {"pid", 0}, {"mnt", 0}};
  std::vector<Join> seven = five;
  seven.push_back({"cgroup", 0});
  seven.push_back({"time", 0});
  return {
      {.name = "nothing", .asks = false},
      {.name = "empty"},
      {.name = "create", .clone_flags = kContainer},
      {.name = "create-net", .clone_flags = kContainer | CLONE_NEWNET},
      {.name = "create-all",
       .clone_flags = kContainer | CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWTIME},
      {.name = "user-1", .clone_flags = kContainer | CLONE_NEWUSER, .map_lines = 1},
      {.name = "user-5", .clone_flags = kContainer | CLONE_NEWUSER, .map_lines = 5},
      {.name = "user-340", .clone_flags = kContainer | CLONE_NEWUSER, .map_lines = 340},
      {.name = "join-1", .joins = {{"net", 0}}},
      {.name = "join-5", .joins = five},
      {.name = "join-7", .joins = seven},
      {.name = "join-two", .joins = {{"ipc", 0}, {"uts", 0}, {"net", 0}, {"pid", 1}, {"mnt", 1}}},
      {.name = "classic", .classic = true, .joins = five},
      {.name = "create-log", .log = true, .clone_flags = kContainer},
  };
}

}  // namespace

const NamespaceType* NamespaceTypes() { return kTypes; }

int Scenario::TargetOf(std::string_view type) const {
  for (const Join& join : joins) {
    if (type == join.type) return join.target;
  }
  return -1;
}

Scenario FindScenario(std::string_view name) {
  for (const Scenario& scenario : All()) {
    if (name == scenario.name) return scenario;
  }
  Die("no scenario is called %s", std::string(name).c_str());
}

std::vector<const char*> ScenarioNames() {
  std::vector<const char*> names;
  for (const Scenario& scenario : All()) names.push_back(scenario.name);
  return names;
}

std::string IdMap(int lines) {
  std::string map;
  for (int i = 0; i < lines; ++i) {
    // With a gap after each id outside, as maps of many lines have.
    map += std::to_string(i) + ' ' +
           std::to_string(kFirstIdOutside + 2 * static_cast<unsigned>(i)) + " 1\n";
  }
  return map;
}

std::string BootstrapMessage(const Scenario& scenario, const pid_t* targets) {
  if (!scenario.asks || scenario.classic) return {};
  std::string attributes = NumberAttribute(27281, static_cast<std::uint32_t>(scenario.clone_flags));
  if (!scenario.joins.empty()) {
    std::string paths;
    for (const Join& join : scenario.joins) {
      if (!paths.empty()) paths += ',';
      paths += std::string(join.type) + ":/proc/" + std::to_string(targets[join.target]) + "/ns/" +
               join.type;
    }
    attributes += TextAttribute(27282, paths);
  }
  if (scenario.map_lines != 0) {
    attributes += TextAttribute(27283, IdMap(scenario.map_lines));
    attributes += TextAttribute(27284, IdMap(scenario.map_lines));
    attributes += NumberAttribute(27285, 1);
  }
  attributes += NumberAttribute(27287, 0);
  return nsenter::test::Message(attributes);
}

std::vector<std::string> Environment(const Scenario& scenario, const pid_t* targets, int pipe,
                                     int log) {
  if (!scenario.asks) return {};
  std::vector<std::string> variables = {"_LIBCONTAINER_INITPIPE=" + std::to_string(pipe)};
  if (scenario.classic) {
    variables.push_back("_LIBCONTAINER_INITPID=" + std::to_string(targets[0]));
  }
  if (scenario.log) {
    variables.push_back("_LIBCONTAINER_LOGPIPE=" + std::to_string(log));
    variables.emplace_back("_LIBCONTAINER_LOGLEVEL=5");
  }
  return variables;
}

}  // namespace bench
