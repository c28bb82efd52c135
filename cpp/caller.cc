// SPDX-License-Identifier: Apache-2.0

#include "caller.h"

#include "namespaces.h"
#include "sys.h"

#include <cerrno>
#include <sched.h>
#include <sys/auxv.h>

namespace nsenter {

bool IsPrivilegedProgram() { return getauxval(AT_SECURE) != 0; }

Status RefuseThreads() {
  // unshare(2) says whether there are other threads: CLONE_THREAD changes nothing where there are
  // none. Another error (a filter) says nothing about threads, and what needs unshare will find it
  // again.
  if (Unshare(CLONE_THREAD) == -EINVAL) {
    return Error::Of("the process has more than one thread, it cannot change its namespaces");
  }
  return {};
}

Status RefuseParentOutside() {
  if (sys::ParentProcessId() == 0) {
    return Error::Of(
        "the parent of this process is not in its pid namespace, it could not reap the init "
        "process");
  }
  return {};
}

}  // namespace nsenter
