// SPDX-License-Identifier: Apache-2.0
//
// How a system call is made: for the files that define sys.h, and no others.

#pragma once

#include "base.h"

#include <cerrno>
#include <type_traits>

namespace nsenter::sys {

/// Makes the call until no signal interrupts it, and turns libc's -1 and errno into one number.
template <typename Callable>
int Uninterrupted(Callable call) {
  long result = 0;
  do {
    result = call();
  } while (result == -1 && errno == EINTR);
  return result == -1 ? -errno : static_cast<int>(result);
}

/// An argument as a register holds it.
template <typename T>
long Word(T argument) {
  if constexpr (std::is_pointer_v<T>) {
    return reinterpret_cast<long>(argument);
  } else if constexpr (std::is_null_pointer_v<T>) {
    return 0;
  } else {
    return static_cast<long>(argument);
  }
}

/// A system call by its number, made once. Returns the kernel's answer, errors as -errno. On the
/// machines that most programs run on it is the instruction itself, elsewhere syscall(2). It has as
/// many arguments as any call: the kernel looks only at those that it needs.
long CallOnce(long number, long a, long b, long c, long d, long e, long f);

/// The same, repeated until no signal interrupts it.
///
/// Nearly all calls are made in this way, and not through libc's functions. In a program that is
/// linked lazily, the first call of each function of libc costs a search through the symbols of all
/// libraries, which takes longer than most system calls. And libc's setresuid and the like also
/// tell libc's other threads, of which there are none here. The core uses libc's own function where
/// the kernel's structures differ from machine to machine, and where speed does not matter.
int CallWithWords(long number, long a, long b, long c, long d, long e, long f);

template <typename... Arguments>
[[gnu::always_inline]] inline int Call(long number, Arguments... arguments) {
  const long words[6] = {Word(arguments)...};
  return CallWithWords(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}

}  // namespace nsenter::sys
