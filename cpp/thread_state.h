// SPDX-License-Identifier: Apache-2.0
//
// Data that both libc and the kernel keep for the calling thread, and that a clone loses. Without
// it, C code in the clone has a wrong thread id. Then pthread_getattr_np fails, which the Go
// runtime calls at its start (runc issue 4233).

#pragma once

#include "base.h"
#include "error.h"
#include "machine.h"

#include <csignal>
#include <cstddef>
#include <string_view>

namespace nsenter {

/// Found before the clone, restored after it (docs/decisions/0003-clone-and-the-thread-id.md).
class ThreadState {
 public:
  /// Every clone loses these.
  static ThreadState Find();

  /// A clone that shares memory loses more, and the kernel spoils data there when the other process
  /// ends. Empty, or why this could not be restored: then memory has to be copied.
  std::string_view FindWhatSharingLoses();

  /// Where the kernel is to clear a word when the clone's thread ends (CLONE_CHILD_CLEARTID). Null:
  /// nowhere.
  [[nodiscard]] int* tid_address() const { return tid_address_; }

  /// In a clone that has a copy of our memory and was made with tid_address().
  void RestoreInCopy() const;
  /// In a clone that has our memory itself, once we are gone.
  [[nodiscard]] Status RestoreInSharedMemory() const;

 private:
  void RestoreCachedId() const;

  int* cached_id_ = nullptr;    // libc's
  int* tid_address_ = nullptr;  // where the kernel clears a word when this thread ends ...
  int tid_word_ = 0;            // ... and what stands there
  bool told_address_ = false;   // by the kernel
  void* robust_list_ = nullptr;
  std::size_t robust_list_size_ = 0;
  machine::RestartableSequences sequences_;  // as the kernel has them; no area: none
  stack_t alternate_stack_ = {};
};

}  // namespace nsenter
