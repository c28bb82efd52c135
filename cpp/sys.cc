// SPDX-License-Identifier: Apache-2.0

#include "sys.h"

#include "call_numbers.h"
#include "sys_call.h"

#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

// Newer than the headers this may be compiled with.
#ifndef PR_GET_SHADOW_STACK_STATUS
#define PR_GET_SHADOW_STACK_STATUS 74
#endif

// 32-bit systems have the calls for ids twice; the plain name is the one with 16-bit ids.
#ifdef SYS_setresuid32
#define NSENTER_SYS_GETEUID SYS_geteuid32
#define NSENTER_SYS_GETEGID SYS_getegid32
#define NSENTER_SYS_SETRESUID SYS_setresuid32
#define NSENTER_SYS_SETRESGID SYS_setresgid32
#define NSENTER_SYS_SETGROUPS SYS_setgroups32
#else
#define NSENTER_SYS_GETEUID SYS_geteuid
#define NSENTER_SYS_GETEGID SYS_getegid
#define NSENTER_SYS_SETRESUID SYS_setresuid
#define NSENTER_SYS_SETRESGID SYS_setresgid
#define NSENTER_SYS_SETGROUPS SYS_setgroups
#endif

#ifdef SYS_rt_sigtimedwait
#define NSENTER_SYS_SIGTIMEDWAIT SYS_rt_sigtimedwait
#else  // the newest 32-bit systems
#define NSENTER_SYS_SIGTIMEDWAIT SYS_rt_sigtimedwait_time64
#endif

namespace nsenter::sys {
namespace {

/// For a call that cannot fail: on 32-bit systems the largest ids look like errors.
unsigned Id(long number) { return static_cast<unsigned>(CallOnce(number, 0, 0, 0, 0, 0, 0)); }

/// Moves a descriptor off standard input, output and error. Takes and gives -errno too.
int AboveStdio(int fd) {
  if (fd < 0 || fd > STDERR_FILENO) return fd;
  const int moved = Call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  Close(fd);
  return moved;
}

int PairAboveStdio(int result, int fds[2]) {
  if (result < 0) return result;
  for (int i = 0; i < 2; ++i) {
    fds[i] = AboveStdio(fds[i]);
    if (fds[i] >= 0) continue;
    Close(fds[1 - i]);
    return fds[i];
  }
  return 0;
}

}  // namespace

int Open(int directory, const char* path, int flags) {
  return AboveStdio(Call(SYS_openat, directory, path, flags | O_CLOEXEC));
}

// Not made again: Linux has closed the descriptor even when it says EINTR (close(2)), and the
// number may be somebody else's by then.
void Close(int fd) { CallOnce(SYS_close, fd, 0, 0, 0, 0, 0); }

int Read(int fd, void* buffer, std::size_t size) { return Call(SYS_read, fd, buffer, size); }

int Write(int fd, const void* data, std::size_t size) { return Call(SYS_write, fd, data, size); }

int Peek(int fd, void* buffer, std::size_t size) {
  return Call(SYS_recvfrom, fd, buffer, size, MSG_PEEK, nullptr, nullptr);
}

int Poll(int fd, short events, int timeout_ms) {
  pollfd entry = {fd, events, 0};
  const int result = Uninterrupted([&] { return poll(&entry, 1, timeout_ms); });
  return result <= 0 ? result : entry.revents;
}

int StatusFlags(int fd) { return Call(SYS_fcntl, fd, F_GETFL); }

int DuplicateTo(int from, int to) { return Call(SYS_dup3, from, to, 0); }

int CloseAllFrom(unsigned first) {
  if (Call(SYS_close_range, first, ~0U, 0U) == 0) return 0;
  // Kernels before 5.9, and filters: one by one, up to the most that Linux allows by default.
  constexpr rlim_t kMost = 1U << 20U;
  rlimit limit = {};
  const int result = Uninterrupted([&] { return getrlimit(RLIMIT_NOFILE, &limit); });
  if (result < 0) return result;
  const rlim_t end = limit.rlim_max < kMost ? limit.rlim_max : kMost;
  for (rlim_t fd = first; fd < end; ++fd) Close(static_cast<int>(fd));
  return 0;
}

int Identify(int directory, const char* path, int flags, FileId* ret_id) {
  struct stat status = {};
  const int result = Uninterrupted([&] { return fstatat(directory, path, &status, flags); });
  if (result == 0) *ret_id = {status.st_dev, status.st_ino};
  return result;
}

int IdentifyOpen(int fd, FileId* ret_id) {
  struct stat status = {};
  const int result = Uninterrupted([&] { return fstat(fd, &status); });
  if (result == 0) *ret_id = {status.st_dev, status.st_ino};
  return result;
}

int FileSystemType(int fd, long* ret_type) {
  struct statfs status = {};
#ifdef SYS_fstatfs64  // 32-bit systems, which have two structures
  const int result = Uninterrupted([&] { return fstatfs(fd, &status); });
#else
  const int result = Call(SYS_fstatfs, fd, &status);
#endif
  if (result == 0) *ret_type = static_cast<long>(status.f_type);
  return result;
}

int ReadLink(const char* path, char* buffer, std::size_t size) {
  return Call(SYS_readlinkat, AT_FDCWD, path, buffer, size);
}

int Pipe(int ret_fds[2]) { return PairAboveStdio(Call(SYS_pipe2, ret_fds, O_CLOEXEC), ret_fds); }

int IsTerminal(int fd) {
  // As musl's isatty. TCGETS, which glibc asks with, has another number and structure on powerpc
  // than the kernel's.
  winsize ignored = {};
  return Call(SYS_ioctl, fd, TIOCGWINSZ, &ignored);
}

int MakeControllingTerminal(int fd) { return Call(SYS_ioctl, fd, TIOCSCTTY, 0); }

int Map(std::size_t size, void** ret_address) {
  return Uninterrupted([=] {
    *ret_address = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return *ret_address == MAP_FAILED ? -1 : 0;
  });
}

void Unmap(void* address, std::size_t size) { munmap(address, size); }

int Setns(int fd, int type) { return Call(SYS_setns, fd, type); }

int Unshare(int flags) { return Call(SYS_unshare, flags); }

int NamespaceType(int fd) { return Call(SYS_ioctl, fd, NS_GET_NSTYPE); }

int OpenPidfd(pid_t pid) { return AboveStdio(Call(SYS_pidfd_open, pid, 0U)); }

int Clone(unsigned long flags, int* child_tid) {
  // Architectures disagree on the order of the last two arguments, the child's tid and its TLS
  // (clone(2)). TLS is ignored without CLONE_SETTLS, so the tid's address is given as both.
#if defined(__s390__) || defined(__CRIS__)
  return Call(SYS_clone, nullptr, flags, nullptr, child_tid, child_tid);
#else
  return Call(SYS_clone, flags, nullptr, nullptr, child_tid, child_tid);
#endif
}

int CloneOnStack(unsigned long flags, int (*function)(void*), void* argument, void* stack_end,
                 int* child_tid) {
  return Uninterrupted([=] {
    return clone(function, stack_end, static_cast<int>(flags), argument, nullptr, nullptr,
                 child_tid);
  });
}

int Execute(const char* path, char* const argv[], char* const environment[]) {
  return Call(SYS_execve, path, argv, environment);
}

int Wait(pid_t pid, int* ret_status) { return Call(SYS_wait4, pid, ret_status, 0, nullptr); }

void Exit(int status) {
  for (;;) CallOnce(SYS_exit_group, status, 0, 0, 0, 0, 0);
}

// glibc before 2.25 would answer the first and the last from a cache that a raw clone leaves wrong.
pid_t ProcessId() { return Call(SYS_getpid); }
pid_t ParentProcessId() { return Call(SYS_getppid); }
pid_t ThreadId() { return Call(SYS_gettid); }

int ThreadIdAddress(int** ret_address) {
  // A 64-bit kernel writes 8 bytes, for a 32-bit process too. The other half is zero then, and
  // which one that is depends on the byte order.
  constexpr std::size_t kWords = 8 / sizeof(void*);
  std::uintptr_t words[kWords] = {};
  const int result = Call(SYS_prctl, PR_GET_TID_ADDRESS, words, 0, 0, 0);
  std::uintptr_t address = 0;
  for (const std::uintptr_t word : words) address |= word;
  // NOLINTNEXTLINE(performance-no-int-to-ptr): that is what the kernel tells
  *ret_address = reinterpret_cast<int*>(address);
  return result;
}

int SetThreadIdAddress(int* address) { return Call(SYS_set_tid_address, address); }

int RobustList(void** ret_head, std::size_t* ret_size) {
  return Call(SYS_get_robust_list, 0, ret_head, ret_size);
}

int SetRobustList(void* head, std::size_t size) { return Call(SYS_set_robust_list, head, size); }

int RegisterRestartableSequences(void* area, unsigned size, unsigned signature) {
  return Call(SYS_rseq, area, size, 0, signature);
}

int UnregisterRestartableSequences(void* area, unsigned size, unsigned signature) {
  constexpr int kUnregister = 1;  // RSEQ_FLAG_UNREGISTER
  return Call(SYS_rseq, area, size, kUnregister, signature);
}

int SetAlternateStack(const stack_t* stack, stack_t* ret_old) {
  return Call(SYS_sigaltstack, stack, ret_old);
}

int ShadowStackStatus() {
  unsigned long status = 0;
  const int result = Call(SYS_prctl, PR_GET_SHADOW_STACK_STATUS, &status, 0, 0, 0);
  return result < 0 ? result : static_cast<int>(status & 0xffU);
}

int SystemName(utsname* ret_name) { return Call(SYS_uname, ret_name); }

int Dumpable() { return Call(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0); }

int SetDumpable(bool dumpable) {
  return Call(SYS_prctl, PR_SET_DUMPABLE, dumpable ? 1 : 0, 0, 0, 0);
}

int SetName(const char* name) { return Call(SYS_prctl, PR_SET_NAME, name, 0, 0, 0); }

int NewSession() { return Call(SYS_setsid); }

int Affinity(unsigned long* mask, std::size_t size) {
  return Call(SYS_sched_getaffinity, 0, size, mask);
}

int SetSignalAction(int signal, const SignalAction& action, SignalAction* ret_old) {
  return Call(SYS_rt_sigaction, signal, &action, ret_old, sizeof(SignalSet));
}

int SetSignalMask(const SignalSet& mask, SignalSet* ret_old) {
  return Call(SYS_rt_sigprocmask, SIG_SETMASK, &mask, ret_old, sizeof(mask));
}

int TakeSignal(int signal) {
  constexpr unsigned kBits = sizeof(unsigned long) * 8;
  const unsigned bit = static_cast<unsigned>(signal) - 1;
  SignalSet set = {};
  set.bits[bit / kBits] = 1UL << (bit % kBits);
  const std::uint64_t no_time[2] = {};  // whichever way the kernel counts seconds
  return Call(NSENTER_SYS_SIGTIMEDWAIT, &set, nullptr, no_time, sizeof(set));
}

uid_t EffectiveUserId() { return Id(NSENTER_SYS_GETEUID); }
gid_t EffectiveGroupId() { return Id(NSENTER_SYS_GETEGID); }

int SetAllUserIds(uid_t uid) { return Call(NSENTER_SYS_SETRESUID, uid, uid, uid); }

int SetAllGroupIds(gid_t gid) { return Call(NSENTER_SYS_SETRESGID, gid, gid, gid); }

int DropSupplementaryGroups() { return Call(NSENTER_SYS_SETGROUPS, 0, nullptr); }

}  // namespace nsenter::sys
