// SPDX-License-Identifier: Apache-2.0

#include "pid_limit.h"

#include "fd.h"

#include <cstdio>
#include <sys/utsname.h>
#include <sys/wait.h>

namespace inject {
namespace {

constexpr const char* kMax = "/proc/sys/kernel/pid_max";
// Numbers below it are not given a second time (RESERVED_PIDS).
constexpr long kReserved = 300;
constexpr long kPlenty = 32768;

}  // namespace

PidLimit::PidLimit(long left) {
  // Until a number above has been given, those below are given too.
  static bool wrapped = false;
  while (!wrapped) {
    const pid_t pid = Must(fork(), "fork");
    if (pid == 0) _exit(0);
    waitpid(pid, nullptr, 0);
    wrapped = pid > kReserved;
  }
  WriteTo(kMax, std::to_string(kReserved + left));
}

PidLimit::~PidLimit() { WriteTo(kMax, std::to_string(kPlenty)); }

bool PidLimit::CanBeMade() {
  utsname name = {};
  int major = 0, minor = 0;
  if (uname(&name) != 0 || sscanf(name.release, "%d.%d", &major, &minor) != 2) return false;
  return major > 6 || (major == 6 && minor >= 14);
}

}  // namespace inject
