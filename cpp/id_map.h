// SPDX-License-Identifier: Apache-2.0
//
// The text of an id map (user_namespaces(7)): which ids outside stand for which ids inside.

#pragma once

#include "base.h"
#include "error.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace nsenter {

/// The kernel's limit since 4.15 (UID_GID_MAP_MAX_EXTENTS).
inline constexpr std::size_t kIdMapLines = 340;

/// The number of digits of the largest id, 2^32-1.
inline constexpr std::size_t kIdDigits = 10;

/// A map as it is written to /proc/PID/uid_map or gid_map; no text: no map.
struct IdMap {
  std::string_view text;
  std::size_t lines = 0;
  bool maps_zero = false;        // some id outside is 0 inside
  bool maps_one_id = false;      // nothing but a single id is mapped ...
  std::uint32_t id_outside = 0;  // ... and outside it is this one

  [[nodiscard]] bool MapsOnly(std::uint32_t outside) const {
    return maps_one_id && id_outside == outside;
  }
};

/// Checks what the kernel would refuse with no more than EINVAL: the form of each line, the number
/// of lines, and the size (less than a page). Overlaps are left to the kernel. `name` is the map's
/// in errors.
Result<IdMap> ParseIdMap(std::string_view name, std::string_view text);

/// Takes the next word off the front of `text`; empty when there is none. Words are separated by
/// spaces, tabs and line ends.
std::string_view TakeWord(std::string_view& text);

}  // namespace nsenter
