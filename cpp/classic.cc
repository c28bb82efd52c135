// SPDX-License-Identifier: Apache-2.0

#include "classic.h"

#include "caller.h"
#include "channel.h"
#include "fd.h"
#include "hand_over.h"
#include "init_process.h"
#include "namespace_type.h"
#include "namespaces.h"
#include "own_proc.h"
#include "reply.h"
#include "sys.h"
#include "working_copy.h"

#include <cerrno>
#include <fcntl.h>

namespace nsenter {
namespace {

// In the order in which they are joined. The mount namespace is last, as in 2015; the others that
// exist today did not, or were not joined.
struct Joined {
  const char* name;  // the file's in /proc/PID/ns
  int clone_flag;
};
constexpr Joined kJoined[] = {
    {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}, {"net", CLONE_NEWNET},
    {"pid", CLONE_NEWPID}, {"mnt", CLONE_NEWNS},
};

/// The console, or none if none is asked for.
Result<UniqueFd> OpenConsole(const char* path) {
  if (path == nullptr) return UniqueFd();
  // Without O_NOCTTY a session leader would acquire it here, and the init process could not.
  ASSIGN_OR_RETURN(UniqueFd console,
                   CheckFd(sys::Open(AT_FDCWD, path, O_RDWR | O_NOCTTY | O_CLOEXEC),
                           "failed to open console \"", path, '"'));
  RETURN_IF_ERROR(Check(sys::IsTerminal(console.get()), "failed to use console \"", path, '"'));
  return console;
}

/// Opens the namespace `name` of the process whose /proc/PID/ns is `folder`. None if this kernel
/// has no such namespaces.
Result<UniqueFd> OpenNamespaceOf(pid_t pid, int folder, const char* name) {
  const int file = sys::Open(folder, name, O_RDONLY | O_CLOEXEC);
  if (file != -ENOENT) {
    return CheckFd(file, "failed to open ", name, " namespace of process ", pid);
  }
  // A zombie's entries can be seen but not opened, and a process that has been reaped has no
  // entries. Every kernel has mount namespaces. So another one is truly missing only if the entry
  // for mount namespaces can be seen.
  sys::FileId ignored = {};
  const bool missing = sys::Identify(folder, name, AT_SYMLINK_NOFOLLOW, &ignored) == -ENOENT &&
                       sys::Identify(folder, "mnt", AT_SYMLINK_NOFOLLOW, &ignored) == 0;
  if (missing) return UniqueFd();
  return Error::Of("failed to open ", name, " namespace of process ", pid, ": it has ended");
}

/// One namespace after the other.
Status JoinEachOf(pid_t pid) {
  FixedText<32> path;
  path.AppendAll("/proc/", pid, "/ns");
  ASSIGN_OR_RETURN(const UniqueFd folder,
                   CheckFd(sys::Open(AT_FDCWD, path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC),
                           "failed to open ", path.view()));

  UniqueFd files[std::size(kJoined)];
  for (std::size_t i = 0; i < std::size(kJoined); ++i) {
    ASSIGN_OR_RETURN(files[i], OpenNamespaceOf(pid, folder.get(), kJoined[i].name));
  }
  for (std::size_t i = 0; i < std::size(kJoined); ++i) {
    if (!files[i].valid()) continue;
    RETURN_IF_ERROR(Check(sys::Setns(files[i].get(), kJoined[i].clone_flag), "failed to join ",
                          kJoined[i].name, " namespace of process ", pid));
  }
  return {};
}

Status JoinNamespacesOf(pid_t pid) {
  int all = 0;
  for (const Joined& each : kJoined) all |= each.clone_flag;
  if (JoinProcess(pid, all)) return {};
  // The number means the same process in /proc only if that shows our pid namespace.
  if (!ProcShowsOurPidNamespace()) {
    return Error::Of("failed to find process ", pid, ": /proc does not show our pid namespace");
  }
  return JoinEachOf(pid);
}

/// Init process: takes the console, and lets the launched process know that. It reports a failure
/// before it tells the other. Standard error is replaced last, after every step that can fail.
Status TakeConsoleAndTell(int console, const Channel& verdict, Log& log) {
  Status taken = StartSession();
  if (taken.ok()) taken = TakeConsole(console);
  if (taken.ok()) taken = verdict.Send(Word::kHasConsole);
  if (taken.ok()) return {};
  log.TellFailureTo(verdict.ends().sending);
  log.Fatal(taken.error());
  log.TellFailureTo(-1);  // the log lives longer than the channel
  return Error::AlreadyReported();
}

/// Launched process: waits until the init process has the console.
Status WaitForConsole(Channel& verdict) {
  verdict.GiveUpSending();
  ASSIGN_OR_RETURN(const Word word, verdict.Receive());
  if (word == Word::kFailed) return Error::AlreadyReported();
  if (word != Word::kHasConsole) {
    return Error::Of("the init process ended before it had the console");
  }
  return {};
}

}  // namespace

Status ServeClassic(const Environment& environment, WorkingCopy& copy, Log& log) {
  ASSIGN_OR_RETURN(const pid_t pid, ParseNumber("_LIBCONTAINER_INITPID", environment.init_pid));
  if (pid == 0) return Error::Of("invalid _LIBCONTAINER_INITPID \"0\": not a process");
  ASSIGN_OR_RETURN(const int pipe,
                   ParseOpenFd("_LIBCONTAINER_INITPIPE", environment.init_pipe, O_WRONLY));
  RETURN_IF_ERROR(RefuseCaller());
  RETURN_IF_ERROR(copy.MakeIfThreads(log));
  // Before anything is joined: the path is the caller's.
  ASSIGN_OR_RETURN(const UniqueFd console, OpenConsole(environment.console_path));
  RETURN_IF_ERROR(JoinNamespacesOf(pid));

  Channel verdict;
  if (console.valid()) {
    ASSIGN_OR_RETURN(verdict, Channel::Make(kInitProcess, kLaunchedProcess));
  }
  const auto prepare = [&] { return TakeConsoleAndTell(console.get(), verdict, log); };
  const auto report = [&](pid_t init) -> Status {
    if (console.valid()) RETURN_IF_ERROR(WaitForConsole(verdict));
    RETURN_IF_ERROR(copy.RequireLaunchedProcess());
    return WriteClassicReply(pipe, init);
  };
  const auto leave = [&] { return copy.Finish(); };
  HandOver hand_over = {
      .init = {.takes_console = console.valid()}, .report = report, .leave = leave, .prepare = {}};
  if (console.valid()) hand_over.prepare = prepare;
  return BecomeInitProcess(hand_over, log);
}

}  // namespace nsenter
