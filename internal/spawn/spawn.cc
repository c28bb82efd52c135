// SPDX-License-Identifier: Apache-2.0
//
// The caller's side. Why it is as it is: docs/decisions/0017-programs-that-share-memory.md.

#include "calls.h"
#include "memory.h"
#include "process.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>

namespace nsenter::spawn {
namespace {

std::uint64_t first_file_limit = 0;

/// Before the Go runtime, which raises it for itself and not for the programs that it executes.
[[gnu::constructor]] void RememberFileLimit() {
  Limit64 limit = {};
  if (GetLimit(RLIMIT_NOFILE, &limit) == 0) first_file_limit = limit.soft;
}

bool JoinsPids(const SpawnRequest& request) {
  if ((request.target_flags & CLONE_NEWPID) != 0) return true;
  for (int i = 0; i < request.join_count; ++i) {
    if (request.joins[i].flag == CLONE_NEWPID) return true;
  }
  return false;
}

/// Waits for the end of the pipe. The kernel closes the descriptors of the program's process when
/// the program runs or that process ends, and in both cases after it has let go of this memory
/// (begin_new_exec in fs/exec.c, do_exit in kernel/exit.c). The end of CLONE_VFORK would be before
/// that. False: the caller gives up, and the pipe has not ended.
bool AwaitEnd(const SpawnRequest& request) {
  constexpr int kMilliseconds = 20;
  for (;;) {
    const int result = sys::Poll(request.running_end, POLLIN, kMilliseconds);
    // A poll that fails, because a filter or a limit forbids it, says nothing. The read waits.
    char none = 0;
    if (result > 0 || (result < 0 && sys::Read(request.running_end, &none, 1) == 0)) return true;
    if (__atomic_load_n(&request.gives_up, __ATOMIC_RELAXED) != 0) return false;
  }
}

/// Whether the program runs: if not, that has been said. (A process that was killed has run, and
/// its status says so.) The pidfd stays open: another thread may be about to send a signal to it.
void Settle(const SpawnRequest& request) {
  sys::Close(request.running_end);
  if (request.step != kSpawnDone) ReapProcessOf(request.pidfd);
}

/// The thread's pid namespace for children, which a thread of many may change for itself, unlike
/// its own.
class ChildrensNamespace {
 public:
  /// False after Fail.
  bool Change(SpawnRequest& request) {
    own_ = sys::Open(AT_FDCWD, "/proc/thread-self/ns/pid_for_children", O_RDONLY);
    if (own_ < 0) return Fail(request, kSpawnPrepare, own_);
    return JoinAsAsked(request, CLONE_NEWPID);
  }
  /// Nobody has seen this fail, but for want of memory.
  bool Restore() const {
    int result = 0;
    for (int attempt = 0; attempt < 1000; ++attempt) {
      result = sys::Setns(own_, CLONE_NEWPID);
      if (result != -ENOMEM) break;
    }
    sys::Close(own_);
    return result == 0;
  }
  [[nodiscard]] bool is_changed() const { return own_ >= 0; }

 private:
  int own_ = -1;
};

/// Creates the process. False after Fail.
bool Create(SpawnRequest& request) {
  // With an exit signal, as debuggers want it (cpp/clone.cc), and without CLONE_VFORK: we must not
  // be held up where the process can be.
  const unsigned long creates = static_cast<unsigned>(request.create_flags) & CLONE_NEWPID;
  const unsigned long flags = CLONE_VM | SIGCHLD | creates;
  ChildrensNamespace pids;
  if (JoinsPids(request) && !pids.Change(request)) {
    if (pids.is_changed()) request.is_stranded = pids.Restore() ? 0 : 1;
    return false;
  }
  // Not in the request yet: a clone that fails leaves the number of a descriptor that the kernel
  // has taken back.
  int pidfd = -1;
  const int pid = CloneWithPidfd(flags, RunProgram, &request, request.stack + kSpawnStack, &pidfd);
  if (pids.is_changed()) request.is_stranded = pids.Restore() ? 0 : 1;
  if (pid < 0) return Fail(request, kSpawnClone, pid);
  __atomic_store_n(&request.pidfd, pidfd, __ATOMIC_RELAXED);
  request.pid = pid;
  return true;
}

void Run(SpawnRequest& request) {
  int pipe[2] = {};
  const int result = sys::Pipe(pipe);
  if (result < 0) {
    Fail(request, kSpawnPrepare, result);
    return;
  }
  request.running_end = pipe[0];
  SpawnOf(request).running_end = pipe[1];
  const bool is_created = Create(request);
  sys::Close(pipe[1]);
  if (!is_created) {
    sys::Close(pipe[0]);
  } else if (AwaitEnd(request)) {
    Settle(request);
  } else {
    request.step = kSpawnGivenUp;
  }
}

}  // namespace
}  // namespace nsenter::spawn

void NsenterSpawn(SpawnRequest* request) {
  using namespace nsenter;
  sys::SignalSet& signals = spawn::SpawnOf(*request).signals;
  // All signals: no handler of the caller's may run in a process that is not the caller.
  const int result = sys::SetSignalMask(sys::kAllSignals, &signals);
  if (result < 0) {
    spawn::Fail(*request, kSpawnPrepare, result);
    return;
  }
  spawn::Run(*request);
  sys::SetSignalMask(signals, nullptr);
}

void NsenterSpawnFinish(SpawnRequest* request) {
  using namespace nsenter;
  while (!spawn::AwaitEnd(*request)) {
  }
  request->step = kSpawnDone;
  spawn::Settle(*request);
}

uint64_t NsenterSpawnFirstFileLimit() { return nsenter::spawn::first_file_limit; }

const char* NsenterSpawnReason(int has_race_detector) {
  // A literal, so there is a NUL behind it.
  return nsenter::ReasonToCopyHere(has_race_detector != 0).data();
}
