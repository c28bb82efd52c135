// SPDX-License-Identifier: Apache-2.0
//
// The kinds of namespaces there are.

#pragma once

#include "base.h"

#include <cstddef>
#include <sched.h>
#include <string_view>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif

namespace nsenter {

/// One kind of namespace: its name in NS_PATHS and in /proc/PID/ns, and its CLONE_NEW* constant.
struct NamespaceType {
  std::string_view name;
  int clone_flag;
};

/// In the order in which errors name them. They are joined in the parent's (namespaces.h).
inline constexpr NamespaceType kNamespaceTypes[] = {
    {"cgroup", CLONE_NEWCGROUP}, {"ipc", CLONE_NEWIPC},   {"mnt", CLONE_NEWNS},
    {"net", CLONE_NEWNET},       {"pid", CLONE_NEWPID},   {"time", CLONE_NEWTIME},
    {"uts", CLONE_NEWUTS},       {"user", CLONE_NEWUSER},
};

inline constexpr std::size_t kNamespaceTypeCount = std::size(kNamespaceTypes);

/// Every CLONE_NEW* bit there is.
inline constexpr int kAllNamespaces = [] {
  int flags = 0;
  for (const NamespaceType& type : kNamespaceTypes) flags |= type.clone_flag;
  return flags;
}();

}  // namespace nsenter
