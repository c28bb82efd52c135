// SPDX-License-Identifier: Apache-2.0
//
// Part of a probe that measures windows. It is linked with --wrap for CallWithWords
// (cpp/sys_call.h), so it sees the calls of the core. It keeps those of the launched process in
// memory that the init process gets.

#include <cstdio>
#include <ctime>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

struct Change {
  long dumpable;
  long at;
};

Change changes[16];
int change_count = 0;
long start = 0;

long Now() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000L + now.tv_nsec;
}

}  // namespace

extern "C" {

// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the names are the linker's
int __real__ZN7nsenter3sys13CallWithWordsElllllll(long number, long a, long b, long c, long d,
                                                  long e, long f);

int __wrap__ZN7nsenter3sys13CallWithWordsElllllll(long number, long a, long b, long c, long d,
                                                  long e, long f) {
  const int result = __real__ZN7nsenter3sys13CallWithWordsElllllll(number, a, b, c, d, e, f);
  if (number == SYS_prctl && a == PR_SET_DUMPABLE && change_count < 16) {
    changes[change_count++] = {b, Now() - start};
  }
  return result;
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

void start_times() { start = Now(); }

void print_times() {
  for (int i = 0; i < change_count; ++i) {
    char line[64];
    const int size = snprintf(line, sizeof(line), "dumpable %ld after %ld ns\n",
                              changes[i].dumpable, changes[i].at);
    if (write(STDOUT_FILENO, line, static_cast<size_t>(size)) != size) _exit(2);
  }
}
}
