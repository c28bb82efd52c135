// SPDX-License-Identifier: Apache-2.0

#include "plan.h"

#include "call.h"

#include <cstdlib>

namespace inject {
namespace {

constexpr std::pair<Fault::Kind, const char*> kKinds[] = {
    {Fault::Kind::kSkip, "skip"}, {Fault::Kind::kShort, "short"},
    {Fault::Kind::kKill, "kill"}, {Fault::Kind::kStop, "stop"},
    {Fault::Kind::kTerm, "term"}, {Fault::Kind::kParentDies, "parent-dies"},
};

constexpr const char* kLogModes[] = {"read", "unread", "full", "closed"};
constexpr const char* kReplyModes[] = {"read", "unread", "full"};

std::string ToText(const Fault& fault) {
  std::string what;
  for (const auto& [kind, name] : kKinds) {
    if (fault.kind == kind) what = name;
  }
  if (fault.kind == Fault::Kind::kErrno) what = NameOfErrno(fault.error);
  const std::string number = std::to_string(fault.call);
  return fault.process + ":" + (fault.name.empty() ? number : fault.name + "#" + number) + ":" +
         what;
}

bool ParseFault(const std::string& text, Fault& fault) {
  const std::size_t first = text.find(':');
  const std::size_t last = text.rfind(':');
  if (first == std::string::npos || first == last) return false;
  fault.process = text.substr(0, first);
  std::string call = text.substr(first + 1, last - first - 1);
  const std::string what = text.substr(last + 1);
  if (const std::size_t hash = call.rfind('#'); hash != std::string::npos) {
    fault.name = call.substr(0, hash);
    call = call.substr(hash + 1);
  }
  fault.call = atoi(call.c_str());
  if (fault.call <= 0) return false;
  for (const auto& [kind, name] : kKinds) {
    if (what == name) {
      fault.kind = kind;
      return true;
    }
  }
  fault.error = ErrnoOf(what);
  return fault.error != 0;
}

template <typename Mode, std::size_t kCount>
bool ParseMode(const std::string& value, const char* const (&names)[kCount], Mode& mode) {
  for (std::size_t i = 0; i < kCount; ++i) {
    if (value == names[i]) {
      mode = static_cast<Mode>(i);
      return true;
    }
  }
  return false;
}

}  // namespace

bool IsInTwoProcesses(const Plan& plan) {
  return plan.faults.size() == 2 && plan.faults[1].process != "next" &&
         plan.faults[1].process != plan.faults[0].process;
}

std::string ToOptions(const Plan& plan) {
  std::string text = std::string("--scenario=") + plan.scenario->name;
  const auto add = [&](const std::string& option) { text += " " + option; };
  if (plan.wait_first) add("--wait-first");
  if (plan.log_level != 4) add("--log-level=" + std::to_string(plan.log_level));
  for (const Fault& fault : plan.faults) add("--fault='" + ToText(fault) + "'");
  if (plan.log != LogMode::kRead)
    add(std::string("--log=") + kLogModes[static_cast<int>(plan.log)]);
  if (plan.reply != ReplyMode::kRead) {
    add(std::string("--reply=") + kReplyModes[static_cast<int>(plan.reply)]);
  }
  if (plan.close_after >= 0) add("--close-after=" + std::to_string(plan.close_after));
  if (plan.nofile >= 0) add("--nofile=" + std::to_string(plan.nofile));
  if (plan.nproc >= 0) add("--nproc=" + std::to_string(plan.nproc));
  if (plan.memory >= 0) add("--memory=" + std::to_string(plan.memory));
  if (plan.pids >= 0) add("--pids=" + std::to_string(plan.pids));
  if (plan.free_pids >= 0) add("--free-pids=" + std::to_string(plan.free_pids));
  if (!plan.no_namespaces.empty()) add("--no-namespaces=" + plan.no_namespaces);
  if (!plan.strace.empty()) add("--strace='" + plan.strace + "'");
  return text;
}

bool TakeOption(const std::string& option, Plan& plan) {
  const std::size_t equals = option.find('=');
  const std::string name = option.substr(0, equals);
  const std::string value = equals == std::string::npos ? "" : option.substr(equals + 1);
  const long number = atol(value.c_str());
  if (name == "--scenario") return (plan.scenario = FindScenario(value)) != nullptr;
  if (name == "--fault") return ParseFault(value, plan.faults.emplace_back());
  if (name == "--log") return ParseMode(value, kLogModes, plan.log);
  if (name == "--reply") return ParseMode(value, kReplyModes, plan.reply);
  if (name == "--wait-first") {
    plan.wait_first = true;
  } else if (name == "--log-level") {
    plan.log_level = static_cast<int>(number);
  } else if (name == "--close-after") {
    plan.close_after = static_cast<int>(number);
  } else if (name == "--nofile") {
    plan.nofile = number;
  } else if (name == "--nproc") {
    plan.nproc = number;
  } else if (name == "--memory") {
    plan.memory = number;
  } else if (name == "--pids") {
    plan.pids = number;
  } else if (name == "--free-pids") {
    plan.free_pids = number;
  } else if (name == "--no-namespaces") {
    plan.no_namespaces = value;
  } else if (name == "--strace") {
    plan.strace = value;
  } else {
    return false;
  }
  return true;
}

}  // namespace inject
