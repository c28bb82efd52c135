// SPDX-License-Identifier: Apache-2.0

#include "namespaces.h"

#include "fd.h"
#include "own_proc.h"
#include "sys.h"

#include <cerrno>
#include <climits>
#include <cstring>
#include <fcntl.h>
#include <linux/magic.h>

namespace nsenter {
namespace {

using PathText = FixedText<PATH_MAX>;
using NameList = FixedText<kErrorTextSize>;

/// A namespace that is open and waits to be joined.
struct OpenNamespace {
  NamespacePath what;
  bool own = false;  // a user namespace that we are in already
  UniqueFd fd;       // closed once it is joined
};

// Not inlined, nor is NothingLeft: their page of stack is not needed if all are joined at once.
[[gnu::noinline]] Result<UniqueFd> OpenNamespaceFile(const NamespacePath& what) {
  PathText path;
  path.Append(what.path);
  // O_NONBLOCK and O_NOCTTY: whatever lies at the path, opening it must neither wait (a fifo) nor
  // give us a controlling terminal. That it is a namespace is found when it is joined.
  return CheckFd(sys::Open(AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY),
                 "failed to open ", what.type.name, " namespace ", what.path);
}

/// Explains a case in which setns(2) only says "invalid argument".
Error ExplainJoinFailure(int code, const NamespacePath& what, int fd) {
  const auto explained = [&](const auto&... pieces) {
    return Error::Of("failed to join ", what.type.name, " namespace ", what.path, ": ", pieces...);
  };
  if (code == -EINVAL) {
    long file_system = 0;
    if (sys::FileSystemType(fd, &file_system) == 0 && file_system != NSFS_MAGIC) {
      return explained("it is no namespace");
    }
    const int type = sys::NamespaceType(fd);
    for (const NamespaceType& other : kNamespaceTypes) {
      if (other.clone_flag == type && type != what.type.clone_flag) {
        return explained("it is a ", other.name, " namespace");
      }
    }
  }
  return Error::WithCode(code, "failed to join ", what.type.name, " namespace ", what.path);
}

/// True if `id` is the user namespace that we are in. Call it before anything is joined: afterwards
/// /proc may belong to somebody else, who may give any answer.
Result<bool> IsOwnUserNamespace(const sys::FileId& id) {
  sys::FileId own = {};
  RETURN_IF_ERROR(Check(sys::Identify(AT_FDCWD, "/proc/self/ns/user", 0, &own),
                        "failed to look at /proc/self/ns/user"));
  return own.device == id.device && own.inode == id.inode;
}

Result<bool> IsOwnUserNamespace(int fd) {
  sys::FileId id = {};
  RETURN_IF_ERROR(
      Check(sys::IdentifyOpen(fd, &id), "failed to look at the user namespace to join"));
  return IsOwnUserNamespace(id);
}

/// The namespaces of one bootstrap message, joined in passes.
class Passes {
 public:
  Status OpenAll(const Bootstrap& bootstrap) {
    for (std::size_t i = 0; i < bootstrap.join_count; ++i) {
      namespaces_[count_].what = bootstrap.joins[i];
      ASSIGN_OR_RETURN(namespaces_[count_].fd, OpenNamespaceFile(bootstrap.joins[i]));
      if (bootstrap.joins[i].type.clone_flag == CLONE_NEWUSER) {
        ASSIGN_OR_RETURN(namespaces_[count_].own, IsOwnUserNamespace(namespaces_[count_].fd.get()));
      }
      ++count_;
    }
    return {};
  }

  /// Joins all namespaces that are not joined yet, without the user namespace. If the kernel says
  /// EPERM, the namespace stays.
  Status JoinWhatIsAllowed(const Log& log) {
    for (std::size_t i = 0; i < count_; ++i) {
      OpenNamespace& candidate = namespaces_[i];
      if (!candidate.fd.valid() || candidate.what.type.clone_flag == CLONE_NEWUSER) continue;
      const int result = sys::Setns(candidate.fd.get(), candidate.what.type.clone_flag);
      if (result == -EPERM) continue;
      if (result < 0) return ExplainJoinFailure(result, candidate.what, candidate.fd.get());
      log.Debug("joined ", candidate.what.type.name, " namespace ", candidate.what.path);
      candidate.fd.Reset();
    }
    return {};
  }

  Status JoinUser(const Log& log) {
    for (std::size_t i = 0; i < count_; ++i) {
      OpenNamespace& candidate = namespaces_[i];
      if (candidate.what.type.clone_flag != CLONE_NEWUSER) continue;
      if (!candidate.own) {
        const int result = sys::Setns(candidate.fd.get(), CLONE_NEWUSER);
        if (result < 0) return ExplainJoinFailure(result, candidate.what, candidate.fd.get());
      }
      log.Debug(candidate.own ? "already in user namespace " : "joined user namespace ",
                candidate.what.path);
      candidate.fd.Reset();
      RETURN_IF_ERROR(BecomeUidZero());
    }
    return {};
  }

  [[nodiscard, gnu::noinline]] Status NothingLeft() const {
    NameList names;
    for (std::size_t i = 0; i < count_; ++i) {
      if (!namespaces_[i].fd.valid()) continue;
      if (names.size() != 0) names.Append(", ");
      names.AppendAll(namespaces_[i].what.type.name, " namespace ", namespaces_[i].what.path);
    }
    if (names.size() == 0) return {};
    return Error::WithCode(EPERM, "failed to join ", names.view());
  }

 private:
  OpenNamespace namespaces_[kNamespaceTypeCount];
  std::size_t count_ = 0;
};

/// N if `path` is exactly /proc/N/ns/`name`, else 0.
pid_t ProcessOf(const NamespacePath& what) {
  constexpr std::string_view kProc = "/proc/";
  if (!StartsWith(what.path, kProc)) return 0;
  const std::string_view rest = From(what.path, kProc.size());
  pid_t pid = 0;
  std::size_t digits = 0;
  // Nine digits are more than any pid has (PID_MAX_LIMIT is 2^22).
  while (digits < rest.size() && digits < 9 && rest[digits] >= '0' && rest[digits] <= '9') {
    pid = pid * 10 + (rest[digits++] - '0');
  }
  FixedText<32> canonical;  // the longest has 25 bytes
  canonical.AppendAll(kProc, pid, "/ns/", what.type.name);
  return Equal(canonical.view(), what.path) ? pid : 0;
}

/// The one process to which all namespaces of `bootstrap.joins` belong, 0 if they belong to
/// several.
pid_t OnlyProcessOf(const Bootstrap& bootstrap) {
  const pid_t pid = ProcessOf(bootstrap.joins[0]);
  for (std::size_t i = 1; i < bootstrap.join_count; ++i) {
    if (ProcessOf(bootstrap.joins[i]) != pid) return 0;
  }
  return pid;
}

/// True if the user namespace of the process `pid` is one that we can join: not our own, which the
/// kernel refuses. False if in doubt.
bool IsForeignUserNamespace(pid_t pid) {
  FixedText<32> path;
  path.AppendAll("/proc/", pid, "/ns/user");
  sys::FileId id = {};
  if (sys::Identify(AT_FDCWD, path.c_str(), 0, &id) < 0) return false;
  const Result<bool> own = IsOwnUserNamespace(id);
  return own.ok() && !own.value();
}

/// Tries to join everything with one call. False: nothing has changed, and the passes find out why.
bool JoinAllAtOnce(const Bootstrap& bootstrap, const Log& log) {
  // With a single namespace there is nothing to gain.
  if (bootstrap.join_count < 2) return false;
  const pid_t pid = OnlyProcessOf(bootstrap);
  if (pid == 0 || !ProcShowsOurPidNamespace()) return false;
  if (bootstrap.Joins(CLONE_NEWUSER) && !IsForeignUserNamespace(pid)) return false;
  int flags = 0;
  for (std::size_t i = 0; i < bootstrap.join_count; ++i) {
    flags |= bootstrap.joins[i].type.clone_flag;
  }
  if (!JoinProcess(pid, flags)) return false;
  log.Debug("joined ", bootstrap.join_count, " namespaces of process ", pid, " at once");
  return true;
}

}  // namespace

Status JoinNamespaces(const Bootstrap& bootstrap, const Log& log) {
  if (bootstrap.join_count == 0) return {};
  if (JoinAllAtOnce(bootstrap, log)) {
    return bootstrap.Joins(CLONE_NEWUSER) ? BecomeUidZero() : Status();
  }
  Passes passes;
  RETURN_IF_ERROR(passes.OpenAll(bootstrap));
  RETURN_IF_ERROR(passes.JoinWhatIsAllowed(log));
  RETURN_IF_ERROR(passes.JoinUser(log));
  RETURN_IF_ERROR(passes.JoinWhatIsAllowed(log));
  return passes.NothingLeft();
}

bool JoinProcess(pid_t pid, int flags) {
  const int fd = sys::OpenPidfd(pid);
  if (fd < 0) return false;
  const UniqueFd pidfd(fd);
  return sys::Setns(pidfd.get(), flags) == 0;
}

int Unshare(int flags) {
  // Kernels before 4.3 say EINVAL when somebody happens to read our /proc files meanwhile, which
  // shares our memory with them for a moment.
  constexpr int kAttempts = 5;
  int result = -EINVAL;
  for (int attempt = 0; attempt < kAttempts && result == -EINVAL; ++attempt) {
    result = sys::Unshare(flags);
  }
  return result;
}

Status CreateNamespaces(int flags) {
  if (flags == 0) return {};
  const int result = Unshare(flags);
  if (result == 0) return {};
  NameList names;
  for (const NamespaceType& type : kNamespaceTypes) {
    if ((flags & type.clone_flag) != 0) names.AppendAll(' ', type.name);
  }
  return Error::WithCode(result, "failed to create namespaces:", names.view());
}

Status BecomeUidZero() {
  RETURN_IF_ERROR(Check(sys::SetAllUserIds(0), "failed to become uid 0"));
  return {};
}

}  // namespace nsenter
