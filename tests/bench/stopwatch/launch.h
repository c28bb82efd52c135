// SPDX-License-Identifier: Apache-2.0
//
// One launch, measured. Not nsexec::parent's: what that does between vfork and exec would be
// measured too, and it waits for each process in a way of its own. Nor the injector's, whose parent
// is a process that can be killed (tests/faults/inject/launch.h).

#pragma once

#include "scenario.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <sys/types.h>
#include <vector>

namespace bench {

/// What a program does with its INITPIPE.
enum class Answer {
  kNone,   // reads it to the end
  kLine,   // says that it has started, with an empty line
  kReply,  // follows the protocol
};

struct Contestant {
  const char* label;
  std::vector<std::string> paths;  // the same program in several layouts
  Answer answer;
};

struct Sample {
  std::int64_t reply_ns = 0;  // from before vfork until the reply was read, 0 if there is none
  std::int64_t total_ns = 0;  // from before vfork until all processes were reaped
  int processes = 0;
  // Of all the processes.
  std::int64_t cpu_us = 0;
  long faults = 0;
  long major_faults = 0;
  long voluntary_switches = 0;
  long involuntary_switches = 0;
  long peak_kb = 0;
};

/// A program with the environment of a scenario.
class Program {
 public:
  Program(const Scenario& scenario, const char* path, const pid_t* targets);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  /// Becomes it, in a child.
  [[noreturn]] void Execute() const;

 private:
  const char* path_;
  std::vector<std::string> variables_;
  std::vector<char*> environment_;
};

/// Writes the bootstrap message, if there is one.
void SendMessage(const Scenario& scenario, const pid_t* targets, int pipe);

/// Reads a line, or a part of it if it ends too early.
std::string ReadLine(int fd);

/// Starts `contestant` in one of its layouts and waits until nothing is left of it. With `check` it
/// is also made sure that the outcome is right, which takes time that belongs to nobody.
Sample Launch(const Scenario& scenario, const Contestant& contestant, std::size_t layout,
              const pid_t* targets, bool check);

}  // namespace bench
