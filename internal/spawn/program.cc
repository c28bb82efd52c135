// SPDX-License-Identifier: Apache-2.0

#include "calls.h"
#include "namespaces.h"
#include "process.h"

#include <cerrno>
#include <iterator>
#include <utility>

namespace nsenter::spawn {
namespace {

/// Descriptors that are needed until the program runs, and have no number that it may count on.
struct Kept {
  int running_end;
  int program;
  int root;
  int directory;

  int MoveAbove(int lowest) {
    for (int* fd : {&running_end, &program, &root, &directory}) {
      if (*fd < 0 || *fd >= lowest) continue;
      *fd = DuplicateAbove(*fd, lowest);
      if (*fd < 0) return *fd;
    }
    return 0;
  }

  /// Closes everything from `first` on but these.
  int CloseOthers(unsigned first) const {
    int left[] = {running_end, program, root, directory};
    for (std::size_t i = 1; i < std::size(left); ++i) {
      for (std::size_t j = i; j > 0 && left[j] < left[j - 1]; --j) std::swap(left[j], left[j - 1]);
    }
    for (const int fd : left) {
      if (fd < 0) continue;
      const unsigned kept = static_cast<unsigned>(fd);
      if (kept > first) {
        const int result = CloseRange(first, kept - 1);
        if (result < 0) return result;
      }
      if (kept >= first) first = kept + 1;
    }
    return CloseRange(first, ~0U);
  }
};

/// The process, step by step. Each step is false after Fail.
class Program {
 public:
  explicit Program(SpawnRequest& request)
      : request_(request),
        signals_(SpawnOf(request).signals),
        kept_{SpawnOf(request).running_end, request.program, request.root, request.directory} {}

  /// Returns if the program does not run.
  void Run() {
    // Before anything is looked up in a container, files: whatever it does to hold us up, in its
    // file systems for instance, we then have nothing open of the caller's but what is the
    // program's.
    (void)(EnterNamespaces() && PlaceFiles() && CloseOthers() && ForgetHandlers() &&
           StartSession() && EnterRoot() && SetLimits() && GiveUpPrivileges() && EnterDirectory() &&
           FilterCalls(true) && UnblockSignals() && Execute());
  }

 private:
  bool Check(int result, SpawnStep step, int detail = 0) {
    return result >= 0 || Fail(request_, step, result, detail);
  }

  /// But for the pid namespace, which the caller has chosen for us.
  bool EnterNamespaces() {
    if (!JoinAsAsked(request_, ~CLONE_NEWPID)) return false;
    const int flags = request_.create_flags & ~CLONE_NEWPID;
    return flags == 0 || Check(Unshare(flags), kSpawnCreate, flags);
  }

  bool PlaceFiles() {
    const int count = request_.file_count;
    if (!Check(kept_.MoveAbove(count), kSpawnFile, count)) return false;
    // Those on a number that is given away before they are copied make way.
    for (int number = 0; number < count; ++number) {
      int& fd = request_.files[number];
      if (fd < 0 || fd >= number) continue;
      fd = DuplicateAbove(fd, count);
      if (fd < 0) return Fail(request_, kSpawnFile, fd, number);
    }
    for (int number = 0; number < count; ++number) {
      const int fd = request_.files[number];
      int result = 0;
      if (fd < 0) {
        sys::Close(number);
      } else if (fd == number) {
        result = SetCloseOnExec(fd, false);
      } else {
        result = sys::DuplicateTo(fd, number);
      }
      if (!Check(result, kSpawnFile, number)) return false;
    }
    return true;
  }

  bool CloseOthers() {
    if (kept_.program >= 0) SetCloseOnExec(kept_.program, true);
    return Check(kept_.CloseOthers(static_cast<unsigned>(request_.file_count)), kSpawnClose);
  }

  /// Before signals are unblocked: a handler of the caller's would run here, in the caller's
  /// memory. Signals that are ignored stay so, as when the program would be executed by the caller
  /// itself.
  bool ForgetHandlers() {
    for (int signal = 1; signal < _NSIG; ++signal) {
      sys::SignalAction action;
      if (GetSignalAction(signal, &action) < 0) continue;
      if (action.handler == SIG_DFL || action.handler == SIG_IGN) continue;
      const int result = sys::SetSignalAction(signal, sys::SignalAction(), nullptr);
      if (!Check(result, kSpawnSignals)) return false;
    }
    return true;
  }

  bool StartSession() {
    if (request_.starts_session != 0 && !Check(sys::NewSession(), kSpawnSession)) return false;
    return request_.terminal < 0 ||
           Check(sys::MakeControllingTerminal(request_.terminal), kSpawnTerminal);
  }

  bool EnterRoot() {
    if (kept_.root < 0) return true;
    if (!Check(ChangeDirectoryTo(kept_.root), kSpawnRoot)) return false;
    if (!Check(ChangeRoot("."), kSpawnRoot)) return false;
    sys::Close(kept_.root);
    return true;
  }

  bool SetLimits() {
    if (request_.sets_umask != 0) SetUmask(request_.umask);
    for (int i = 0; i < request_.limit_count; ++i) {
      const SpawnLimit& limit = request_.limits[i];
      const int result = SetLimit(limit.resource, {limit.soft, limit.hard});
      if (!Check(result, kSpawnLimit, limit.resource)) return false;
    }
    return true;
  }

  /// In runc's order (finalizeNamespace in libcontainer/init_linux.go).
  bool GiveUpPrivileges() {
    if (request_.no_new_privileges != 0 &&
        !Check(Control(PR_SET_NO_NEW_PRIVS, 1), kSpawnNoNewPrivileges)) {
      return false;
    }
    if (!FilterCalls(false) || !LimitBounding()) return false;
    // Else the kernel takes the capabilities of whoever stops being root.
    const bool keeps = request_.sets_capabilities != 0 && request_.sets_ids != 0;
    if (keeps && !Check(Control(PR_SET_KEEPCAPS, 1), kSpawnKeep)) return false;
    if (request_.sets_groups != 0 &&
        !Check(SetGroups(request_.group_count, request_.groups), kSpawnGroups)) {
      return false;
    }
    if (request_.sets_ids != 0) {
      if (!Check(sys::SetAllGroupIds(request_.gid), kSpawnGid)) return false;
      if (!Check(sys::SetAllUserIds(request_.uid), kSpawnUid)) return false;
    }
    if (keeps && !Check(Control(PR_SET_KEEPCAPS, 0), kSpawnKeep)) return false;
    return TakeCapabilities() && TakeDeathSignal();
  }

  bool LimitBounding() {
    if (request_.sets_capabilities == 0) return true;
    for (int capability = 0; capability < 64; ++capability) {
      if ((request_.bounding >> static_cast<unsigned>(capability) & 1U) != 0) continue;
      const int result = Control(PR_CAPBSET_DROP, capability);
      if (result == -EINVAL) break;  // there are no more
      if (!Check(result, kSpawnBounding, capability)) return false;
    }
    return true;
  }

  bool TakeCapabilities() {
    if (request_.sets_capabilities == 0) return true;
    if (!Check(SetCapabilities(request_.effective, request_.permitted, request_.inheritable),
               kSpawnCapabilities)) {
      return false;
    }
    int result = Control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (!Check(result, kSpawnAmbient)) return false;
    for (int capability = 0; capability < 64; ++capability) {
      if ((request_.ambient >> static_cast<unsigned>(capability) & 1U) == 0) continue;
      result = Control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
      if (!Check(result, kSpawnAmbient, capability)) return false;
    }
    return true;
  }

  /// After the ids: the kernel forgets it when they change.
  bool TakeDeathSignal() {
    if (request_.death_signal == 0) return true;
    if (!Check(Control(PR_SET_PDEATHSIG, request_.death_signal), kSpawnDeathSignal)) return false;
    // It may have died already. (Pid 1 of a new pid namespace has the parent 0 then, too.)
    if (sys::ParentProcessId() != request_.parent) sys::Exit(1);
    return true;
  }

  /// With the program's ids, as os/exec does.
  bool EnterDirectory() {
    if (kept_.directory >= 0) {
      if (!Check(ChangeDirectoryTo(kept_.directory), kSpawnDirectory)) return false;
      sys::Close(kept_.directory);
    }
    return request_.directory_path == nullptr ||
           Check(ChangeDirectory(request_.directory_path), kSpawnDirectory);
  }

  /// With no_new_privileges as late as can be; without, it takes a capability.
  bool FilterCalls(bool last) {
    if (request_.filter == nullptr || last != (request_.no_new_privileges != 0)) return true;
    return Check(InstallFilter(static_cast<unsigned short>(request_.filter_count), request_.filter),
                 kSpawnFilter);
  }

  bool UnblockSignals() { return Check(sys::SetSignalMask(signals_, nullptr), kSpawnSignals); }

  bool Execute() {
    char* const* argv = request_.arguments;
    char* const* environment = request_.environment;
    if (kept_.program >= 0) {
      return Check(ExecuteOpen(kept_.program, argv, environment), kSpawnExecute);
    }
    int missing = -ENOENT;
    for (int i = 0; request_.candidates[i] != nullptr; ++i) {
      const char* const path = request_.candidates[i];
      const bool is_relative = request_.looks_up != 0 && *path != '/';
      const int result = is_relative ? 0 : sys::Execute(path, argv, environment);
      missing = FindExecutable(path);
      if (missing < 0) continue;
      if (is_relative) return Fail(request_, kSpawnRelative, 0, i);
      return Fail(request_, kSpawnExecute, result, i);
    }
    return Fail(request_, kSpawnLookUp, missing);
  }

  SpawnRequest& request_;
  const sys::SignalSet& signals_;
  Kept kept_;
};

}  // namespace

int RunProgram(void* argument) {
  Program(*static_cast<SpawnRequest*>(argument)).Run();
  sys::Exit(1);
}

}  // namespace nsenter::spawn
