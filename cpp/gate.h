// SPDX-License-Identifier: Apache-2.0
//
// How the launched process and the init process wait for each other.

#pragma once

#include "base.h"
#include "error.h"
#include "fd.h"

namespace nsenter {

/// A pipe of one byte: one process waits at it until the other opens it, or is found to have ended.
///
/// The init process waits at one until the launched process has reported it to the parent: without
/// that, a launched process that dies between clone and reply would leave a process that nobody has
/// heard of and that holds the parent's pipes open for ever.
///
/// Made before the clone, so that both have both ends. Each gives up the end it does not use at
/// once: the end of the other would go unnoticed.
class Gate {
 public:
  Gate() = default;

  static Result<Gate> Make();

  // The process that waits.
  void KeepWaitingEnd() { opening_end_.Reset(); }
  /// What the gate was opened with; 0 if the other process has ended without opening it.
  [[nodiscard]] Result<char> Wait() const;

  // The process that is waited for.
  void KeepOpeningEnd() { waiting_end_.Reset(); }
  /// `word` is not 0. It is no error that the other process has ended.
  [[nodiscard]] Status Open(char word) const;

 private:
  UniqueFd waiting_end_;
  UniqueFd opening_end_;
};

}  // namespace nsenter
