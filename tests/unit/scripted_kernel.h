// SPDX-License-Identifier: Apache-2.0
//
// A kernel that says what a test tells it to. Programs that are linked with it have its definitions
// of nsenter::sys and nsenter::machine instead of those in cpp/sys.cc and cpp/machine.cc.

#pragma once

#include "base.h"
#include "sys.h"

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
/// Other lines say what kind of machine it is (nsenter::machine), wherever they stand: "memory is
/// copied" (by a build with NSEXEC_COPY_MEMORY), "there is a sanitizer", "there is a shadow stack",
/// "the code is being loaded" and "libc has restartable sequences".
///
/// A fatal line on standard error is one line too, and so is a line of the log, here on descriptor
/// 4:
///
///     says "FATAL: failed to join"
///     logs 4 debug "-0[42]: joined"
///
/// The answer stands behind the "=": a number, the name of an error or of another constant,
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

  /// What the pointers refer to that the kernel hands out or is given; tid, robust_list and
  /// rseq_area are named so in calls.
  struct Memory {
    int tid = 0;               // where the kernel clears a word
    int* cached_id = nullptr;  // where libc has the thread's id, if that stands there
    int robust_list = 0;
    char rseq_area[64] = {};
    sys::SignalAction old_action;
    // Blocked at first, and named "before" in calls: SIGTERM.
    sys::SignalSet old_mask = {{1UL << (SIGTERM - 1)}};
    stack_t old_stack = {.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
    std::vector<std::unique_ptr<char[]>> mappings;
  };
  [[nodiscard]] Memory& memory() { return memory_; }

  /// What nsenter::machine says.
  struct Machine {
    bool is_built_to_copy = false;
    bool has_sanitizer = false;
    bool has_shadow_stack = false;
    bool is_being_loaded = false;
    bool has_rseq = false;
  };
  [[nodiscard]] const Machine& machine() const { return machine_; }

 private:
  struct Line {
    std::string call;
    std::string answer;
  };
  void AddCall(std::string_view line);
  /// True if a line stands for more than one call.
  bool TakeLogLine(std::string_view line);
  /// True if a line is about the machine.
  bool TakeMachineLine(std::string_view line);

  std::deque<Line> script_;
  Memory memory_;
  Machine machine_;
};

}  // namespace nsenter::test
