// SPDX-License-Identifier: Apache-2.0

#include "environment.h"

#include "sys.h"

#include <climits>
#include <cstdlib>
#include <fcntl.h>

namespace nsenter {
namespace {

/// An empty variable is one that is not set. (INITPID is not read so: its presence is what counts.)
const char* GetNonEmpty(const char* name) {
  const char* const value = getenv(name);
  return value == nullptr || *value == '\0' ? nullptr : value;
}

}  // namespace

Environment Environment::Read() {
  return {
      .init_pid = getenv("_LIBCONTAINER_INITPID"),
      .init_pipe = GetNonEmpty("_LIBCONTAINER_INITPIPE"),
      .console_path = getenv("_LIBCONTAINER_CONSOLE_PATH"),
      .log_pipe = GetNonEmpty("_LIBCONTAINER_LOGPIPE"),
      .log_level = GetNonEmpty("_LIBCONTAINER_LOGLEVEL"),
  };
}

bool Environment::AsksForSomething() const { return init_pid != nullptr || init_pipe != nullptr; }

Result<int> ParseNumber(std::string_view name, const char* value) {
  if (value == nullptr) return Error::Of(name, " is not set");
  bool canonical = *value != '\0' && (*value != '0' || value[1] == '\0');
  long long number = 0;
  for (const char* digit = value; *digit != '\0'; ++digit) {
    canonical = canonical && *digit >= '0' && *digit <= '9';
    if (!canonical) break;
    number = number * 10 + (*digit - '0');
    if (number > INT_MAX) return Error::Of("invalid ", name, " \"", value, "\": out of range");
  }
  if (!canonical) return Error::Of("invalid ", name, " \"", value, "\": not a decimal number");
  return static_cast<int>(number);
}

Status CheckOpenFd(std::string_view name, int fd, int access) {
  ASSIGN_OR_RETURN(const int flags, Check(sys::StatusFlags(fd), "invalid ", name, " \"", fd, '"'));
  const int opened_for = flags & O_ACCMODE;
  if (opened_for != O_RDWR && opened_for != access) {
    return Error::Of("invalid ", name, " \"", fd, "\": not open for ",
                     access == O_WRONLY ? "writing" : "reading and writing");
  }
  return {};
}

Result<int> ParseOpenFd(std::string_view name, const char* value, int access) {
  ASSIGN_OR_RETURN(const int fd, ParseNumber(name, value));
  RETURN_IF_ERROR(CheckOpenFd(name, fd, access));
  return fd;
}

Status RefuseOlderReleases() {
  if (getenv("_LIBCONTAINER_MOUNT_FDS") != nullptr) {
    return Error::Of(
        "the parent is runc 1.1 (_LIBCONTAINER_MOUNT_FDS is set), this nsexec serves 1.2.0 and "
        "newer");
  }
  if (getenv("_LIBCONTAINER_STATEDIR") != nullptr && getenv("_LIBCONTAINER_SYNCPIPE") == nullptr) {
    return Error::Of(
        "the parent is runc 1.1 or older (_LIBCONTAINER_STATEDIR is set, _LIBCONTAINER_SYNCPIPE is "
        "not), this nsexec serves 1.2.0 and newer");
  }
  return {};
}

}  // namespace nsenter
