// SPDX-License-Identifier: Apache-2.0
//
// One case: a scenario, how the parent behaves, and what goes wrong.

#pragma once

#include "scenario.h"

#include <string>
#include <vector>

namespace inject {

/// Written PROCESS:CALL:WHAT, as in "launched:12:EPERM", "init:setsid#1:kill" or "next:2:EIO".
struct Fault {
  enum class Kind {
    kErrno,       // the call fails and is not made
    kSkip,        // it is not made, and succeeds all the same: a defect that is planted
    kShort,       // it transfers one byte
    kKill,        // SIGKILL once it is done
    kStop,        // SIGSTOP while it is made, for kStopMs
    kTerm,        // SIGTERM once it is done
    kParentDies,  // the parent is killed once it is done
  };

  std::string
      process;       // launched, init and so on, see observation.h; next: that of the fault before
  int call = 0;      // the first of nsexec is 1; with "next", the first after the fault before
  std::string name;  // instead: the call-th call of this name
  Kind kind = Kind::kErrno;
  int error = 0;
};

inline constexpr int kStopMs = 100;

enum class LogMode { kRead, kUnread, kFull, kClosed };
enum class ReplyMode { kRead, kUnread, kFull };

struct Plan {
  const Scenario* scenario = nullptr;
  bool wait_first = false;  // wait for the launched process, then read the reply: as runc exec does
  int log_level = 4;
  std::vector<Fault> faults;
  LogMode log = LogMode::kRead;
  ReplyMode reply = ReplyMode::kRead;
  int close_after = -1;  // the parent closes its end after so many bytes of the message
  // Limits, which the program under test gives itself when nsexec begins.
  long nofile = -1;
  long nproc = -1;
  // Limits, from before the program starts.
  long memory = -1;           // bytes, of a memory cgroup
  long pids = -1;             // processes, of a pids cgroup
  long free_pids = -1;        // what is left in the pid namespace
  std::string no_namespaces;  // user.max_TYPE_namespaces is 0
  bool untraced = false;      // run without the injector: for times
  std::string strace;         // run under strace with this -e inject=..., and without the injector
};

/// Its two faults happen in the order in which their processes come to them. One may not happen,
/// since the other has ended the launch.
bool IsInTwoProcesses(const Plan& plan);

/// The options that make `plan`.
std::string ToOptions(const Plan& plan);
/// Takes one option; false if it is none of a plan, or its value makes no sense.
bool TakeOption(const std::string& option, Plan& plan);

}  // namespace inject
