// SPDX-License-Identifier: Apache-2.0

#include "cases.h"

#include "call.h"
#include "cgroup.h"
#include "pid_limit.h"

#include <cerrno>
#include <cstdint>
#include <cstdio>

namespace inject {
namespace {

constexpr int kErrnos[] = {EPERM, EIO, EINTR, EINVAL, ENOMEM, EAGAIN, EMFILE, ENOSPC, EACCES};

// A mapping tool's own calls are many and not ours: it is killed after one in so many.
constexpr int kToolStep = 8;

constexpr long kKiB = 1024;

// Of a long message the parent does not send each number of bytes.
constexpr std::size_t kLongMessage = 4096;
constexpr std::size_t kLongStep = 509;

// More than any message has.
constexpr int kWholeMessage = 1 << 20;

Plan With(const Plan& plain, const MadeCall& call, Fault::Kind kind, int error = 0) {
  Plan plan = plain;
  Fault fault;
  fault.process = call.process;
  fault.call = call.index;
  fault.kind = kind;
  fault.error = error;
  plan.faults.push_back(fault);
  return plan;
}

/// Whether it is an answer that the kernel does not give: that no SIGHUP is pending, where one is.
bool IsLie(const Plan& plan, const MadeCall& call, int error) {
  return plan.scenario->leads_session && call.name == "rt_sigtimedwait" && error == EAGAIN;
}

class Enumeration {
 public:
  Enumeration(const SweepOptions& options, const World& world, const Normals& normals)
      : options_(options), world_(world) {
    for (const Scenario& scenario : Scenarios()) {
      for (const bool wait_first : {false, true}) {
        const auto normal = normals.find({&scenario, wait_first});
        if (normal == normals.end()) continue;
        const Plan plain = PlainPlan(scenario, wait_first);
        AddFaultsAtCalls(plain, normal->second.seen);
        AddParents(plain);
        AddResources(plain);
      }
    }
  }

  std::vector<SweptCase> Take() { return std::move(cases_); }

 private:
  void Add(const std::string& group, const Plan& plan, Second second = Second::kNone) {
    if (group.compare(0, options_.only.size(), options_.only) != 0) return;
    // Mixed, or the sample would always hit the same column of the same rows.
    const std::uint64_t mixed = (number_++ * 2654435761U) >> 12U;
    if (mixed % static_cast<std::uint64_t>(options_.every) != 0) return;
    cases_.push_back({group, plan, second});
  }

  void AddFaultsAtCalls(const Plan& plain, const Observation& normal) {
    int of_tool = 0;
    for (const MadeCall& call : normal.calls) {
      if (!call.before_exec) {
        if (++of_tool % kToolStep == 0) {
          Add("kill a mapping tool", With(plain, call, Fault::Kind::kKill));
        }
        continue;
      }
      Add("SIGKILL", With(plain, call, Fault::Kind::kKill));
      Add("SIGTERM", With(plain, call, Fault::Kind::kTerm));
      Add("parent dies", With(plain, call, Fault::Kind::kParentDies));
      if (!plain.wait_first) Add("SIGSTOP, 100 ms", With(plain, call, Fault::Kind::kStop));
      if (call.ends_process || NeverFails(call.name)) continue;
      AddErrnos(plain, call);
      if (call.transfer > 1) Add("one byte", With(plain, call, Fault::Kind::kShort));
    }
  }

  void AddErrnos(const Plan& plain, const MadeCall& call) {
    for (const int error : kErrnos) {
      if (IsLie(plain, call, error)) continue;
      Add(NameOfErrno(error), With(plain, call, Fault::Kind::kErrno, error));
    }
    const Plan plan = With(plain, call, Fault::Kind::kErrno, EIO);
    Add("two faults", plan, Second::kSampled);
    Add("two faults", With(plain, call, Fault::Kind::kErrno, ENOMEM), Second::kSampled);
    // Who does not hear of its threads makes other processes.
    if (call.name != "unshare(THREAD)") Add("in two processes", plan, Second::kElsewhere);
    Add("on the fatal line too", plan, Second::kOnFatalLine);
    // Where nothing is said but that, so that the number of calls is the same for all logs.
    if (plain.scenario->classic || plain.log_level > 4) return;
    Plan full = plan;
    full.log = LogMode::kFull;
    Add("EIO, log full", full);
    Plan closed = plan;
    closed.log = LogMode::kClosed;
    Add("EIO, log closed", closed);
  }

  void AddParents(const Plan& plain) {
    const std::size_t size = MessageOf(*plain.scenario, world_.plain).size();
    const std::size_t step = size > kLongMessage ? kLongStep : 1;
    // Pids may be of another length in another worker, so the last is always "all of it".
    for (std::size_t sent = 0; sent < size; sent += step) {
      Plan plan = plain;
      plan.close_after = static_cast<int>(sent);
      Add("parent closes", plan);
    }
    Plan all_sent = plain;
    all_sent.close_after = kWholeMessage;
    Add("parent closes", all_sent);

    for (const ReplyMode mode : {ReplyMode::kUnread, ReplyMode::kFull}) {
      Plan plan = plain;
      plan.reply = mode;
      Add(mode == ReplyMode::kUnread ? "reply not read" : "reply pipe full", plan);
    }
    if (plain.scenario->classic) return;
    for (const LogMode mode : {LogMode::kUnread, LogMode::kFull, LogMode::kClosed}) {
      Plan plan = plain;
      plan.log = mode;
      Add("log not read", plan);
    }
  }

  void AddResources(const Plan& plain) {
    for (long limit = 0; limit <= 32; ++limit) {
      Plan plan = plain;
      plan.nofile = limit;
      Add("RLIMIT_NOFILE", plan);
    }
    for (long limit = 0; limit <= 3; ++limit) {
      Plan plan = plain;
      plan.nproc = limit;
      Add("RLIMIT_NPROC", plan);
    }
    for (long left = 0; left <= 4 && PidLimit::CanBeMade(); ++left) {
      Plan plan = plain;
      plan.free_pids = left;
      Add("pid namespace full", plan);
    }
    for (long limit = 1; limit <= 4 && has_pids_cgroup_; ++limit) {
      Plan plan = plain;
      plan.pids = limit;
      Add("pids cgroup", plan);
    }
    // The launched process needs less than 512 KiB, a mapping tool more than 1 MiB.
    for (long limit = 128 * kKiB; limit <= 4096 * kKiB && has_memory_cgroup_;) {
      Plan plan = plain;
      plan.memory = limit;
      Add("memory cgroup", plan);
      limit += limit < 512 * kKiB ? 32 * kKiB : 256 * kKiB;
    }
    // What is joined belongs to the user namespace outside.
    if (plain.scenario->fixture != FixtureKind::kNone) return;
    for (const char* type : {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"}) {
      Plan plan = plain;
      plan.no_namespaces = type;
      Add("user.max_*_namespaces 0", plan);
    }
  }

  const SweepOptions& options_;
  const World& world_;
  const bool has_memory_cgroup_ = Cgroup::CanBeMade(CgroupLimit::kMemory);
  const bool has_pids_cgroup_ = Cgroup::CanBeMade(CgroupLimit::kProcesses);
  std::vector<SweptCase> cases_;
  std::uint64_t number_ = 0;
};

bool IsSaying(const MadeCall& call) {
  return call.name == "write(log)" || call.name == "write(stderr)" || call.name == "write(console)";
}

}  // namespace

Plan PlainPlan(const Scenario& scenario, bool wait_first) {
  Plan plan;
  plan.scenario = &scenario;
  plan.wait_first = wait_first;
  // Each level is as good as the other, so both are had.
  plan.log_level = wait_first ? 5 : 4;
  return plan;
}

std::vector<SweptCase> EnumerateCases(const SweepOptions& options, const World& world,
                                      const Normals& normals) {
  return Enumeration(options, world, normals).Take();
}

bool AddSecondFault(Second second, Plan& plan, const Observation& first, std::minstd_rand& random) {
  const Fault before = plan.faults[0];
  const bool elsewhere = second == Second::kElsewhere;
  std::vector<const MadeCall*> candidates;
  for (const MadeCall& call : first.calls) {
    const bool comes_next = call.process == before.process && call.index > before.call;
    if (elsewhere ? call.process == before.process : !comes_next) continue;
    if (!call.before_exec || call.ends_process || NeverFails(call.name)) continue;
    if (second == Second::kOnFatalLine && !IsSaying(call)) continue;
    if (elsewhere && call.name == "unshare(THREAD)") continue;
    candidates.push_back(&call);
  }
  if (candidates.empty() || (second == Second::kOnFatalLine && first.fatal.empty())) return false;
  // The fatal line is the last that is said.
  const MadeCall& call = second == Second::kOnFatalLine ? *candidates.back()
                                                        : *candidates[random() % candidates.size()];
  const int error = kErrnos[random() % std::size(kErrnos)];
  if (IsLie(plan, call, error)) return false;
  plan = With(plan, call, Fault::Kind::kErrno, error);
  Fault& fault = plan.faults.back();
  if (!elsewhere) {
    fault.process = "next";
    fault.call = call.index - before.call;
  } else if (random() % 4 == 0) {
    fault.kind = Fault::Kind::kKill;
  }
  return true;
}

}  // namespace inject
