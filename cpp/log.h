// SPDX-License-Identifier: Apache-2.0
//
// The output of our processes: debug lines on LOGPIPE, and the one fatal line of a failure.

#pragma once

#include "base.h"
#include "error.h"
#include "sys.h"

namespace nsenter {

/// The numbers of logrus, in which the parent gives the level.
enum class LogLevel : int { kFatal = 1, kDebug = 5 };

/// Which of our processes this is: the number in a line's prefix. Before the first clone there is
/// only one, and no number.
enum class ProcessTag : int { kOnlyOne = -1, kLaunched = 0, kHelper = 1, kInit = 2 };

/// Lines go to LOGPIPE as JSON if there is one. Without it there are only fatal lines, on standard
/// error. Writing is best effort: a closed pipe changes nothing. A full pipe changes nothing
/// either; otherwise it would stop us for as long as the parent does not read.
class Log {
 public:
  /// Fatal lines on standard error, each beginning with `prefix`.
  explicit constexpr Log(std::string_view prefix) : prefix_(prefix) {}

  /// Sends lines to `fd`, which stays the caller's.
  void SendTo(int fd) { fd_ = fd; }
  /// Says nothing above `level`; 0 drops fatal lines too.
  void SetLevel(int level) { level_ = level; }
  void SetProcess(ProcessTag tag) { tag_ = tag; }
  /// For a process that has just been created. No process waits for it yet.
  void SetNewProcess(ProcessTag tag) {
    tag_ = tag;
    waiting_fd_ = -1;
  }
  /// After a fatal error, also if its line was dropped, sends Word::kFailed to `fd`, the sending
  /// end of a channel on which another process waits for this one; -1: to nobody. By number, since
  /// a log is copied into new processes.
  void TellFailureTo(int fd) { waiting_fd_ = fd; }

  /// False if a debug line would be dropped. Then the caller need not find out its parts.
  [[nodiscard]] bool SaysDebug() const { return fd_ >= 0 && Says(LogLevel::kDebug); }

  /// Puts the pieces together only if the line will be written.
  template <typename... Pieces>
  [[gnu::always_inline]] void Debug(const Pieces&... pieces) const {
    if (SaysDebug()) DebugPieces(Piece(pieces)...);
  }

  /// The text, and strerror's after a colon where a system call failed. Nothing if another process
  /// has reported the error already.
  void Fatal(const Error& error) const;

 private:
  [[nodiscard]] bool Says(LogLevel level) const { return static_cast<int>(level) <= level_; }
  // By value, in registers, and one function for each number of pieces.
  template <std::same_as<Piece>... Pieces>
  [[gnu::noinline]] void DebugPieces(Pieces... pieces) const {
    const Piece list[] = {pieces...};
    SayDebug(list, sizeof...(pieces));
  }
  void SayDebug(const Piece* pieces, std::size_t count) const;
  void SayFatal(const Error& error) const;
  void WriteJson(std::string_view level, std::string_view text, int patience_ms) const;

  std::string_view prefix_;
  int fd_ = -1;
  int level_ = static_cast<int>(LogLevel::kDebug);
  int waiting_fd_ = -1;
  ProcessTag tag_ = ProcessTag::kOnlyOne;
};

}  // namespace nsenter
