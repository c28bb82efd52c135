// SPDX-License-Identifier: Apache-2.0

#include "sys_call.h"

#include <cerrno>
#include <unistd.h>

namespace nsenter::sys {

// NOLINTBEGIN(misc-const-correctness): a constant may end up in another register than the one named
long CallOnce(long number, long a, long b, long c, long d, long e, long f) {
#if defined(__x86_64__) && defined(__LP64__)
  register long fourth asm("r10") = d;
  register long fifth asm("r8") = e;
  register long sixth asm("r9") = f;
  long result = 0;
  asm volatile("syscall"
               : "=a"(result)
               : "0"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth), "r"(sixth)
               : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__) && defined(__LP64__)
  register long which asm("x8") = number;
  register long first asm("x0") = a;
  register long second asm("x1") = b;
  register long third asm("x2") = c;
  register long fourth asm("x3") = d;
  register long fifth asm("x4") = e;
  register long sixth asm("x5") = f;
  asm volatile("svc #0"
               : "+r"(first)
               : "r"(which), "r"(second), "r"(third), "r"(fourth), "r"(fifth), "r"(sixth)
               : "memory");
  return first;
#else
  const long result = syscall(number, a, b, c, d, e, f);
  return result == -1 ? -errno : result;
#endif
}
// NOLINTEND(misc-const-correctness)

int CallWithWords(long number, long a, long b, long c, long d, long e, long f) {
  long result = 0;
  do {
    result = CallOnce(number, a, b, c, d, e, f);
  } while (result == -EINTR);
  return static_cast<int>(result);
}

}  // namespace nsenter::sys
