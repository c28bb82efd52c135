// SPDX-License-Identifier: Apache-2.0
//
// What happened in one case.

#pragma once

#include "plan.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace inject {

/// A call made between nsexec's first and the end of the launch.
struct MadeCall {
  std::string process;
  int index = 0;  // in its process, from 1
  std::string name;
  std::uint64_t transfer = 0;  // bytes it asks for, if it moves any
  bool before_exec = true;     // false: a mapping tool's own
  bool ends_process = false;
  int nth_of_name =
      0;  // in its process since it was executed, of the bare name: what strace counts
};

struct EndedProcess {
  std::string process;
  int status = 0;                         // as wait(2) gives it
  [[nodiscard]] int exit_status() const;  // -1 if a signal ended it
  [[nodiscard]] int signal() const;
};

struct Observation {
  std::vector<MadeCall> calls;
  int delivered = 0;                         // faults
  std::vector<std::string> delivered_names;  // of the calls they hit
  std::vector<Fault> delivered_faults;
  std::vector<EndedProcess> ended;
  std::vector<std::string> fatal;    // texts of fatal lines, without prefix
  std::vector<std::string> tools;    // what mapping tools said
  std::vector<std::string> strange;  // what was written that should not have been
  std::string output;                // standard output of all of them
  std::string reply;
  std::string bad_reply;    // what is wrong with it, empty if it is complete and right
  bool returned = false;    // nsexec did, in the init process
  std::string returned_in;  // the path of that process
  std::string early;        // what came before it should have
  std::string state;        // of the init process then
  bool right_thread_id = true;
  bool alternate_stack = true;    // the init process has the one it had
  bool echoed = false;            // the init process got the parent's document
  std::vector<std::string> left;  // processes, at the deadline
  bool initpipe_ended = false;
  bool log_ended = false;
  int settled_ms = 0;  // from the last fault until nobody was left or the init process returned

  [[nodiscard]] const EndedProcess* Find(const std::string& process) const;
};

/// What the processes of a scenario are called. A process is known by its path: the launched one is
/// "launched", the second that it creates is "launched/2", the first that this one creates is
/// "launched/2/1". Which of them is what is not known before a launch has succeeded.
using Roles = std::map<std::string, std::string>;

/// "init" is the one in which nsexec returned, "copy" its creator if that is not the launched
/// process, "tool" one that executed something, "helper" any other one. A second one of a kind has
/// a 2 behind its name. Renames what is in `normal`.
Roles LearnRoles(Observation& normal);

}  // namespace inject
