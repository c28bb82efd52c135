// SPDX-License-Identifier: Apache-2.0
//
// How our processes wait for each other.

#pragma once

#include "base.h"
#include "error.h"
#include "fd.h"
#include "words.h"

namespace nsenter {

/// The two ends of a channel, by number. Processes that share memory have descriptors of their own
/// under the same numbers, so one that gives up an end there must not tell the object that owns it.
struct ChannelEnds {
  int receiving = -1;
  int sending = -1;
  const char* sender = "";  // for errors: "the helper"
  const char* receiver = "";

  /// Waits for a word. kEnded: every process that had the sending end has closed it, or has ended.
  ///
  /// When a process ends, in any way, it lets go of its memory before the kernel closes its
  /// descriptors (do_exit: exit_mm, then exit_files). The same holds when it executes a program
  /// (exec_mmap, then do_close_on_exec). So kEnded says more where memory is shared: no process
  /// that kept the sending end until its end uses that memory any more, or the stack on which it
  /// stood (docs/decisions/0010-one-memory.md).
  [[nodiscard]] Result<Word> Receive() const;
  /// Waits for kEnded.
  [[nodiscard]] Status AwaitEnd() const;
  /// It is no error if nobody receives any more: the process that ended says why itself.
  [[nodiscard]] Status Send(Word word) const;
  /// True if Receive would say kEnded. Does not wait. False if in doubt.
  [[nodiscard]] bool HasEnded() const;
  void CloseSending() const;
};

/// A pipe on which one process waits for words of another, or for its end.
///
/// Made before the clone, so that both have both ends. The process that receives gives up the
/// sending end before it waits. Otherwise it would wait for itself.
class Channel {
 public:
  Channel() = default;

  /// `sender` and `receiver` are for errors: constants that say who they are.
  static Result<Channel> Make(const char* sender, const char* receiver);

  [[nodiscard]] bool exists() const { return receiving_.valid() || sending_.valid(); }
  [[nodiscard]] ChannelEnds ends() const {
    return {receiving_.get(), sending_.get(), sender_, receiver_};
  }
  void GiveUpSending() { sending_.Reset(); }
  void GiveUpReceiving() { receiving_.Reset(); }
  /// After ends().CloseSending() in a process that has this object to itself by now.
  void ForgetSending() { (void)sending_.Release(); }

  [[nodiscard]] Result<Word> Receive() const { return ends().Receive(); }
  [[nodiscard]] Status Send(Word word) const { return ends().Send(word); }
  [[nodiscard]] bool HasEnded() const { return ends().HasEnded(); }

 private:
  UniqueFd receiving_;
  UniqueFd sending_;
  const char* sender_ = "";
  const char* receiver_ = "";
};

inline constexpr const char* kLaunchedProcess = "the launched process";
inline constexpr const char* kHelperProcess = "the helper";
inline constexpr const char* kInitProcess = "the init process";

}  // namespace nsenter
