// SPDX-License-Identifier: Apache-2.0

#include "thread_state.h"

#include "sys.h"

#include <cerrno>

namespace nsenter {
namespace {

/// True if other code than libc has registered restartable sequences (rseq(2)), as a preloaded
/// allocator may do. The kernel does not tell, but it takes no second area.
bool OthersHaveRestartableSequences() {
  alignas(32) static constinit char area[32] = {};
  const int result = sys::RegisterRestartableSequences(area, sizeof(area), 0);
  if (result == -ENOSYS) return false;
  if (result < 0) return true;
  return sys::UnregisterRestartableSequences(area, sizeof(area), 0) < 0;
}

}  // namespace

ThreadState ThreadState::Find() {
  ThreadState state;
  // Both calls can be missing (CONFIG_CHECKPOINT_RESTORE, or a filter). Without both there is
  // nothing to restore from, and the child goes on as after a plain clone: C code in it works,
  // unless it asks libc for its thread id.
  state.told_address_ = sys::ThreadIdAddress(&state.tid_address_) >= 0;
  if (!state.told_address_) state.tid_address_ = nullptr;
  if (sys::RobustList(&state.robust_list_, &state.robust_list_size_) < 0) {
    state.robust_list_ = nullptr;
  }
  state.cached_id_ =
      machine::FindCachedThreadId(sys::ThreadId(), state.robust_list_, state.tid_address_);
#ifdef __GLIBC__
  // The same place until glibc 2.42, and later one where nobody looks once the thread has ended.
  if (!state.told_address_) state.tid_address_ = state.cached_id_;
#endif
  if (state.tid_address_ != nullptr) state.tid_word_ = *state.tid_address_;
  return state;
}

std::string_view ThreadState::FindWhatSharingLoses() {
  // Otherwise we could not repair the word that the kernel writes there when the launched process
  // ends.
  if (!told_address_) return "the kernel does not tell where it clears the thread id";
  sequences_ = machine::LibcsRestartableSequences();
  if (sequences_.area != nullptr) {
    // A test call: if the kernel says EBUSY, it has exactly this area.
    const int result =
        sys::RegisterRestartableSequences(sequences_.area, sequences_.size, sequences_.signature);
    if (result != -EBUSY) return "the kernel's restartable sequences are not libc's";
  } else if (OthersHaveRestartableSequences()) {
    return "restartable sequences are not libc's";
  }
  if (sys::SetAlternateStack(nullptr, &alternate_stack_) < 0) {
    return "the kernel does not tell the alternate signal stack";
  }
  return {};
}

void ThreadState::RestoreCachedId() const {
  if (cached_id_ != nullptr) *cached_id_ = sys::ThreadId();
}

void ThreadState::RestoreInCopy() const {
  RestoreCachedId();
  // It cannot fail: the values are the kernel's own.
  if (robust_list_ != nullptr) sys::SetRobustList(robust_list_, robust_list_size_);
}

Status ThreadState::RestoreInSharedMemory() const {
  // First, since it may be the place where libc has the id.
  if (tid_address_ != nullptr) *tid_address_ = tid_word_;
  RestoreCachedId();
  if (robust_list_ != nullptr) sys::SetRobustList(robust_list_, robust_list_size_);
#ifndef __GLIBC__
  // musl's clone(3) refuses CLONE_CHILD_CLEARTID from 1.2.5 on.
  if (tid_address_ != nullptr) sys::SetThreadIdAddress(tid_address_);
#endif
  if (sequences_.area != nullptr) {
    RETURN_IF_ERROR(Check(
        sys::RegisterRestartableSequences(sequences_.area, sequences_.size, sequences_.signature),
        "failed to register restartable sequences"));
  }
  if ((alternate_stack_.ss_flags & SS_DISABLE) == 0) {
    RETURN_IF_ERROR(Check(sys::SetAlternateStack(&alternate_stack_, nullptr),
                          "failed to restore the alternate signal stack"));
  }
  return {};
}

}  // namespace nsenter
