// SPDX-License-Identifier: Apache-2.0
//
// The numbers of system calls that are newer than the headers this may be compiled with. For the
// core and for parent/.

#pragma once

#include <sys/syscall.h>

namespace nsenter::sys {

// New calls have the same number on all machines, counted from here.
#if defined(__NR_Linux)  // MIPS, of each of its three ABIs
inline constexpr long kFirstCall = __NR_Linux;
#elif defined(__alpha__)
inline constexpr long kFirstCall = 110;
#elif defined(__x86_64__) && defined(__ILP32__)
inline constexpr long kFirstCall = 0x40000000;
#else
inline constexpr long kFirstCall = 0;
#endif

// Where the headers know a number, they are asked whether that is so.
#ifdef SYS_pidfd_open  // Linux 5.3
static_assert(SYS_pidfd_open == kFirstCall + 434);
#else
#define SYS_pidfd_open (::nsenter::sys::kFirstCall + 434)
#endif
#ifdef SYS_close_range  // Linux 5.9
static_assert(SYS_close_range == kFirstCall + 436);
#else
#define SYS_close_range (::nsenter::sys::kFirstCall + 436)
#endif

}  // namespace nsenter::sys
