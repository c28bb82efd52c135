// SPDX-License-Identifier: Apache-2.0

#include "nsexec.h"

#include "caller.h"
#include "classic.h"
#include "environment.h"
#include "log.h"
#include "netlink.h"
#include "protocol.h"
#include "signals.h"
#include "sys.h"
#include "working_copy.h"

#include <fcntl.h>

namespace nsenter {
namespace {

constexpr std::string_view kLogPipe = "_LIBCONTAINER_LOGPIPE";

/// On standard error and, since a fixed text does no harm there, on LOGPIPE too.
Status RefusePrivileges(const Environment& environment, Log& log) {
  if (!IsPrivilegedProgram()) return {};
  const bool has_pipe = environment.log_pipe != nullptr;
  const Result<int> pipe = has_pipe ? ParseOpenFd(kLogPipe, environment.log_pipe, O_WRONLY) : -1;
  const Error refused = ExplainPrivileges();
  if (!has_pipe || !pipe.ok()) return refused;
  log.Fatal(refused);
  log.SendTo(pipe.value());
  return refused;
}

Status ServeInitPipe(const Environment& environment, WorkingCopy& copy, Log& log) {
  if (environment.log_pipe != nullptr) {
    ASSIGN_OR_RETURN(const int fd, ParseOpenFd(kLogPipe, environment.log_pipe, O_WRONLY));
    log.SendTo(fd);
  }
  // Before the level, which those releases send as a word.
  RETURN_IF_ERROR(RefuseOlderReleases());
  if (environment.log_level != nullptr) {
    ASSIGN_OR_RETURN(const int level, ParseNumber("_LIBCONTAINER_LOGLEVEL", environment.log_level));
    log.SetLevel(level);
  }
  ASSIGN_OR_RETURN(const int pipe, ParseNumber("_LIBCONTAINER_INITPIPE", environment.init_pipe));
  ASSIGN_OR_RETURN(const bool for_go, HoldsDocument(pipe));
  if (for_go) return {};
  // Not before: a parent of 2015 makes a new container's namespaces itself, and is outside then.
  RETURN_IF_ERROR(RefuseCaller());
  return ServeNetlink(pipe, copy, log);
}

/// Returns in the process that goes on as a Go program, or an error.
Status Run(const Environment& environment, WorkingCopy& copy, Log& log) {
  IgnoredSigpipe sigpipe;
  RETURN_IF_ERROR(sigpipe.Start());
  RETURN_IF_ERROR(RefusePrivileges(environment, log));
  RETURN_IF_ERROR(environment.init_pid != nullptr ? ServeClassic(environment, copy, log)
                                                  : ServeInitPipe(environment, copy, log));
  return sigpipe.End();
}

}  // namespace
}  // namespace nsenter

extern "C" void nsexec() {
  using namespace nsenter;  // NOLINT(google-build-using-namespace): nsexec is the one name outside of it
  // Read and written at once, so that the page faults once. (Not a bool: for a single byte g++ 12
  // calls a library on riscv64.)
  constinit static int called = 0;
  if (__atomic_exchange_n(&called, 1, __ATOMIC_RELAXED) != 0) return;

  const Environment environment = Environment::Read();
  if (!environment.AsksForSomething()) return;

  Log log(environment.init_pid != nullptr ? "nsenter: " : "FATAL: ");
  WorkingCopy copy;
  const Status status = Run(environment, copy, log);
  if (status.ok()) return;
  log.Fatal(status.error());
  sys::Exit(1);
}
