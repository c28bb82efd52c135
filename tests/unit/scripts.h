// SPDX-License-Identifier: Apache-2.0
//
// Pieces of scripts (scripted_kernel.h) that tests of several files need, so that what a test
// writes out is what is special in it. How a line of the log looks to a byte is in
// log_scripted_test.cc.

#pragma once

#include "bootstrap.h"

#include <sched.h>
#include <string>

namespace nsenter::test {

/// A bootstrap of whole ranges of ids, which take a process outside.
inline Bootstrap WithMaps() {
  Bootstrap bootstrap;
  bootstrap.clone_flags = CLONE_NEWUSER;
  bootstrap.uid_map = ParseIdMap("UIDMAP", "0 1000 10\n").value();
  bootstrap.gid_map = ParseIdMap("GIDMAP", "0 2000 20\n").value();
  return bootstrap;
}

/// /proc/self is opened as `fd`.
inline std::string OpensProc(int fd = 3) {
  const std::string number = std::to_string(fd);
  return "\nopenat(AT_FDCWD, \"/proc/self\", O_PATH|O_DIRECTORY|O_CLOEXEC) = " + number +
         "\nfstatfs(" + number + ") = PROC_SUPER_MAGIC\n";
}

/// A file of /proc/self, which is open as 3, is written by way of 4. A newline in `text` is "\\n".
inline std::string Writes(const std::string& file, const std::string& text) {
  return "\nopenat(3, \"" + file + "\", O_WRONLY|O_CLOEXEC) = 4\nwrite(4, \"" + text +
         "\")\nclose(4)\n";
}

/// The maps of WithMaps are written.
inline std::string WritesMaps() {
  return Writes("uid_map", "0 1000 10\\n") + Writes("gid_map", "0 2000 20\\n");
}

/// A process with a copy of the memory is cloned: `result` is its pid, 0 in itself, or an error.
inline std::string ClonesCopy(const std::string& result,
                              const std::string& flags = "CLONE_PARENT|SIGCHLD") {
  return R"(
    prctl(PR_GET_TID_ADDRESS) = EINVAL
    get_robust_list() = ENOSYS
    gettid() = 42
    clone()" +
         flags + ", NULL) = " + result + "\n";
}

/// The init process is cloned, with the same memory, up to the clone itself.
inline std::string ClonesSharingInit(const std::string& result) {
#ifdef __GLIBC__
  const std::string flags = "CLONE_PARENT|CLONE_VM|CLONE_CHILD_CLEARTID|SIGCHLD";
#else
  const std::string flags = "CLONE_PARENT|CLONE_VM|SIGCHLD";
#endif
  return R"(
    pipe2(O_CLOEXEC) = [5, 6]
    sigprocmask(all)
    uname()
    prctl(PR_GET_TID_ADDRESS)
    get_robust_list() = ENOSYS
    gettid() = 42
    rseq(a pointer, 32, 0, 0) = ENOSYS
    sigaltstack(NULL, old)
    clone()" +
         flags + ", tid, function) = " + result + "\n";
}

/// The init process is cloned, with a copy of the memory, up to the clone itself.
inline std::string ClonesCopiedInit(const std::string& result) {
  return "\npipe2(O_CLOEXEC) = [5, 6]\nsigprocmask(all)\n" + ClonesCopy(result);
}

/// What such an init process does once it has been cloned.
inline constexpr const char* kCopiedInitGoesOn = R"(
    close(6)
    read(5, 1) = "r"
    setsid() = 44
    sigtimedwait(SIGHUP) = EAGAIN
    sigprocmask(before)
    close(5)
)";

/// That there are other threads is believed after five looks.
inline constexpr const char* kSeesThreads = R"(
    unshare(CLONE_THREAD) = EINVAL
    unshare(CLONE_THREAD) = EINVAL
    unshare(CLONE_THREAD) = EINVAL
    unshare(CLONE_THREAD) = EINVAL
    unshare(CLONE_THREAD) = EINVAL
)";

/// Then a working copy goes on, up to which this is. It tells by 31 how it went, and 32 by its end
/// that the launched process is gone.
inline std::string GoesOnInWorkingCopy() {
  return kSeesThreads + std::string(R"(
    pipe2(O_CLOEXEC) = [30, 31]
    pipe2(O_CLOEXEC) = [32, 33]
  )") + ClonesCopy("0") +
         "close(33)\n";
}

}  // namespace nsenter::test
