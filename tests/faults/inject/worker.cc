// SPDX-License-Identifier: Apache-2.0

#include "worker.h"

#include "crosscheck.h"
#include "run.h"

#include <random>
#include <unistd.h>

namespace inject {
namespace {

constexpr int kTries = 5;

Report::Kind KindOf(const Verdict& verdict) {
  switch (verdict.kind) {
    case Verdict::Kind::kAsPromised:
      return Report::Kind::kAsPromised;
    case Verdict::Kind::kOnList:
      return Report::Kind::kOnList;
    case Verdict::Kind::kNotDelivered:
      return Report::Kind::kNotDelivered;
    case Verdict::Kind::kViolation:
      break;
  }
  return Report::Kind::kViolation;
}

}  // namespace

Verdict RunAndJudge(const Plan& plan, const World& world, const Normal& normal, int program,
                    Lists& lists, Observation* ret_seen) {
  Verdict verdict;
  for (int i = 0; i < kTries; ++i) {
    *ret_seen = Run(plan, world, normal.roles, program);
    Plan made = plan;
    if (IsInTwoProcesses(plan) && ret_seen->delivered > 0) made.faults = ret_seen->delivered_faults;
    verdict = Judge(made, *ret_seen, normal.seen, lists);
    if (!verdict.late) break;
  }
  return verdict;
}

int Worker::Work() {
  world_ = World::Make();
  lists_ = ReadLists(options_.harmless, options_.purposes);
  RunNormals();
  const std::vector<SweptCase> cases = EnumerateCases(options_, world_, normals_);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    if (static_cast<int>(i % static_cast<std::size_t>(options_.jobs)) != number_) continue;
    RunCase(cases[i], static_cast<unsigned>(i));
  }
  const std::vector<Entry*> entries = lists_.Entries();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i]->used > 0) Tell({Report::Kind::kEntryUsed, std::to_string(i), "", ""});
  }
  Tell({Report::Kind::kEnd, std::to_string(cases.size()), "", ""});
  return 0;
}

void Worker::RunNormals() {
  for (const Scenario& scenario : Scenarios()) {
    if (!options_.Wants(scenario)) continue;
    for (const bool wait_first : {false, true}) {
      const Plan plan = PlainPlan(scenario, wait_first);
      Normal normal = RunNormal(plan, world_, program_);
      // Once, not by each worker.
      if (!normal.wrong.empty() && number_ == 0) {
        Tell({Report::Kind::kViolation, "no fault", ToOptions(plan), normal.wrong});
      }
      if (normal.usable) normals_[{&scenario, wait_first}] = std::move(normal);
    }
  }
}

void Worker::RunCase(const SweptCase& one, unsigned index) {
  Plan plan = one.plan;
  const Normal& normal = normals_.at({plan.scenario, plan.wait_first});
  Report report = {Report::Kind::kNothingToDo, one.group, "", ""};
  if (one.second != Second::kNone) {
    std::minstd_rand random(options_.seed * 1000003U + index + 1);
    const Observation first = Run(plan, world_, normal.roles, program_);
    if (!AddSecondFault(one.second, plan, first, random)) return Tell(report);
  }
  Observation seen;
  const Verdict verdict = RunAndJudge(plan, world_, normal, program_, lists_, &seen);
  const bool one_only = one.second == Second::kElsewhere && seen.delivered == 1;
  report = {KindOf(verdict), one.group + (one_only ? ", one hit" : ""), ToOptions(plan),
            verdict.text, !Succeeded(seen)};
  if (options_.strace) {
    const Comparison compared = CompareWithStrace(plan, seen, normal.seen, world_, program_);
    if (!compared.comparable) {
      report.kind = Report::Kind::kNothingToDo;
    } else if (!compared.difference.empty()) {
      report.kind = Report::Kind::kViolation;
      report.text = compared.difference;
    }
  }
  Tell(report);
}

void Worker::Tell(const Report& report) const {
  const std::string line = report.ToLine();
  if (write(results_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) _exit(3);
}

}  // namespace inject
