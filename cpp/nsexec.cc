// SPDX-License-Identifier: Apache-2.0

#include "nsexec.h"

#include "caller.h"
#include "classic.h"
#include "environment.h"
#include "log.h"
#include "netlink.h"
#include "protocol.h"
#include "sigpipe.h"
#include "sys.h"

#include <fcntl.h>

namespace nsenter {
namespace {

Status OpenLog(const Environment& environment, Log& log) {
  // The classic protocol has no log.
  if (environment.log_pipe == nullptr || environment.init_pid != nullptr) return {};
  ASSIGN_OR_RETURN(const int fd,
                   ParseOpenFd("_LIBCONTAINER_LOGPIPE", environment.log_pipe, O_WRONLY));
  log.SendTo(fd);
  return {};
}

Status SetLogLevel(const Environment& environment, Log& log) {
  if (environment.log_level == nullptr || environment.init_pid != nullptr) return {};
  ASSIGN_OR_RETURN(const int level, ParseNumber("_LIBCONTAINER_LOGLEVEL", environment.log_level));
  log.SetLevel(level);
  return {};
}

Status ServeParent(const Environment& environment, Log& log) {
  // First, so that whatever is refused is said there; what is wrong with it has its turn below.
  const bool log_opened = OpenLog(environment, log).ok();
  const bool level_set = SetLogLevel(environment, log).ok();
  RETURN_IF_ERROR(RefuseThreads());
  // Asked again for the text, of which there is one at a time (decision 0008).
  if (!log_opened) RETURN_IF_ERROR(OpenLog(environment, log));
  ASSIGN_OR_RETURN(const Protocol protocol, ChooseProtocol(environment));
  if (protocol == Protocol::kNone) return {};
  // Not before: a parent of 2015 makes a new container's namespaces itself, and is outside then.
  RETURN_IF_ERROR(RefuseParentOutside());
  if (protocol == Protocol::kClassic) return ServeClassic(environment, log);
  // After older releases are refused, which send a word.
  if (!level_set) RETURN_IF_ERROR(SetLogLevel(environment, log));
  return ServeNetlink(environment, log);
}

/// Returns in the process that goes on as a Go program, or an error.
Status Run(const Environment& environment, Log& log) {
  IgnoredSigpipe sigpipe;
  RETURN_IF_ERROR(sigpipe.Start());
  if (IsPrivilegedProgram()) {
    return Error::Of("refused: the program runs with privileges that its caller does not have");
  }
  RETURN_IF_ERROR(ServeParent(environment, log));
  return sigpipe.End();
}

}  // namespace
}  // namespace nsenter

extern "C" void nsexec() {
  using namespace nsenter;  // NOLINT(google-build-using-namespace): nsexec is the one name outside of it
  // Read and written at once, so that the page faults once.
  constinit static bool called = false;
  if (__atomic_exchange_n(&called, true, __ATOMIC_RELAXED)) return;

  const Environment environment = Environment::Read();
  if (!environment.AsksForSomething()) return;

  Log log(environment.init_pid != nullptr ? "nsenter: " : "FATAL: ");
  const Status status = Run(environment, log);
  if (status.ok()) return;
  log.Fatal(status.error());
  sys::Exit(1);
}
