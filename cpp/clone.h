// SPDX-License-Identifier: Apache-2.0
//
// Creating processes beside the launched one. Why it takes more than clone(2) is decision 0003
// (docs/decisions), and why memory is shared 0010.

#pragma once

#include "base.h"
#include "error.h"

#include <cstddef>
#include <string_view>
#include <sys/types.h>

namespace nsenter {

/// What libc and the kernel both keep for the calling thread, and what a clone loses. Without it, C
/// code in the clone has a wrong thread id, and pthread_getattr_np fails, which the Go runtime
/// calls at its start (runc issue 4233).
class ThreadState {
 public:
  static ThreadState Find();

  /// Where libc caches the thread id, for CLONE_CHILD_SETTID. Null: not found.
  [[nodiscard]] int* cached_tid() const { return cached_tid_; }
  /// True if the kernel clears that same place when the thread ends (CLONE_CHILD_CLEARTID).
  [[nodiscard]] bool ClearsCachedTid() const {
    return cached_tid_ != nullptr && cached_tid_ == kernel_tid_address_;
  }

  /// In a clone that has a copy of our memory.
  void RestoreInCopy() const;
  /// In a clone that has our memory itself, once we are gone.
  [[nodiscard]] Status RestoreInSharedMemory() const;

 private:
  int* cached_tid_ = nullptr;
  int* kernel_tid_address_ = nullptr;  // where the kernel reports this thread's end
  void* robust_list_ = nullptr;
  std::size_t robust_list_size_ = 0;
};

/// A copy of this process whose parent is our parent (CLONE_PARENT), who reaps it. Returns twice,
/// as fork does: the child's pid as our pid namespace sees it, and 0 in the child.
///
/// The child is a sound C process, as fork would have left it. What fork does besides (handlers of
/// pthread_atfork) is not done: there is no thread but this one and no lock that could be held.
///
/// `what` the child is to be, for the error.
Result<pid_t> CloneSibling(std::string_view what);

/// Where the kernel writes for a process that is cloned.
struct ThreadIdWord {
  /// CLONE_CHILD_SETTID: its thread id, as soon as it runs. CLONE_CHILD_CLEARTID: 0 when it ends,
  /// and whoever waits there (futex(2)) is woken.
  unsigned long when = 0;
  int* address = nullptr;  // null: nowhere
};

/// A process whose parent is our parent too, but which shares our memory: nothing is copied. For
/// where sys::CanShareMemory. It runs `function(argument)`, which must not return, on a stack of
/// which there is one: the process has to end, or to leave that stack, before this is called again.
/// Its descriptors, credentials and namespaces are its own.
///
/// libc's variables are shared too, errno among them. So the two must not run at once: what can
/// fail is called only while the other is blocked or gone.
Result<pid_t> CloneSharingMemory(int (*function)(void*), void* argument, ThreadIdWord word,
                                 std::string_view what);

}  // namespace nsenter
