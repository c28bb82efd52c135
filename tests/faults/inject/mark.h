// SPDX-License-Identifier: Apache-2.0
//
// How the program under test tells the injector where nsexec() begins and where it has returned,
// whatever nsexec() does: a prctl that no kernel knows, which fails and changes nothing.

#pragma once

namespace inject {

inline constexpr unsigned long kMark = 0x6e736578;  // "nsex", the first argument
inline constexpr unsigned long kBegins = 1;         // the second one
inline constexpr unsigned long kReturned = 2;

}  // namespace inject
