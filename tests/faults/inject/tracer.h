// SPDX-License-Identifier: Apache-2.0
//
// Follows the launched process and all that come of it from call to call, and makes the faults.

#pragma once

#include "call.h"
#include "observation.h"
#include "plan.h"

#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <sys/types.h>

namespace inject {

using Clock = std::chrono::steady_clock;
int MsSince(Clock::time_point start);

/// A point of a launch at which a process is stopped and can be looked at.
enum class Moment {
  kBegins,    // nsexec is about to, in the launched process
  kBorn,      // the process has not run yet
  kCallDone,  // Process::now
  kReturned,  // nsexec has
};

struct Process {
  pid_t pid = 0;
  std::string path;  // empty: not known yet
  std::string role;
  int children = 0;
  bool waits_for_role = false;
  bool counted = false;  // its calls are
  bool done = false;     // nsexec has returned in it
  bool born = false;     // has been looked at before it ran
  bool ends = false;     // has begun to
  bool ended = false;
  bool before_exec = true;
  int calls = 0;
  std::map<std::string, int> calls_of_name;
  std::map<std::string, int> all_calls;  // also those before nsexec began, by bare name
  std::string now;                       // the call it is in
  // What is to be done when the call it is in is over.
  const Fault* fault = nullptr;
  std::uint64_t old_size = 0;
};

class Tracer {
 public:
  /// `kill_parent` is called for a fault of that kind.
  Tracer(const Plan& plan, const Roles& roles, Observation& seen, std::function<void()> kill_parent)
      : plan_(plan), roles_(roles), seen_(seen), kill_parent_(std::move(kill_parent)) {}

  /// Has `look` called at each moment, with the process stopped.
  void LookWith(std::function<void(const Process&, Moment)> look) { look_ = std::move(look); }
  /// Within `look`: stops the process by a signal instead, so that for as long as `meanwhile` takes
  /// nobody traces it.
  static void StepAside(const Process& process, const std::function<void()>& meanwhile);
  /// Within `look`, when a call is done: has the process make another one.
  static void HaveMade(const Process& process, long number, long first, long second);

  /// Begins with the launched process, which has not executed its program yet.
  void Seize(pid_t launched, const KnownFiles& known);
  /// Takes what wait(2) says about any process but the parent.
  void OnWait(pid_t pid, int status);
  /// Lets those go on that have been stopped for long enough.
  void OnTime();
  /// Whether somebody is stopped.
  [[nodiscard]] bool WaitsForTime() const { return !stopped_.empty(); }

  /// Null if there is none.
  [[nodiscard]] const Process* Find(const std::string& role) const;
  [[nodiscard]] const Process* FindPath(const std::string& path) const;
  [[nodiscard]] const std::map<pid_t, Process>& processes() const { return processes_; }
  [[nodiscard]] bool AllEnded() const;

  /// When the last fault was made, or nsexec began if there was none.
  [[nodiscard]] Clock::time_point last_fault() const { return last_fault_; }
  [[nodiscard]] Clock::time_point began() const { return began_; }
  /// When anything was last seen to happen.
  [[nodiscard]] Clock::time_point last_event() const { return last_event_; }

 private:
  Process& Add(pid_t pid, const std::string& path);
  /// A second thread of a program, which makes no calls of nsexec's, is let go.
  bool LetThreadGo(pid_t pid);
  void AdoptOrphans();
  void OnBirth(Process& creator, pid_t pid);
  static void Resume(const Process& process, int signal = 0);
  void OnCall(Process& process);
  void OnMark(Process& process, unsigned long what);
  void OnEntry(Process& process, const Call& call);
  [[nodiscard]] const Fault* Due(const Process& process, const std::string& name) const;
  [[nodiscard]] bool IsDue(const Fault& fault, int number, const Process& process,
                           const std::string& name) const;
  void Begin(Process& process, const Fault& fault, const Call& call);
  void OnExit(Process& process);
  void MakeFault(Process& process);
  void Delivered(const Process& process, const Fault& fault);
  void Look(const Process& process, Moment moment);

  const Plan& plan_;
  std::set<pid_t> threads_;  // that are traced still
  const Roles& roles_;
  Observation& seen_;
  std::function<void()> kill_parent_;
  std::function<void(const Process&, Moment)> look_;
  KnownFiles known_;
  std::map<pid_t, Process> processes_;
  std::map<pid_t, Clock::time_point> stopped_;
  std::set<const Fault*> begun_;
  Process faulted_;  // as the process of the last fault was then
  Clock::time_point began_ = Clock::now();
  Clock::time_point last_fault_ = began_;
  Clock::time_point last_event_ = began_;
};

}  // namespace inject
