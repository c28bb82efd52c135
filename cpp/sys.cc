// SPDX-License-Identifier: Apache-2.0

#include "sys.h"

#include <cerrno>
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
#include <termios.h>
#include <unistd.h>

// Newer than the headers this may be compiled with.
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef PR_GET_TID_ADDRESS
#define PR_GET_TID_ADDRESS 40
#endif

// The calls that change ids are made directly: libc's versions also tell its other threads, of
// which there are none here. 32-bit systems have them twice; the plain name is the one with 16-bit
// ids.
#ifdef SYS_setresuid32
#define NSENTER_SYS_SETRESUID SYS_setresuid32
#define NSENTER_SYS_SETRESGID SYS_setresgid32
#define NSENTER_SYS_SETGROUPS SYS_setgroups32
#else
#define NSENTER_SYS_SETRESUID SYS_setresuid
#define NSENTER_SYS_SETRESGID SYS_setresgid
#define NSENTER_SYS_SETGROUPS SYS_setgroups
#endif

namespace nsenter::sys {
namespace {

/// Makes the call until no signal interrupts it, and turns libc's -1 and errno into one number.
template <typename Call>
int Uninterrupted(Call call) {
  long result = 0;
  do {
    result = call();
  } while (result == -1 && errno == EINTR);
  return result == -1 ? -errno : static_cast<int>(result);
}

/// Moves a descriptor off standard input, output and error. Takes and gives -errno too.
int AboveStdio(int fd) {
  if (fd < 0 || fd > STDERR_FILENO) return fd;
  const int moved = Uninterrupted([=] { return fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1); });
  close(fd);
  return moved;
}

int PairAboveStdio(int result, int fds[2]) {
  if (result < 0) return result;
  for (int i = 0; i < 2; ++i) {
    fds[i] = AboveStdio(fds[i]);
    if (fds[i] >= 0) continue;
    close(fds[1 - i]);
    return fds[i];
  }
  return 0;
}

}  // namespace

int Open(int directory, const char* path, int flags) {
  return AboveStdio(Uninterrupted([=] { return openat(directory, path, flags | O_CLOEXEC); }));
}

// Not made again: Linux has closed the descriptor even when it says EINTR (close(2)), and the
// number may be somebody else's by then.
void Close(int fd) { close(fd); }

int Read(int fd, void* buffer, std::size_t size) {
  return Uninterrupted([=] { return read(fd, buffer, size); });
}

int Write(int fd, const void* data, std::size_t size) {
  return Uninterrupted([=] { return write(fd, data, size); });
}

int Peek(int fd, void* buffer, std::size_t size) {
  return Uninterrupted([=] { return recv(fd, buffer, size, MSG_PEEK); });
}

int Poll(int fd, short events, int timeout_ms) {
  pollfd entry = {fd, events, 0};
  const int result = Uninterrupted([&] { return poll(&entry, 1, timeout_ms); });
  return result <= 0 ? result : entry.revents;
}

int StatusFlags(int fd) {
  return Uninterrupted([=] { return fcntl(fd, F_GETFL); });
}

int DuplicateTo(int from, int to) {
  return Uninterrupted([=] { return dup2(from, to); });
}

int CloseAllFrom(unsigned first) {
  if (Uninterrupted([=] { return syscall(SYS_close_range, first, ~0U, 0U); }) == 0) return 0;
  // Kernels before 5.9, and filters: one by one, up to the most that Linux allows by default.
  constexpr rlim_t kMost = 1U << 20U;
  rlimit limit = {};
  const int result = Uninterrupted([&] { return getrlimit(RLIMIT_NOFILE, &limit); });
  if (result < 0) return result;
  const rlim_t end = limit.rlim_max < kMost ? limit.rlim_max : kMost;
  for (rlim_t fd = first; fd < end; ++fd) close(static_cast<int>(fd));
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
  const int result = Uninterrupted([&] { return fstatfs(fd, &status); });
  if (result == 0) *ret_type = static_cast<long>(status.f_type);
  return result;
}

int ReadLink(const char* path, char* buffer, std::size_t size) {
  return Uninterrupted([=] { return readlink(path, buffer, size); });
}

int Pipe(int ret_fds[2]) {
  return PairAboveStdio(Uninterrupted([=] { return pipe2(ret_fds, O_CLOEXEC); }), ret_fds);
}

int SocketPair(int ret_fds[2]) {
  return PairAboveStdio(
      Uninterrupted([=] { return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_fds); }),
      ret_fds);
}

int IsTerminal(int fd) {
  termios settings = {};
  return Uninterrupted([&] { return ioctl(fd, TCGETS, &settings); });
}

int MakeControllingTerminal(int fd) {
  return Uninterrupted([=] { return ioctl(fd, TIOCSCTTY, 0); });
}

int Map(std::size_t size, void** ret_address) {
  return Uninterrupted([=] {
    *ret_address = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return *ret_address == MAP_FAILED ? -1 : 0;
  });
}

void Unmap(void* address, std::size_t size) { munmap(address, size); }

int Setns(int fd, int type) {
  return Uninterrupted([=] { return setns(fd, type); });
}

int Unshare(int flags) {
  return Uninterrupted([=] { return unshare(flags); });
}

int NamespaceType(int fd) {
  return Uninterrupted([=] { return ioctl(fd, NS_GET_NSTYPE); });
}

int OpenPidfd(pid_t pid) {
  return AboveStdio(Uninterrupted([=] { return syscall(SYS_pidfd_open, pid, 0U); }));
}

int Clone(unsigned long flags, int* child_tid) {
  // Architectures disagree on the order of the last two arguments, the child's tid and its TLS
  // (clone(2)). TLS is ignored without CLONE_SETTLS, so the tid's address is given as both.
  return Uninterrupted([=] {
#if defined(__s390__) || defined(__CRIS__)
    return syscall(SYS_clone, nullptr, flags, nullptr, child_tid, child_tid);
#else
    return syscall(SYS_clone, flags, nullptr, nullptr, child_tid, child_tid);
#endif
  });
}

int RunInVfork(void (*function)(void*), void* argument) {
  pid_t pid = 0;
  do {
    // fork would copy our page tables only for exec to drop the copy.
    pid = vfork();  // NOLINT(clang-analyzer-security.insecureAPI.vfork): as above
  } while (pid == -1 && errno == EINTR);
  if (pid == 0) {
    function(argument);
    _exit(1);
  }
  return pid == -1 ? -errno : pid;
}

int Execute(const char* path, char* const argv[], char* const environment[]) {
  execve(path, argv, environment);
  return -errno;
}

int Wait(pid_t pid, int* ret_status) {
  return Uninterrupted([=] { return waitpid(pid, ret_status, 0); });
}

void Exit(int status) { _exit(status); }

// Not libc's getpid() and gettid(): glibc before 2.25 answers the first from a cache that a raw
// clone leaves wrong, and musl has the second only since 1.2.
pid_t ProcessId() { return static_cast<pid_t>(syscall(SYS_getpid)); }
pid_t ParentProcessId() { return getppid(); }
pid_t ThreadId() { return static_cast<pid_t>(syscall(SYS_gettid)); }

int ThreadIdAddress(int** ret_address) {
  return Uninterrupted([=] { return prctl(PR_GET_TID_ADDRESS, ret_address, 0L, 0L, 0L); });
}

int SetThreadIdAddress(int* address) {
  return Uninterrupted([=] { return syscall(SYS_set_tid_address, address); });
}

int RobustList(void** ret_head, std::size_t* ret_size) {
  return Uninterrupted([=] { return syscall(SYS_get_robust_list, 0, ret_head, ret_size); });
}

int SetRobustList(void* head, std::size_t size) {
  return Uninterrupted([=] { return syscall(SYS_set_robust_list, head, size); });
}

int SetDumpable(bool dumpable) {
  return Uninterrupted([=] { return prctl(PR_SET_DUMPABLE, dumpable ? 1L : 0L, 0L, 0L, 0L); });
}

int SetName(const char* name) {
  return Uninterrupted([=] { return prctl(PR_SET_NAME, name, 0L, 0L, 0L); });
}

int NewSession() {
  return Uninterrupted([] { return setsid(); });
}

int Affinity(unsigned long* mask, std::size_t size) {
  return Uninterrupted([=] { return syscall(SYS_sched_getaffinity, 0, size, mask); });
}

int SetSignalAction(int signal, const struct sigaction* action, struct sigaction* ret_old) {
  return Uninterrupted([=] { return sigaction(signal, action, ret_old); });
}

uid_t EffectiveUserId() { return geteuid(); }
gid_t EffectiveGroupId() { return getegid(); }

int SetAllUserIds(uid_t uid) {
  return Uninterrupted([=] { return syscall(NSENTER_SYS_SETRESUID, uid, uid, uid); });
}

int SetAllGroupIds(gid_t gid) {
  return Uninterrupted([=] { return syscall(NSENTER_SYS_SETRESGID, gid, gid, gid); });
}

int DropSupplementaryGroups() {
  return Uninterrupted([] { return syscall(NSENTER_SYS_SETGROUPS, 0, nullptr); });
}

}  // namespace nsenter::sys
