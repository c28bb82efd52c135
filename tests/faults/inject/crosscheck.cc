// SPDX-License-Identifier: Apache-2.0

#include "crosscheck.h"

#include "call.h"
#include "run.h"

#include <map>

namespace inject {
namespace {

std::string BareName(const MadeCall& call) { return call.name.substr(0, call.name.find('(')); }

// The program under test reads and writes a few times itself when nsexec has returned.
constexpr int kOwnTransfers = 3;

/// What strace is to be told to make the fault of `plan`; empty if it cannot. It counts calls by
/// name in each process alike, so the process must be the only one that comes so far.
std::string InjectionOf(const Plan& plan, const Observation& normal) {
  if (plan.faults.size() != 1 || plan.faults[0].kind != Fault::Kind::kErrno) return {};
  // Set-uid programs are none if an unprivileged strace looks.
  if (plan.scenario->tools) return {};
  // A second thread's calls are counted too.
  if (plan.scenario->threads) return {};
  const Fault& fault = plan.faults[0];
  const MadeCall* hit = nullptr;
  for (const MadeCall& call : normal.calls) {
    if (call.process == fault.process && call.index == fault.call) hit = &call;
  }
  if (hit == nullptr || hit->process != "launched") return {};
  const std::string name = BareName(*hit);
  // A close that strace lets fail has not closed.
  if (name == "close") return {};
  std::map<std::string, int> others;
  for (const MadeCall& call : normal.calls) {
    if (call.process != hit->process && BareName(call) == name) ++others[call.process];
  }
  if (name == "read" || name == "write") others["init"] += kOwnTransfers;
  for (const auto& [process, count] : others) {
    if (count >= hit->nth_of_name) return {};
  }
  return name + ":error=" + NameOfErrno(fault.error) + ":when=" + std::to_string(hit->nth_of_name);
}

std::string Outcome(const Observation& seen) {
  const EndedProcess* const launched = seen.Find("launched");
  std::string text = launched == nullptr ? "did not end"
                                         : "exit status " + std::to_string(launched->exit_status());
  text += seen.returned ? ", returned" : ", did not return";
  for (const std::string& line : seen.fatal) text += ", fatal: " + line;
  return text;
}

}  // namespace

Comparison CompareWithStrace(const Plan& plan, const Observation& seen, const Observation& normal,
                             const World& world, int program) {
  Plan under_strace = plan;
  under_strace.strace = InjectionOf(plan, normal);
  if (under_strace.strace.empty()) return {};
  under_strace.faults.clear();
  const std::string ours = Outcome(seen);
  const std::string straces = Outcome(Run(under_strace, world, {}, program));
  if (ours == straces) return {.comparable = true, .difference = ""};
  return {
      .comparable = true,
      .difference = ours + ", BUT WITH strace -e inject=" + under_strace.strace + ": " + straces};
}

}  // namespace inject
