// SPDX-License-Identifier: Apache-2.0

#include "clone.h"

#include "sys.h"

#include <cerrno>
#include <sched.h>

namespace nsenter {
namespace {

// Enough for the helper, which may have to put together the arguments of a mapping tool. Pages that
// are not touched take no memory.
constexpr std::size_t kStackSize = 64UL * 1024;
alignas(16) constinit char stack[kStackSize] = {};

}  // namespace

ThreadState ThreadState::Find() {
  ThreadState state;
  // Both calls can be missing (CONFIG_CHECKPOINT_RESTORE, or a filter). Without both there is
  // nothing to restore from, and the child goes on as after a plain clone: C code in it works but
  // for what asks libc for its thread id.
  if (sys::ThreadIdAddress(&state.kernel_tid_address_) < 0) state.kernel_tid_address_ = nullptr;
  if (sys::RobustList(&state.robust_list_, &state.robust_list_size_) < 0) {
    state.robust_list_ = nullptr;
  }
#ifdef __GLIBC__
  // glibc has the kernel clear its cached thread id when the thread ends. Where the kernel does not
  // tell that address, the list does, which lies behind it: an unused int and, on 64-bit systems, a
  // pointer are in between (struct pthread in nptl/descr.h, since 2.4).
  constexpr std::ptrdiff_t kIntsFromIdToList = sizeof(void*) == 8 ? 4 : 2;
  int* candidate = state.kernel_tid_address_;
  if (candidate == nullptr && state.robust_list_ != nullptr) {
    candidate = static_cast<int*>(state.robust_list_) - kIntsFromIdToList;
  }
#else
  // musl has the kernel clear a lock instead. Its thread id lies before errno (struct pthread).
  int* const candidate = &errno - 1;
#endif
  // Only what holds our thread id is taken for the place where it is cached.
  if (candidate == nullptr || *candidate != sys::ThreadId()) return state;
  state.cached_tid_ = candidate;
#ifdef __GLIBC__
  state.kernel_tid_address_ = candidate;  // if it was not told
#endif
  return state;
}

void ThreadState::RestoreInCopy() const {
  // Neither can fail: the values are the kernel's own.
  if (robust_list_ != nullptr) sys::SetRobustList(robust_list_, robust_list_size_);
  if (!ClearsCachedTid() && kernel_tid_address_ != nullptr) {
    sys::SetThreadIdAddress(kernel_tid_address_);
  }
}

Status ThreadState::RestoreInSharedMemory() const {
  if (robust_list_ != nullptr) sys::SetRobustList(robust_list_, robust_list_size_);
  if (kernel_tid_address_ != nullptr) {
    const int result = sys::SetThreadIdAddress(kernel_tid_address_);
    if (result < 0) return Error::WithCode(result, "failed to set the address of the thread id");
  }
  // A copy inherits them, a process that shares memory does not (rseq(2)).
  const int result = sys::RestoreRestartableSequences();
  if (result < 0) return Error::WithCode(result, "failed to register restartable sequences");
  return {};
}

Result<pid_t> CloneSibling(std::string_view what) {
  const ThreadState state = ThreadState::Find();
  // With CLONE_PARENT the child's exit signal is ours, and one in the flags is ignored.
  unsigned long flags = CLONE_PARENT;
  if (state.cached_tid() != nullptr) flags |= CLONE_CHILD_SETTID;
  if (state.ClearsCachedTid()) flags |= CLONE_CHILD_CLEARTID;
  const pid_t pid = sys::Clone(flags, state.cached_tid());
  if (pid < 0) return Error::WithCode(pid, "failed to create ", what);
  if (pid == 0) state.RestoreInCopy();
  return pid;
}

Result<pid_t> CloneSharingMemory(int (*function)(void*), void* argument, ThreadIdWord word,
                                 std::string_view what) {
  unsigned long flags = CLONE_PARENT | CLONE_VM;
  if (word.address != nullptr) flags |= word.when;
  const pid_t pid = sys::CloneOnStack(flags, function, argument, stack + kStackSize, word.address);
  if (pid < 0) return Error::WithCode(pid, "failed to create ", what);
  return pid;
}

}  // namespace nsenter
