// SPDX-License-Identifier: Apache-2.0
//
// System calls that the core (cpp/sys.h) does not make. As there, each returns what the kernel
// does, errors as -errno. None uses the heap or a lock, so they can be made by a process that
// shares the memory of others.

#pragma once

#include "base.h"
#include "sys.h"
#include "sys_call.h"

#include <cstdint>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Newer than the headers this may be compiled with.
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif

namespace nsenter::spawn {

using sys::Call;

/// As sys::CloneOnStack, with CLONE_PIDFD: stores the new process's pidfd before that runs.
inline int CloneWithPidfd(unsigned long flags, int (*function)(void*), void* argument,
                          void* stack_end, int* ret_pidfd) {
  return sys::Uninterrupted([=] {
    return clone(function, stack_end, static_cast<int>(flags | CLONE_PIDFD), argument, ret_pidfd,
                 nullptr, nullptr);
  });
}

inline void ReapProcessOf(int pidfd) {
  constexpr int kPidfd = 3;  // P_PIDFD, Linux 5.4
  Call(SYS_waitid, kPidfd, pidfd, nullptr, WEXITED, nullptr);
}

inline int DuplicateAbove(int fd, int lowest) {
  return Call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, lowest);
}
inline int SetCloseOnExec(int fd, bool closes) {
  return Call(SYS_fcntl, fd, F_SETFD, closes ? FD_CLOEXEC : 0);
}
inline int CloseRange(unsigned first, unsigned last) {
  return Call(SYS_close_range, first, last, 0U);
}

inline int ChangeDirectory(const char* path) { return Call(SYS_chdir, path); }
inline int ChangeDirectoryTo(int fd) { return Call(SYS_fchdir, fd); }
inline int ChangeRoot(const char* path) { return Call(SYS_chroot, path); }
inline void SetUmask(unsigned mask) { Call(SYS_umask, mask); }

/// What the kernel takes for a limit on every machine.
struct Limit64 {
  std::uint64_t soft;
  std::uint64_t hard;
};
inline int SetLimit(int resource, const Limit64& limit) {
  return Call(SYS_prlimit64, 0, resource, &limit, nullptr);
}
inline int GetLimit(int resource, Limit64* ret_limit) {
  return Call(SYS_prlimit64, 0, resource, nullptr, ret_limit);
}

template <typename... Arguments>
int Control(int option, Arguments... arguments) {
  const long words[4] = {sys::Word(arguments)...};
  return Call(SYS_prctl, option, words[0], words[1], words[2], words[3]);
}

inline int SetGroups(int count, const std::uint32_t* groups) {
#ifdef SYS_setgroups32
  return Call(SYS_setgroups32, count, groups);
#else
  return Call(SYS_setgroups, count, groups);
#endif
}

inline int SetCapabilities(std::uint64_t effective, std::uint64_t permitted,
                           std::uint64_t inheritable) {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const __user_cap_data_struct data[2] = {
      {.effective = static_cast<std::uint32_t>(effective),
       .permitted = static_cast<std::uint32_t>(permitted),
       .inheritable = static_cast<std::uint32_t>(inheritable)},
      {.effective = static_cast<std::uint32_t>(effective >> 32U),
       .permitted = static_cast<std::uint32_t>(permitted >> 32U),
       .inheritable = static_cast<std::uint32_t>(inheritable >> 32U)},
  };
  return Call(SYS_capset, &header, data);
}

inline int InstallFilter(unsigned short count, const void* filter) {
  const sock_fprog program = {.len = count,
                              .filter = static_cast<sock_filter*>(const_cast<void*>(filter))};
  return Call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

/// sys::SetSignalAction, only asked.
inline int GetSignalAction(int signal, sys::SignalAction* ret_action) {
  return Call(SYS_rt_sigaction, signal, nullptr, ret_action, sizeof(sys::SignalSet));
}

inline int ExecuteOpen(int fd, char* const argv[], char* const environment[]) {
  return Call(SYS_execveat, fd, "", argv, environment, AT_EMPTY_PATH);
}

/// 0 if `path` is a file that we may execute, as Go's exec.LookPath finds out.
inline int FindExecutable(const char* path) {
  struct stat status = {};
  const int result = sys::Uninterrupted([&] { return stat(path, &status); });
  if (result < 0) return result;
  if (S_ISDIR(status.st_mode)) return -EISDIR;
  return Call(SYS_faccessat, AT_FDCWD, path, X_OK);
}

}  // namespace nsenter::spawn
