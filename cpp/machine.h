// SPDX-License-Identifier: Apache-2.0
//
// Facts that depend on the machine, on libc and on the build, and that need no system call. A test
// can bring its own definitions, as for sys.h.

#pragma once

#include "base.h"

#include <cstddef>

namespace nsenter::machine {

/// Built with NSEXEC_COPY_MEMORY.
bool IsBuiltToCopyMemory();

/// True in a program with a sanitizer that keeps track of one stack, or of one process.
bool HasSanitizer();

/// True if the processor checks return addresses against a second stack, which we do not switch.
bool HasShadowStack();

/// libc's cache of the calling thread's id. Null if none of the places where a libc has it holds
/// `thread_id`. The kernel was told `robust_list` and `tid_address` (get_robust_list(2),
/// PR_GET_TID_ADDRESS); they are null where it does not tell.
int* FindCachedThreadId(int thread_id, void* robust_list, int* tid_address);

/// The area in which libc lets the kernel write on which CPU a thread runs (rseq(2)).
struct RestartableSequences {
  void* area = nullptr;  // null: libc has none
  unsigned size = 0;     // bytes, as it is to be registered
  unsigned signature = 0;
};
RestartableSequences LibcsRestartableSequences();

/// True if this code is in a library that the program loads while it runs (dlopen), and libc waits
/// for the calling thread to be done with that.
bool IsBeingLoaded(int thread_id);

}  // namespace nsenter::machine
