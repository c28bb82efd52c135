// SPDX-License-Identifier: Apache-2.0

#include "classic.h"

#include "fd.h"
#include "gate.h"
#include "hand_over.h"
#include "init_process.h"
#include "namespace_type.h"
#include "namespaces.h"
#include "own_proc.h"
#include "reply.h"
#include "sys.h"

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

constexpr char kHasConsole = 'c';  // init process: the console is mine
constexpr char kFailed = 'f';      // init process: it is not, and I say why

/// The console, or none if none is asked for.
Result<UniqueFd> OpenConsole(const char* path) {
  if (path == nullptr) return UniqueFd();
  // Without O_NOCTTY a session leader would acquire it here, and the init process could not.
  UniqueFd console(sys::Open(AT_FDCWD, path, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!console.valid())
    return Error::WithCode(console.get(), "failed to open console \"", path, '"');
  const int result = sys::IsTerminal(console.get());
  if (result < 0) return Error::WithCode(result, "failed to use console \"", path, '"');
  return console;
}

/// Opens the namespace `name` of the process whose /proc/PID/ns is `folder`. None if this kernel
/// has no such namespaces.
Result<UniqueFd> OpenNamespaceOf(pid_t pid, int folder, const char* name) {
  UniqueFd file(sys::Open(folder, name, O_RDONLY | O_CLOEXEC));
  if (file.valid()) return file;
  if (file.get() == -ENOENT) {
    // A zombie's entries can be seen but not opened, and a process that has been reaped has none,
    // while mount namespaces are in every kernel: only if that entry can be seen is the other one
    // truly missing.
    sys::FileId ignored = {};
    const bool missing = sys::Identify(folder, name, AT_SYMLINK_NOFOLLOW, &ignored) == -ENOENT &&
                         sys::Identify(folder, "mnt", AT_SYMLINK_NOFOLLOW, &ignored) == 0;
    if (missing) return UniqueFd();
    return Error::Of("failed to open ", name, " namespace of process ", pid, ": it has ended");
  }
  return Error::WithCode(file.get(), "failed to open ", name, " namespace of process ", pid);
}

/// One namespace after the other.
Status JoinEachOf(pid_t pid) {
  FixedText<32> path;
  path.AppendAll("/proc/", pid, "/ns");
  const UniqueFd folder(sys::Open(AT_FDCWD, path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return Error::WithCode(folder.get(), "failed to open ", path.view());

  UniqueFd files[std::size(kJoined)];
  for (std::size_t i = 0; i < std::size(kJoined); ++i) {
    ASSIGN_OR_RETURN(files[i], OpenNamespaceOf(pid, folder.get(), kJoined[i].name));
  }
  for (std::size_t i = 0; i < std::size(kJoined); ++i) {
    if (!files[i].valid()) continue;
    const int result = sys::Setns(files[i].get(), kJoined[i].clone_flag);
    if (result < 0) {
      return Error::WithCode(result, "failed to join ", kJoined[i].name, " namespace of process ",
                             pid);
    }
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

/// Init process: takes the console, and lets the launched process know how that went. What fails
/// here is said before the other is told. Taking the console fails before standard error is it.
Status TakeConsoleAndTell(int console, Gate& gate, const Log& log) {
  gate.KeepOpeningEnd();
  Status taken = StartSession();
  if (taken.ok()) taken = TakeConsole(console);
  if (taken.ok()) taken = gate.Open(kHasConsole);
  if (taken.ok()) return {};
  log.Fatal(taken.error());
  // If this fails too, the launched process sees our end instead.
  (void)gate.Open(kFailed);
  return Error::AlreadyReported();
}

/// Launched process: waits until the init process has the console.
Status WaitForConsole(Gate& gate) {
  gate.KeepWaitingEnd();
  ASSIGN_OR_RETURN(const char word, gate.Wait());
  if (word == kFailed) return Error::AlreadyReported();
  if (word != kHasConsole) return Error::Of("the init process ended before it had the console");
  return {};
}

Status GoOnWithConsole(int pipe, int console, Log& log) {
  ASSIGN_OR_RETURN(Gate gate, Gate::Make());
  const auto prepare = [&] { return TakeConsoleAndTell(console, gate, log); };
  const auto report = [&](pid_t init) -> Status {
    RETURN_IF_ERROR(WaitForConsole(gate));
    return WriteClassicReply(pipe, init);
  };
  return BecomeInitProcess({.memory = Memory::kCopied, .report = report, .prepare = prepare}, log);
}

Status GoOnWithoutConsole(int pipe, Log& log) {
  const auto report = [&](pid_t init) { return WriteClassicReply(pipe, init); };
  RETURN_IF_ERROR(
      BecomeInitProcess({.memory = Memory::kShared, .report = report, .prepare = {}}, log));
  return StartSession();
}

}  // namespace

Status ServeClassic(const Environment& environment, Log& log) {
  ASSIGN_OR_RETURN(const pid_t pid, ParseNumber("_LIBCONTAINER_INITPID", environment.init_pid));
  if (pid == 0) return Error::Of("invalid _LIBCONTAINER_INITPID \"0\": not a process");
  ASSIGN_OR_RETURN(const int pipe,
                   ParseOpenFd("_LIBCONTAINER_INITPIPE", environment.init_pipe, O_WRONLY));
  // Before anything is joined: the path is the caller's.
  ASSIGN_OR_RETURN(const UniqueFd console, OpenConsole(environment.console_path));
  RETURN_IF_ERROR(JoinNamespacesOf(pid));
  return console.valid() ? GoOnWithConsole(pipe, console.get(), log)
                         : GoOnWithoutConsole(pipe, log);
}

}  // namespace nsenter
