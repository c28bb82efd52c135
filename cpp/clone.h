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

/// The parent of a process that we create.
enum class Kinship {
  kSibling,  // our parent's, who reaps it (CLONE_PARENT)
  kChild,    // ours
};

/// A copy of this process. Returns twice, as fork does: in this process the new process's pid as
/// our pid namespace sees it, and 0 in the new process.
///
/// The new process is a sound C process with one thread, as after fork. But unlike fork, this runs
/// no handlers of pthread_atfork, and repairs no locks of libc that other threads may hold.
///
/// `what` names the new process in the error.
Result<pid_t> CloneCopy(Kinship kinship, std::string_view what);

/// A process that shares our memory: nothing is copied. It runs `function(argument)`, which must
/// not return. There is only one stack for it. The process has to end, or to leave that stack,
/// before this is called again. Its descriptors, credentials and namespaces are its own. Returns
/// the pid, or an errno, negated. Filters, emulators, and the kernel where time namespaces differ,
/// can refuse this. The caller reports none of these errors, since a copy does as well.
///
/// `tid_address` as CLONE_CHILD_CLEARTID takes it, or null.
///
/// libc's variables are shared too, errno among them. So the two must not run at once: a process
/// makes calls that can fail only while the other is blocked or gone.
pid_t CloneSharingMemory(Kinship kinship, int (*function)(void*), void* argument, int* tid_address);

}  // namespace nsenter
