// SPDX-License-Identifier: Apache-2.0
//
// System calls of a traced process, and their names.

#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>

namespace inject {

/// What the files are that the injector itself gave to the program under test: links in
/// /proc/PID/fd.
struct KnownFiles {
  std::string initpipe;
  std::string log;
  std::string output;
  std::string errors;
  std::string console;
};

struct Call {
  std::uint64_t number = 0;
  std::uint64_t arguments[6] = {};
};

/// Such as "openat(/proc/self)" or "write(log)": the same in each run, so without pids.
std::string Describe(pid_t pid, const Call& call, const KnownFiles& known);

/// What is open in a process, such as "0=/dev/null 3=initpipe".
std::string DescribeFds(pid_t pid, const KnownFiles& known);

/// How many bytes a transfer asks for; 0 for other calls.
std::uint64_t TransferSize(const Call& call);

/// exit(2) and exit_group(2), which do not return.
bool EndsProcess(const Call& call);

/// Whether the call is one of those that are documented to succeed always, such as getpid(2).
/// `name` is what Describe() says.
bool NeverFails(const std::string& name);

/// "EPERM"; 0 if there is no such errno here.
int ErrnoOf(const std::string& name);
const char* NameOfErrno(int error);

}  // namespace inject
