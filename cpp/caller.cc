// SPDX-License-Identifier: Apache-2.0

#include "caller.h"

#include "machine.h"
#include "namespaces.h"
#include "sys.h"

#include <cerrno>
#include <sched.h>
#include <sys/auxv.h>

namespace nsenter {

bool IsPrivilegedProgram() { return getauxval(AT_SECURE) != 0; }

Error ExplainPrivileges() {
  const bool ids_differ =
      getauxval(AT_UID) != getauxval(AT_EUID) || getauxval(AT_GID) != getauxval(AT_EGID);
  return Error::Of(
      "refused: the program runs with privileges that its caller does not have: ",
      ids_differ ? "real and effective ids differ" : "the program has capabilities of its own");
}

Status RefuseCaller() {
  if (machine::IsBeingLoaded(sys::ThreadId())) {
    return Error::Of(
        "refused: a running program loads this code as a library (dlopen), and libc would wait for "
        "ever for the thread that does so");
  }
  if (sys::ParentProcessId() == 0) {
    return Error::Of(
        "the parent of this process is not in its pid namespace, it could not reap the init "
        "process");
  }
  return {};
}

bool HasThreads() {
  // unshare(2) says whether there are other threads: CLONE_THREAD changes nothing where there are
  // none. Another error (a filter) says nothing about threads, and what needs unshare will find it
  // again.
  return Unshare(CLONE_THREAD) == -EINVAL;
}

}  // namespace nsenter
