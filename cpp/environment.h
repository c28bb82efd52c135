// SPDX-License-Identifier: Apache-2.0
//
// The environment variables by which a parent asks for something.

#pragma once

#include "base.h"
#include "error.h"

namespace nsenter {

/// The variables as they stand in the environment: null where one is not set, and, but for the
/// first and the console, where it is empty. Reading them makes no system call. They are the
/// parent's to remove, so they are left where they are.
struct Environment {
  const char* init_pid;      // _LIBCONTAINER_INITPID
  const char* init_pipe;     // _LIBCONTAINER_INITPIPE
  const char* console_path;  // _LIBCONTAINER_CONSOLE_PATH
  const char* log_pipe;      // _LIBCONTAINER_LOGPIPE
  const char* log_level;     // _LIBCONTAINER_LOGLEVEL

  static Environment Read();

  /// False in every program that merely links this package.
  [[nodiscard]] bool AsksForSomething() const;
};

/// The number in the variable `name`: decimal digits without a sign, a space or a leading zero, as
/// parents write it, and at most INT_MAX. The error names the variable and its value.
Result<int> ParseNumber(std::string_view name, const char* value);

/// An error, which names the variable, if `fd` is not open for `access` (O_WRONLY or O_RDWR).
Status CheckOpenFd(std::string_view name, int fd, int access);

/// Both: the number of a descriptor that is open for `access`.
Result<int> ParseOpenFd(std::string_view name, const char* value, int access);

/// An error if a runc before 1.2.0 is the parent, which waits for messages that are not sent any
/// more. Those releases do not say which they are; the variables they set tell.
Status RefuseOlderReleases();

}  // namespace nsenter
