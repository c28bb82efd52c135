// SPDX-License-Identifier: Apache-2.0
//
// The environment variables by which a parent asks for something.

#pragma once

#include "base.h"
#include "error.h"

namespace nsenter {

/// The variables as they stand in the environment: null where one is not set. All but the first and
/// the console are null where they are empty, too. Reading them makes no system call. The core
/// leaves them in the environment: only the parent may remove them.
struct Environment {
  const char* init_pid;      // _LIBCONTAINER_INITPID
  const char* init_pipe;     // _LIBCONTAINER_INITPIPE
  const char* console_path;  // _LIBCONTAINER_CONSOLE_PATH
  const char* log_pipe;      // _LIBCONTAINER_LOGPIPE
  const char* log_level;     // _LIBCONTAINER_LOGLEVEL

  static Environment Read();

  /// False in every program that only links this package and has no parent of ours.
  [[nodiscard]] bool AsksForSomething() const;
};

/// The number in the variable `name`: decimal digits without a sign, a space or a leading zero, as
/// parents write it, and at most INT_MAX. The error names the variable and its value.
Result<int> ParseNumber(std::string_view name, const char* value);

/// An error, which names the variable, if `fd` is not open for `access` (O_WRONLY or O_RDWR).
Status CheckOpenFd(std::string_view name, int fd, int access);

/// Both: the number of a descriptor that is open for `access`.
Result<int> ParseOpenFd(std::string_view name, const char* value, int access);

/// An error if a runc before 1.2.0 is the parent: it waits for messages that the core does not
/// send. Those releases do not name themselves; the variables that they set show it.
Status RefuseOlderReleases();

}  // namespace nsenter
