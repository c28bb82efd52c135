// SPDX-License-Identifier: Apache-2.0
//
// Creating processes. Why it takes more than clone(2) is decision 0003 (docs/decisions), and why
// memory is shared 0010.

#pragma once

#include "base.h"
#include "error.h"
#include "thread_state.h"

#include <string_view>
#include <sys/types.h>

namespace nsenter {

/// Whose child a process is that we create.
enum class Kinship {
  kSibling,  // our parent's, who reaps it (CLONE_PARENT)
  kChild,    // ours
};

/// A copy of this process. Returns twice, as fork does: the new process's pid as our pid namespace
/// sees it, and 0 in the new process.
///
/// That is a sound C process with one thread, as fork would have left it. What fork does besides
/// (handlers of pthread_atfork, locks of libc that other threads may have) is not done.
///
/// `what` the new process is to be, for the error.
Result<pid_t> CloneCopy(Kinship kinship, std::string_view what);

/// A process that shares our memory: nothing is copied. It runs `function(argument)`, which must
/// not return, on a stack of which there is one: the process has to end, or to leave that stack,
/// before this is called again. Its descriptors, credentials and namespaces are its own. The pid,
/// or an errno, negated: of all that can refuse this (filters, emulators, the kernel where time
/// namespaces differ) none has to be said, since a copy does as well.
///
/// `tid_address` as CLONE_CHILD_CLEARTID takes it, or null.
///
/// libc's variables are shared too, errno among them. So the two must not run at once: what can
/// fail is called only while the other is blocked or gone.
pid_t CloneSharingMemory(Kinship kinship, int (*function)(void*), void* argument, int* tid_address);

}  // namespace nsenter
