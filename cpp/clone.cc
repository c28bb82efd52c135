// SPDX-License-Identifier: Apache-2.0

#include "clone.h"

#include "sys.h"

#include <csignal>
#include <cstddef>
#include <sched.h>

namespace nsenter {
namespace {

// Enough for the helper, which may have to put together the arguments of a mapping tool. Pages that
// are not touched take no memory.
constexpr std::size_t kStackSize = 64UL * 1024;
alignas(16) constinit char stack[kStackSize] = {};

unsigned long FlagsFor(Kinship kinship) {
  // With CLONE_PARENT the exit signal is ours, and the one in the flags is ignored. But a debugger
  // is told of a new process by it: without SIGCHLD there it takes this for a thread
  // (kernel/fork.c: PTRACE_EVENT_CLONE, not PTRACE_EVENT_FORK).
  const unsigned long parent = kinship == Kinship::kSibling ? CLONE_PARENT : 0;
  return parent | SIGCHLD;
}

}  // namespace

Result<pid_t> CloneCopy(Kinship kinship, std::string_view what) {
  const ThreadState state = ThreadState::Find();
  unsigned long flags = FlagsFor(kinship);
  if (state.tid_address() != nullptr) flags |= CLONE_CHILD_CLEARTID;
  const pid_t pid = sys::Clone(flags, state.tid_address());
  if (pid < 0) return Error::WithCode(pid, "failed to create ", what);
  if (pid == 0) state.RestoreInCopy();
  return pid;
}

pid_t CloneSharingMemory(Kinship kinship, int (*function)(void*), void* argument,
                         int* tid_address) {
  unsigned long flags = FlagsFor(kinship) | CLONE_VM;
#ifdef __GLIBC__
  if (tid_address != nullptr) flags |= CLONE_CHILD_CLEARTID;
#endif
  return sys::CloneOnStack(flags, function, argument, stack + kStackSize, tid_address);
}

}  // namespace nsenter
