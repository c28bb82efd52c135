// SPDX-License-Identifier: Apache-2.0
//
// A parent's request, in either protocol.

#pragma once

#include "base.h"
#include "id_map.h"
#include "namespace_type.h"

#include <cstddef>
#include <string_view>

namespace nsenter {

/// A namespace to join.
struct NamespacePath {
  NamespaceType type;
  std::string_view path;
};

/// The content of a bootstrap message, checked. The texts lie in the message, which has to live as
/// long.
struct Bootstrap {
  int clone_flags = 0;  // CLONE_NEW*: the namespaces to create

  NamespacePath joins[kNamespaceTypeCount] =
      {};  // at most one of each type, as they stand in the message
  std::size_t join_count = 0;

  IdMap uid_map;
  IdMap gid_map;
  std::string_view uid_map_tool;  // path of newuidmap, empty: none
  std::string_view gid_map_tool;
  bool setgroups = false;      // the init process gives up its supplementary groups
  bool rootless_euid = false;  // the caller is not root, and may not do that

  std::string_view oom_score_adj;  // empty: leave it
  std::string_view time_offsets;   // empty: none

  [[nodiscard]] bool Creates(int clone_flag) const { return (clone_flags & clone_flag) != 0; }
  [[nodiscard]] bool Joins(int clone_flag) const {
    for (std::size_t i = 0; i < join_count; ++i) {
      if (joins[i].type.clone_flag == clone_flag) return true;
    }
    return false;
  }
};

}  // namespace nsenter
