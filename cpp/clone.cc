// SPDX-License-Identifier: Apache-2.0

#include "clone.h"

#include "sys.h"

#include <cerrno>
#include <cstddef>
#include <sched.h>

namespace nsenter {
namespace {

/// Where libc keeps things for this thread that the kernel knows too, and that a clone loses.
struct ThreadState {
  int* cached_tid = nullptr;          // null: not found
  int* kernel_tid_address = nullptr;  // where the kernel reports this thread's end
  void* robust_list = nullptr;
  std::size_t robust_list_size = 0;

  static ThreadState Find();
};

ThreadState ThreadState::Find() {
  ThreadState state;
  // Both calls can be missing (CONFIG_CHECKPOINT_RESTORE, or a filter). Then there is nothing to
  // restore from, and the child goes on as after a plain clone: C code in it works but for what
  // asks libc for its thread id.
  if (sys::ThreadIdAddress(&state.kernel_tid_address) < 0) state.kernel_tid_address = nullptr;
  if (sys::RobustList(&state.robust_list, &state.robust_list_size) < 0) state.robust_list = nullptr;
#ifdef __GLIBC__
  // glibc has the kernel clear its cached thread id when the thread ends.
  int* const candidate = state.kernel_tid_address;
#else
  // musl has the kernel clear a lock instead. Its thread id lies before errno (struct pthread).
  int* const candidate = &errno - 1;
#endif
  // Only what holds our thread id is taken for the place where it is cached.
  if (candidate != nullptr && *candidate == sys::ThreadId()) state.cached_tid = candidate;
  return state;
}

}  // namespace

Result<pid_t> CloneSibling(std::string_view what) {
  const ThreadState state = ThreadState::Find();
  // With CLONE_PARENT the child's exit signal is ours, and one in the flags is ignored.
  unsigned long flags = CLONE_PARENT;
  if (state.cached_tid != nullptr) flags |= CLONE_CHILD_SETTID;
  if (state.cached_tid != nullptr && state.cached_tid == state.kernel_tid_address) {
    flags |= CLONE_CHILD_CLEARTID;
  }
  const pid_t pid = sys::Clone(flags, state.cached_tid);
  if (pid < 0) return Error::WithCode(pid, "failed to create ", what);
  if (pid == 0) {
    // Neither can fail: the values are the kernel's own.
    if (state.robust_list != nullptr) sys::SetRobustList(state.robust_list, state.robust_list_size);
    if (state.kernel_tid_address != state.cached_tid && state.kernel_tid_address != nullptr) {
      sys::SetThreadIdAddress(state.kernel_tid_address);
    }
  }
  return pid;
}

}  // namespace nsenter
