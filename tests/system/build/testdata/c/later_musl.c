// SPDX-License-Identifier: Apache-2.0
//
// clone(3) as musl has it from 1.2.5 on: it refuses what would leave the new process without a
// sound thread. For linking with -Wl,--wrap=clone.

#define _GNU_SOURCE

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/types.h>

int __real_clone(int (*function)(void*), void* stack, int flags, void* argument, ...);
int __wrap_clone(int (*function)(void*), void* stack, int flags, void* argument, ...);

int __wrap_clone(int (*function)(void*), void* stack, int flags, void* argument, ...) {
  if ((flags & (CLONE_THREAD | CLONE_SETTLS | CLONE_CHILD_CLEARTID)) != 0 || stack == NULL) {
    errno = EINVAL;
    return -1;
  }
  va_list more;
  va_start(more, argument);
  pid_t* const parent_tid = va_arg(more, pid_t*);
  void* const tls = va_arg(more, void*);
  pid_t* const child_tid = va_arg(more, pid_t*);
  va_end(more);
  return __real_clone(function, stack, flags, argument, parent_tid, tls, child_tid);
}
