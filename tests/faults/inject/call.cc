// SPDX-License-Identifier: Apache-2.0

#include "call.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <map>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace inject {
namespace {

const std::map<std::uint64_t, const char*>& Names() {
  static const std::map<std::uint64_t, const char*> names = {
#define NAME(call) {SYS_##call, #call}
      NAME(read),
      NAME(write),
      NAME(close),
      NAME(openat),
      NAME(poll),
      NAME(mmap),
      NAME(munmap),
      NAME(rt_sigaction),
      NAME(ioctl),
      NAME(readlink),
      NAME(fcntl),
      NAME(getpid),
      NAME(getppid),
      NAME(gettid),
      NAME(geteuid),
      NAME(getegid),
      NAME(setsid),
      NAME(setresuid),
      NAME(setresgid),
      NAME(setgroups),
      NAME(prctl),
      NAME(unshare),
      NAME(setns),
      NAME(clone),
      NAME(vfork),
      NAME(execve),
      NAME(wait4),
      NAME(exit_group),
      NAME(recvfrom),
      NAME(sendto),
      NAME(pipe2),
      NAME(dup3),
      NAME(close_range),
      NAME(newfstatat),
      NAME(fstat),
      NAME(fstatfs),
      NAME(pidfd_open),
      NAME(get_robust_list),
      NAME(set_robust_list),
      NAME(set_tid_address),
      NAME(sched_getaffinity),
      NAME(prlimit64),
      NAME(ppoll),
      NAME(readlinkat),
      NAME(recvmsg),
      NAME(rt_sigprocmask),
      NAME(rt_sigtimedwait),
      NAME(sigaltstack),
      NAME(brk),
      NAME(mprotect),
      NAME(kill),
      NAME(clone3),
      NAME(getrandom),
      NAME(lseek),
      NAME(open),
      NAME(writev),
      NAME(dup2),
      NAME(exit),
      NAME(waitid),
      NAME(access),
      NAME(uname),
      NAME(pread64),
      NAME(arch_prctl),
      NAME(rseq),
      NAME(fadvise64),
      NAME(socket),
      NAME(connect),
      NAME(getuid),
      NAME(getgid),
      NAME(sendmsg),
      NAME(setuid),
      NAME(setgid),
      NAME(capset),
      NAME(capget),
      NAME(stat),
      NAME(statx),
      NAME(statfs),
      NAME(futex),
      NAME(madvise),
      NAME(rt_sigreturn),
      NAME(sched_setaffinity),
#undef NAME
  };
  return names;
}

std::string TextAt(pid_t pid, std::uint64_t address) {
  char bytes[PATH_MAX];
  std::size_t size = 0;
  // A string may end just before a page that cannot be read.
  while (size < sizeof(bytes)) {
    const std::size_t piece =
        std::min<std::size_t>(sizeof(bytes) - size, 64 - (address + size) % 64);
    iovec local = {bytes + size, piece};
    iovec remote = {reinterpret_cast<void*>(address + size), piece};
    if (process_vm_readv(pid, &local, 1, &remote, 1, 0) != static_cast<ssize_t>(piece)) break;
    if (memchr(bytes + size, '\0', piece) != nullptr) return bytes;
    size += piece;
  }
  return "?";
}

/// Without numbers that differ from run to run.
std::string WithoutPids(const std::string& path) {
  std::string text;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (isdigit(static_cast<unsigned char>(path[i])) != 0 && i > 0 && path[i - 1] == '/') {
      text += "PID";
      while (i + 1 < path.size() && isdigit(static_cast<unsigned char>(path[i + 1])) != 0) ++i;
      continue;
    }
    text += path[i];
  }
  return text;
}

std::string FileName(pid_t pid, std::uint64_t fd, const KnownFiles& known) {
  char link[PATH_MAX] = "";
  const std::string path =
      "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(static_cast<int>(fd));
  const ssize_t size = readlink(path.c_str(), link, sizeof(link) - 1);
  if (size <= 0) return "closed";
  const std::string file = link;
  if (file == known.initpipe) return "initpipe";
  if (file == known.log) return "log";
  if (file == known.output) return "stdout";
  if (file == known.errors) return "stderr";
  if (file == known.console) return "console";
  if (file.rfind("pipe:", 0) == 0) return "channel";
  if (file == "anon_inode:[pidfd]") return "pidfd";
  if (file.rfind("/proc/", 0) == 0) return WithoutPids(file);
  // net:[4026531840]
  return file.substr(0, file.find(":["));
}

std::string Flags(std::uint64_t flags) {
  static const std::pair<std::uint64_t, const char*> names[] = {
      {0x80, "time"},      {0x20000, "mnt"},    {0x2000000, "cgroup"},
      {0x4000000, "uts"},  {0x8000000, "ipc"},  {0x10000000, "user"},
      {0x20000000, "pid"}, {0x40000000, "net"}, {0x10000, "THREAD"},
  };
  std::string text;
  for (const auto& [bit, name] : names) {
    if ((flags & bit) != 0) text += (text.empty() ? "" : " ") + std::string(name);
  }
  return text;
}

std::string OptionName(std::uint64_t option, std::uint64_t value) {
  switch (option) {
    case 3:
      return "PR_GET_DUMPABLE";
    case 4:
      return "PR_SET_DUMPABLE " + std::to_string(value);
    case 15:
      return "PR_SET_NAME";
    case 40:
      return "PR_GET_TID_ADDRESS";
    default:
      return std::to_string(option);
  }
}

}  // namespace

std::string Describe(pid_t pid, const Call& call, const KnownFiles& known) {
  const auto found = Names().find(call.number);
  const std::string name =
      found == Names().end() ? "call " + std::to_string(call.number) : found->second;
  const auto with = [&](const std::string& detail) { return name + "(" + detail + ")"; };
  switch (call.number) {
    case SYS_openat:
    case SYS_newfstatat:
    case SYS_readlinkat:
      return with(WithoutPids(TextAt(pid, call.arguments[1])));
    case SYS_readlink:
    case SYS_execve:
      return with(WithoutPids(TextAt(pid, call.arguments[0])));
    case SYS_read:
    case SYS_write:
    case SYS_recvfrom:
    case SYS_sendto:
    case SYS_close:
    case SYS_fcntl:
    case SYS_fstat:
    case SYS_fstatfs:
    case SYS_setns:
    case SYS_dup3:
    case SYS_ioctl:
      return with(FileName(pid, call.arguments[0], known));
    case SYS_poll: {
      int fd = -1;
      iovec local = {&fd, sizeof(fd)};
      iovec remote = {reinterpret_cast<void*>(call.arguments[0]), sizeof(fd)};
      process_vm_readv(pid, &local, 1, &remote, 1, 0);
      return with(FileName(pid, static_cast<std::uint64_t>(fd), known));
    }
    case SYS_rt_sigaction:
      return with(sigabbrev_np(static_cast<int>(call.arguments[0])) != nullptr
                      ? std::string("SIG") + sigabbrev_np(static_cast<int>(call.arguments[0]))
                      : std::to_string(call.arguments[0]));
    case SYS_clone:
      // Memory is shared, and not only until a program is executed.
      return (call.arguments[0] & (CLONE_VM | CLONE_VFORK)) == CLONE_VM ? with("VM") : name;
    case SYS_unshare:
      return with(Flags(call.arguments[0]));
    case SYS_prctl:
      return with(OptionName(call.arguments[0], call.arguments[1]));
    default:
      return name;
  }
}

std::string DescribeFds(pid_t pid, const KnownFiles& known) {
  std::string text;
  for (std::uint64_t fd = 0; fd < 256; ++fd) {
    const std::string file = FileName(pid, fd, known);
    if (file == "closed") continue;
    text += (text.empty() ? "" : " ") + std::to_string(fd) + "=" + file;
  }
  return text;
}

std::uint64_t TransferSize(const Call& call) {
  switch (call.number) {
    case SYS_read:
    case SYS_write:
    case SYS_recvfrom:
    case SYS_sendto:
      return call.arguments[2];
    default:
      return 0;
  }
}

bool EndsProcess(const Call& call) {
  return call.number == SYS_exit_group || call.number == SYS_exit;
}

bool NeverFails(const std::string& name) {
  static const char* const names[] = {"getpid",  "getppid", "gettid",  "getuid",
                                      "geteuid", "getgid",  "getegid", "set_tid_address"};
  return std::any_of(std::begin(names), std::end(names),
                     [&](const char* one) { return name == one; });
}

int ErrnoOf(const std::string& name) {
  for (int error = 1; error < 134; ++error) {
    if (strerrorname_np(error) != nullptr && name == strerrorname_np(error)) return error;
  }
  return 0;
}

const char* NameOfErrno(int error) { return strerrorname_np(error); }

}  // namespace inject
