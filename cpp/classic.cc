// SPDX-License-Identifier: Apache-2.0

#include "classic.h"

#include "clone.h"
#include "fd.h"
#include "gate.h"
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
constexpr NamespaceType kJoined[] = {
    {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}, {"net", CLONE_NEWNET},
    {"pid", CLONE_NEWPID}, {"mnt", CLONE_NEWNS},
};

constexpr char kReported = 'r';    // launched process: the parent knows of you
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
  for (const NamespaceType& type : kJoined) all |= type.clone_flag;
  if (JoinProcess(pid, all)) return {};
  // The number means the same process in /proc only if that shows our pid namespace.
  if (!ProcShowsOurPidNamespace()) {
    return Error::Of("failed to find process ", pid, ": /proc does not show our pid namespace");
  }
  return JoinEachOf(pid);
}

/// The processes' ways to wait for each other. The second is used with a console only.
struct Gates {
  Gate reported;  // opened by the launched process
  Gate console;   // opened by the init process
};

/// Init process, with a console: takes it, and lets the launched process know how that went. What
/// fails here is said before the other is told, and while standard error is not the console yet.
Status TakeConsoleAndTell(int console, const Gate& gate, const Log& log) {
  Status taken = StartSession();
  if (taken.ok()) taken = TakeConsole(console);
  if (taken.ok()) return gate.Open(kHasConsole);
  log.Fatal(taken.error());
  RETURN_IF_ERROR(gate.Open(kFailed));
  return Error::AlreadyReported();
}

/// Init process.
Result<Next> GoOnAsInitProcess(const UniqueFd& console, Gates& gates, const Log& log) {
  gates.reported.KeepWaitingEnd();
  gates.console.KeepOpeningEnd();
  if (console.valid()) {
    RETURN_IF_ERROR(TakeConsoleAndTell(console.get(), gates.console, log));
  }
  ASSIGN_OR_RETURN(const char word, gates.reported.Wait());
  if (word != kReported) return Error::AlreadyReported();
  if (!console.valid()) RETURN_IF_ERROR(StartSession());
  return Next::kGoOn;
}

/// Launched process.
Result<Next> ReportAndLeave(int pipe, bool has_console, pid_t init, Gates& gates) {
  gates.reported.KeepOpeningEnd();
  gates.console.KeepWaitingEnd();
  if (has_console) {
    ASSIGN_OR_RETURN(const char word, gates.console.Wait());
    if (word == kFailed) return Error::AlreadyReported();
    if (word != kHasConsole) return Error::Of("the init process ended before it had the console");
  }
  RETURN_IF_ERROR(WriteClassicReply(pipe, init));
  RETURN_IF_ERROR(gates.reported.Open(kReported));
  return Next::kLeave;
}

}  // namespace

Result<Next> ServeClassic(const Environment& environment, Log& log) {
  ASSIGN_OR_RETURN(const pid_t pid, ParseNumber("_LIBCONTAINER_INITPID", environment.init_pid));
  if (pid == 0) return Error::Of("invalid _LIBCONTAINER_INITPID \"0\": not a process");
  ASSIGN_OR_RETURN(const int pipe,
                   ParseOpenFd("_LIBCONTAINER_INITPIPE", environment.init_pipe, O_WRONLY));
  // Before anything is joined: the path is the caller's.
  ASSIGN_OR_RETURN(const UniqueFd console, OpenConsole(environment.console_path));
  RETURN_IF_ERROR(JoinNamespacesOf(pid));

  Gates gates;
  ASSIGN_OR_RETURN(gates.reported, Gate::Make());
  if (console.valid()) {
    ASSIGN_OR_RETURN(gates.console, Gate::Make());
  }
  ASSIGN_OR_RETURN(const pid_t init, CloneSibling("the init process"));
  if (init == 0) {
    log.SetProcess(ProcessTag::kInit);
    return GoOnAsInitProcess(console, gates, log);
  }
  return ReportAndLeave(pipe, console.valid(), init, gates);
}

}  // namespace nsenter
