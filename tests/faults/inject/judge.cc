// SPDX-License-Identifier: Apache-2.0

#include "judge.h"

#include "call.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fnmatch.h>
#include <sstream>

namespace inject {
namespace {

constexpr int kPromisedMs = 1000;
int slower = 1;

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

bool HasKind(const Plan& plan, Fault::Kind kind) {
  return std::any_of(plan.faults.begin(), plan.faults.end(),
                     [=](const Fault& fault) { return fault.kind == kind; });
}

/// Whether the limits of the case may be the death of anybody (the kernel's OOM killer).
bool MayBeKilled(const Plan& plan) { return plan.memory >= 0; }

bool LogCanBeRead(const Plan& plan) {
  if (plan.scenario->classic) return true;
  // See Case::KillParent.
  if (plan.wait_first && HasKind(plan, Fault::Kind::kParentDies)) return false;
  return plan.log == LogMode::kRead || plan.log == LogMode::kUnread;
}

std::string Join(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : " | ") + text;
  return all;
}

/// Whether the case is to blame for the death.
bool MayDieOf(const EndedProcess& process, const Plan& plan, const Observation& seen) {
  const int signal = process.signal();
  if (MayBeKilled(plan) && signal == SIGKILL) return true;
  const bool sent = std::any_of(plan.faults.begin(), plan.faults.end(), [&](const Fault& fault) {
    return fault.process == process.process &&
           ((fault.kind == Fault::Kind::kKill && signal == SIGKILL) ||
            (fault.kind == Fault::Kind::kTerm && signal == SIGTERM));
  });
  if (sent) return true;
  // Our processes may end one another, all but the one that the parent waits for.
  return signal == SIGKILL && process.process != "launched" &&
         std::any_of(seen.calls.begin(), seen.calls.end(), [](const MadeCall& call) {
           return call.name == "kill" || call.name == "pidfd_send_signal";
         });
}

bool TookTooLong(const Plan& plan, const Observation& seen) {
  const int stopped = HasKind(plan, Fault::Kind::kStop) ? kStopMs : 0;
  const int slow = plan.reply == ReplyMode::kFull ? 300 : 0;
  return seen.settled_ms > kPromisedMs * slower + stopped + slow;
}

/// The promises for every outcome.
std::string AlwaysWrong(const Plan& plan, const Observation& seen) {
  if (!seen.left.empty()) return "left after all: " + Join(seen.left);
  if (!seen.initpipe_ended) return "the parent sees no end of INITPIPE";
  if (!seen.log_ended) return "the parent sees no end of LOGPIPE";
  if (!seen.strange.empty()) return "strange output: " + Join(seen.strange);
  if (!seen.early.empty()) return seen.early;
  for (const EndedProcess& process : seen.ended) {
    if (process.signal() != 0 && !MayDieOf(process, plan, seen)) {
      return process.process + " died of signal " + std::to_string(process.signal());
    }
  }
  // Of two failures each may be said.
  if (seen.fatal.size() > std::max<std::size_t>(plan.faults.size(), 1)) {
    return "more than one fatal line: " + Join(seen.fatal);
  }
  for (const std::string& line : seen.fatal) {
    if (EndsWith(line, "Success")) return "a fatal line without a reason: " + line;
  }
  return {};
}

/// Whether it is one of those with which a line is said.
bool IsOnLog(const std::string& call) {
  return call.find("(log)") != std::string::npos || call.find("(stderr)") != std::string::npos ||
         call.find("(console)") != std::string::npos;
}

/// What is wrong with a launch that must have succeeded.
std::string NotSame(const Plan& plan, const Observation& seen, const Observation* normal) {
  if (!seen.fatal.empty()) return "failed: " + Join(seen.fatal);
  if (!Succeeded(seen)) return "did not succeed, and said nothing";
  if (!seen.bad_reply.empty()) return "the reply: " + seen.bad_reply;
  if (!seen.echoed && !HasKind(plan, Fault::Kind::kParentDies))
    return "the document did not arrive";
  if (!seen.tools.empty()) return "a mapping tool said: " + Join(seen.tools);
  const EndedProcess* const init = seen.Find("init");
  if (plan.strace.empty() && (init == nullptr || init->exit_status() != 0)) {
    return "the program in the init process failed";
  }
  if (!seen.alternate_stack) return "the alternate stack of the init process is another one";
  if (normal != nullptr && plan.no_namespaces.empty() && seen.state != normal->state) {
    return "the init process is not as it should be: " + seen.state + " AND NOT " + normal->state;
  }
  return {};
}

/// What is wrong with a launch that must have failed with one fatal line.
std::string NotFailed(const Plan& plan, const Observation& seen, const char* in_process) {
  const EndedProcess* const launched = seen.Find("launched");
  if (launched == nullptr) return "the launched process did not end";
  if (seen.returned) return "the failure went unnoticed: nsexec returned";
  const bool in_init = in_process != nullptr && strcmp(in_process, "init") == 0;
  if (in_init) {
    const EndedProcess* const init = seen.Find("init");
    if (init == nullptr || init->exit_status() != 1)
      return "the init process's exit status is not 1";
    // Who is first is left to chance: the launched process may have been done.
    if (launched->exit_status() != 1 && !(launched->exit_status() == 0 && seen.bad_reply.empty())) {
      return "the launched process's status is " + std::to_string(launched->status);
    }
  } else if (launched->exit_status() != 1) {
    return "the launched process's exit status is not 1";
  }
  if (seen.fatal.empty() && LogCanBeRead(plan)) return "no fatal line";
  return {};
}

/// Success as ever, or failure with one line.
std::string NeitherSameNorFailed(const Plan& plan, const Observation& seen,
                                 const Observation& normal) {
  return Succeeded(seen) ? NotSame(plan, seen, &normal) : NotFailed(plan, seen, nullptr);
}

/// A failure in a step after the reply. The init process is the parent's by then: it goes on, and
/// the failure is reported.
std::string NotLate(const Plan& plan, const Observation& seen) {
  const EndedProcess* const launched = seen.Find("launched");
  if (!seen.bad_reply.empty()) return "the reply: " + seen.bad_reply;
  if (!seen.returned) return "the init process did not go on";
  if (launched == nullptr || launched->exit_status() != 1) {
    return "the launched process's exit status is not 1";
  }
  return seen.fatal.empty() && LogCanBeRead(plan) ? "no fatal line" : "";
}

Harmless* FindHarmless(std::vector<Harmless>& harmless, const std::string& process,
                       const std::string& call, const std::string& what) {
  const std::string with_process = process + ":" + call;
  for (Harmless& entry : harmless) {
    if (fnmatch(entry.call.c_str(), call.c_str(), FNM_EXTMATCH) != 0 &&
        fnmatch(entry.call.c_str(), with_process.c_str(), FNM_EXTMATCH) != 0) {
      continue;
    }
    std::istringstream faults(entry.faults);
    for (std::string fault; std::getline(faults, fault, ',');) {
      if (fault == what || (fault == "any" && what != "short" && what != "EINTR")) return &entry;
    }
  }
  return nullptr;
}

Verdict Of(const std::string& wrong) {
  return {wrong.empty() ? Verdict::Kind::kAsPromised : Verdict::Kind::kViolation, wrong};
}

Verdict JudgeHarmless(const Plan& plan, const Observation& seen, const Observation& normal,
                      Harmless& entry) {
  ++entry.used;
  std::string wrong;
  if (entry.outcome == "explained") {
    wrong = NotFailed(plan, seen, plan.faults[0].process.c_str());
  } else if (entry.outcome == "late") {
    wrong = NotLate(plan, seen);
  } else if (entry.outcome == "either") {
    wrong = NeitherSameNorFailed(plan, seen, normal);
  } else {
    wrong = NotSame(plan, seen, &normal);
    if (wrong.empty() && !seen.right_thread_id && normal.right_thread_id) {
      wrong = "libc has the wrong thread id";
    }
  }
  return {wrong.empty() ? Verdict::Kind::kOnList : Verdict::Kind::kViolation, wrong};
}

/// What is wrong with a launch one of whose calls failed, if the call is like any other.
std::string NotAsErrno(const Plan& plan, const Observation& seen, const Observation& normal,
                       std::vector<Purpose>& purposes) {
  const Fault& fault = plan.faults[0];
  if (fault.kind == Fault::Kind::kShort || fault.error == EINTR) {
    const std::string wrong = NotSame(plan, seen, &normal);
    const bool other_thread_id = !seen.right_thread_id && normal.right_thread_id;
    return wrong.empty() && other_thread_id ? "libc has the wrong thread id" : wrong;
  }
  if (std::string wrong = NotFailed(plan, seen, fault.process.c_str()); !wrong.empty()) {
    return wrong;
  }
  if (seen.fatal.empty()) return {};  // nobody could have read it
  const std::string& line = seen.fatal[0];
  const std::string why = std::string(": ") + strerror(fault.error);
  if (!EndsWith(line, why)) return "the fatal line does not say why: " + line;
  const std::string purpose = line.substr(0, line.size() - why.size());
  const auto fitting = std::find_if(purposes.begin(), purposes.end(), [&](const Purpose& one) {
    // A working copy does what the launched process would do.
    const auto fits = [&](const std::string& process) {
      return one.Fits(process, seen.delivered_names[0], purpose);
    };
    return fits(fault.process) || (fault.process == "copy" && fits("launched"));
  });
  if (fitting == purposes.end()) {
    return purposes.empty() ? "" : "the fatal line does not say what: " + line;
  }
  ++fitting->used;
  return {};
}

Verdict JudgeErrno(const Plan& plan, const Observation& seen, const Observation& normal,
                   Lists& lists) {
  const std::string wrong = NotAsErrno(plan, seen, normal, lists.purposes);
  if (wrong.empty()) return {};
  const Fault& fault = plan.faults[0];
  const std::string what = fault.kind == Fault::Kind::kShort ? "short" : NameOfErrno(fault.error);
  Harmless* const entry =
      FindHarmless(lists.harmless, fault.process, seen.delivered_names[0], what);
  return entry == nullptr ? Of(wrong) : JudgeHarmless(plan, seen, normal, *entry);
}

Verdict JudgeDeath(const Plan& plan, const Observation& seen, const Observation& normal) {
  const std::string& victim = plan.faults[0].process;
  const EndedProcess* const killed = seen.Find(victim);
  const EndedProcess* const launched = seen.Find("launched");
  if (killed == nullptr || launched == nullptr) return Of("did not end");
  // Pid 1 of a pid namespace does not hear SIGTERM.
  if (killed->signal() == 0 && Succeeded(seen)) return Of(NotSame(plan, seen, &normal));
  const bool reported = seen.bad_reply.empty();
  if (seen.returned) {
    // From the reply on the init process is the parent's, also if the others fail.
    if (!reported) return Of("nsexec returned without a reply");
    if (victim != "init" && seen.state != normal.state)
      return Of("another init process: " + seen.state);
    return {};
  }
  if (victim == "launched") return {};
  if (launched->exit_status() == 0) {
    return Of(reported && victim == "init" ? "" : "the launched process did not notice");
  }
  if (launched->exit_status() != 1) return Of("the launched process's exit status is not 1");
  // An init process that is killed says nothing.
  if (seen.fatal.empty() && victim != "init") return Of("no fatal line");
  return {};
}

/// What the parent has read when it dies decides: with the whole reply, the init process is its own
/// and goes on.
Verdict JudgeParentsDeath(const Plan& plan, const Observation& seen) {
  if (!seen.bad_reply.empty()) return Of(NotFailed(plan, seen, nullptr));
  if (!seen.fatal.empty()) return Of("failed: " + Join(seen.fatal));
  const EndedProcess* const init = seen.Find("init");
  return Of(seen.returned && init != nullptr && init->exit_status() == 0
                ? ""
                : "the init process did not go on");
}

Verdict JudgeTwo(const Plan& plan, const Observation& seen, const Observation& normal) {
  if (Succeeded(seen)) return Of(NotSame(plan, seen, &normal));
  if (seen.fatal.empty() && IsOnLog(seen.delivered_names[1])) {
    const EndedProcess* const launched = seen.Find("launched");
    // A working copy's, when the parent has the reply.
    const std::string wrong = NotLate(plan, seen);
    const bool late = plan.scenario->threads && (wrong.empty() || wrong == "no fatal line");
    if (seen.returned && !late) return Of("nsexec returned, and the launched process failed");
    if (launched->exit_status() == 1) return {};
    if (plan.faults[0].process == "init" && launched->exit_status() == 0) return {};
    return Of("the launched process's exit status is not 1");
  }
  if (plan.scenario->threads && NotLate(plan, seen).empty()) return {};
  return Of(NotFailed(plan, seen, plan.faults[0].process.c_str()));
}

/// Which of the two faults comes first is left to chance. This holds whichever does.
Verdict JudgeTwoProcesses(const Plan& plan, const Observation& seen, const Observation& normal) {
  if (Succeeded(seen)) return Of(NotSame(plan, seen, &normal));
  const EndedProcess* const launched = seen.Find("launched");
  if (launched == nullptr) return Of("the launched process did not end");
  const auto hit = [&](const char* process, Fault::Kind kind) {
    return std::any_of(plan.faults.begin(), plan.faults.end(), [&](const Fault& fault) {
      return fault.process == process && fault.kind == kind;
    });
  };
  const bool reported = seen.bad_reply.empty();
  if (seen.returned) {
    // From the reply on the init process is the parent's.
    const bool late = plan.scenario->threads && NotLate(plan, seen).empty();
    return Of(late || (reported && hit("launched", Fault::Kind::kKill))
                  ? ""
                  : "nsexec returned, and the launched process failed");
  }
  const bool init_failed = hit("init", Fault::Kind::kErrno) || hit("init", Fault::Kind::kKill);
  if (launched->exit_status() != 1 && !(launched->exit_status() == 0 && reported && init_failed) &&
      !(launched->signal() == SIGKILL && hit("launched", Fault::Kind::kKill))) {
    return Of("the launched process's status is " + std::to_string(launched->status));
  }
  // Who is killed, or cannot write, has nothing to say.
  const bool silent =
      HasKind(plan, Fault::Kind::kKill) ||
      std::any_of(seen.delivered_names.begin(), seen.delivered_names.end(), IsOnLog);
  return Of(seen.fatal.empty() && !silent ? "no fatal line" : "");
}

Verdict JudgeAll(const Plan& plan, const Observation& seen, const Observation& normal,
                 Lists& lists) {
  if (seen.delivered != static_cast<int>(plan.faults.size())) {
    return {Verdict::Kind::kNotDelivered, "the fault was not delivered"};
  }
  if (std::string wrong = AlwaysWrong(plan, seen); !wrong.empty()) return Of(wrong);
  if (MayBeKilled(plan)) {
    // Whoever is killed for want of memory says nothing.
    const bool anybody =
        std::any_of(seen.ended.begin(), seen.ended.end(),
                    [](const EndedProcess& one) { return one.signal() == SIGKILL; });
    if (anybody) return {};
    return Of(NeitherSameNorFailed(plan, seen, normal));
  }
  if (IsInTwoProcesses(plan)) return JudgeTwoProcesses(plan, seen, normal);
  if (plan.faults.size() == 2) return JudgeTwo(plan, seen, normal);
  if (plan.faults.empty()) {
    if (plan.close_after >= 0) return Of(NotFailed(plan, seen, nullptr));
    const bool limited = plan.nofile >= 0 || plan.nproc >= 0 || plan.pids >= 0 ||
                         plan.free_pids >= 0 || !plan.no_namespaces.empty();
    return Of(limited ? NeitherSameNorFailed(plan, seen, normal) : NotSame(plan, seen, &normal));
  }
  switch (plan.faults[0].kind) {
    case Fault::Kind::kSkip:  // nothing is promised, attack.h looks at what comes of it
    case Fault::Kind::kErrno:
    case Fault::Kind::kShort:
      return JudgeErrno(plan, seen, normal, lists);
    case Fault::Kind::kKill:
    case Fault::Kind::kTerm:
      return JudgeDeath(plan, seen, normal);
    case Fault::Kind::kStop:
      return Of(NotSame(plan, seen, &normal));
    case Fault::Kind::kParentDies:
      return JudgeParentsDeath(plan, seen);
  }
  return {};
}

}  // namespace

bool Succeeded(const Observation& seen) {
  const EndedProcess* const launched = seen.Find("launched");
  return launched != nullptr && launched->exit_status() == 0 && seen.returned;
}

std::string WhatIsWrong(const Plan& plan, const Observation& seen) {
  std::string wrong = AlwaysWrong(plan, seen);
  if (wrong.empty()) wrong = NotSame(plan, seen, nullptr);
  if (wrong.empty() && !seen.right_thread_id) wrong = "libc has the wrong thread id";
  return wrong;
}

void JudgeOnSlowMachine(int times) { slower = times; }

Verdict Judge(const Plan& plan, const Observation& seen, const Observation& normal, Lists& lists) {
  Verdict verdict = JudgeAll(plan, seen, normal, lists);
  if (!verdict.text.empty() && !seen.delivered_names.empty()) {
    verdict.text = "after " + Join(seen.delivered_names) + ": " + verdict.text;
  }
  const bool good =
      verdict.kind == Verdict::Kind::kAsPromised || verdict.kind == Verdict::Kind::kOnList;
  if (!good || !TookTooLong(plan, seen)) return verdict;
  return {.kind = Verdict::Kind::kViolation,
          .text = "took " + std::to_string(seen.settled_ms) + " ms",
          .late = true};
}

}  // namespace inject
