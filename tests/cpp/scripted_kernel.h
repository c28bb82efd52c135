// SPDX-License-Identifier: Apache-2.0
//
// A kernel that says what a test tells it to. Programs that are linked with it have its definitions
// of nsenter::sys instead of those in cpp/sys.cc.

#pragma once

#include "base.h"

#include <csignal>
#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace nsenter::test {

/// Answers system calls as a script says, which has one call a line, in the order in which they are
/// to be made, written as strace would:
///
///     openat(AT_FDCWD, "/proc/self", O_PATH|O_DIRECTORY|O_CLOEXEC) = 3
///     setns(3, CLONE_NEWNET) = EPERM
///     close(3)
///
/// The line "memory is copied" says that no process can share another's.
///
/// What stands behind the "=" is the answer: a number, the name of an error or of another constant,
/// two numbers in brackets, or, in quotes, bytes, among them "\<SIZE:NUMBER>" for a number in this
/// machine's byte order. A line without one succeeds (a write takes everything). Where
/// any error will do it is EPERM, which is 1: a bound that is one off misses it.
///
/// A call that is not the next in the script fails the test, and so does a line that is left over
/// at the end or when the process exits. Exiting really ends the process: that is for RunInChild.
class ScriptedKernel {
 public:
  explicit ScriptedKernel(std::string_view script);
  ScriptedKernel(const ScriptedKernel&) = delete;
  ScriptedKernel& operator=(const ScriptedKernel&) = delete;
  ~ScriptedKernel();

  /// Takes a call from the script and returns its answer. For the definitions of nsenter::sys.
  struct Answer {
    int result = 0;
    bool is_given = false;
    long numbers[2] = {};
    std::string bytes;
  };
  Answer Take(const std::string& call);
  void ExpectNothingLeft();

  /// What the pointers refer to that the kernel hands out or is given; tid and robust_list are
  /// named so in calls.
  struct Memory {
    // As they lie in glibc's thread structure.
    int tid = 0;
    int between[sizeof(void*) == 8 ? 3 : 1] = {};
    int robust_list = 0;
    bool copies = false;
    struct sigaction old_action = {};
    std::vector<std::unique_ptr<char[]>> mappings;
  };
  [[nodiscard]] Memory& memory() { return memory_; }

 private:
  struct Line {
    std::string call;
    std::string answer;
  };
  std::deque<Line> script_;
  Memory memory_;
};

}  // namespace nsenter::test
