// SPDX-License-Identifier: Apache-2.0

// Files, memory and namespaces. Processes and their credentials are in sys_process.cc.

#include "sys.h"

#include "sys_call.h"

#include <cerrno>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

// Newer than the headers this may be compiled with.
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

namespace nsenter::sys {
namespace {

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

int CallWithWords(long number, long a, long b, long c, long d, long e, long f) {
  return Uninterrupted([=] { return syscall(number, a, b, c, d, e, f); });
}

int Open(int directory, const char* path, int flags) {
  return AboveStdio(Call(SYS_openat, directory, path, flags | O_CLOEXEC));
}

// Not made again: Linux has closed the descriptor even when it says EINTR (close(2)), and the
// number may be somebody else's by then.
void Close(int fd) { syscall(SYS_close, Word(fd)); }

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

}  // namespace nsenter::sys
