// SPDX-License-Identifier: Apache-2.0

#include "netlink_message.h"

#include <climits>
#include <cstring>

namespace nsenter {
namespace {

constexpr std::size_t kAttributeHeaderSize = 4;
constexpr std::size_t kAttributeAlignment = 4;

enum class AttributeType : std::uint16_t {
  kCloneFlags = 27281,
  kNamespacePaths = 27282,
  kUidMap = 27283,
  kGidMap = 27284,
  kSetgroup = 27285,
  kOomScoreAdj = 27286,
  kRootlessEuid = 27287,
  kUidMapPath = 27288,
  kGidMapPath = 27289,
  kTimeOffsets = 27290,
};

/// Host byte order, at any address.
template <typename Number>
Number LoadNumber(std::string_view bytes, std::size_t position) {
  Number number;
  std::memcpy(&number, bytes.data() + position, sizeof(number));
  return number;
}

/// A text with its NUL, as the value of every attribute that is a string.
Result<std::string_view> ParseString(std::string_view name, std::string_view value) {
  if (value.empty() || value.back() != '\0') return Error::Of(name, " does not end with a NUL");
  const std::string_view text = First(value, value.size() - 1);
  if (Find(text, '\0') != std::string_view::npos) return Error::Of(name, " has a NUL inside");
  return text;
}

/// runc writes a u32, and until 1.0 a single byte. Reading the size it has, and not merely its
/// first byte, gives the same on big-endian machines.
Result<bool> ParseBoolean(std::string_view name, std::string_view value) {
  switch (value.size()) {
    case 1:
      return LoadNumber<std::uint8_t>(value, 0) != 0;
    case 2:
      return LoadNumber<std::uint16_t>(value, 0) != 0;
    case 4:
      return LoadNumber<std::uint32_t>(value, 0) != 0;
    default:
      return Error::Of(name, " is a boolean of ", value.size(), " bytes, not 1, 2 or 4");
  }
}

Result<int> ParseCloneFlags(std::string_view name, std::string_view value) {
  if (value.size() != sizeof(std::uint32_t)) {
    return Error::Of(name, " is ", value.size(), " bytes long, not 4");
  }
  const auto flags = LoadNumber<std::uint32_t>(value, 0);
  const std::uint32_t unknown = flags & ~static_cast<std::uint32_t>(kAllNamespaces);
  if (unknown != 0) return Error::Of(name, " has bits that are no namespace: ", unknown);
  return static_cast<int>(flags);
}

Result<const NamespaceType*> FindNamespaceType(std::string_view name) {
  for (const NamespaceType& type : kNamespaceTypes) {
    if (Equal(name, type.name)) return &type;
  }
  return Error::Of("NS_PATHS names an unknown namespace type: \"", name, '"');
}

/// `type:path`, the separator being the first colon.
Status ParseNamespacePath(std::string_view entry, Bootstrap& bootstrap) {
  const std::size_t colon = Find(entry, ':');
  if (colon == std::string_view::npos) {
    return Error::Of("NS_PATHS has an entry without a colon: \"", entry, '"');
  }
  ASSIGN_OR_RETURN(const NamespaceType* type, FindNamespaceType(First(entry, colon)));
  const std::string_view path = From(entry, colon + 1);
  if (path.empty()) return Error::Of("NS_PATHS has no path for the ", type->name, " namespace");
  if (path.size() >= PATH_MAX) {
    return Error::Of("NS_PATHS has a path of ", path.size(), " bytes for the ", type->name,
                     " namespace, at most ", PATH_MAX - 1, " are possible");
  }
  if (bootstrap.Joins(type->clone_flag)) {
    return Error::Of("NS_PATHS names the ", type->name, " namespace twice");
  }
  bootstrap.joins[bootstrap.join_count++] = {*type, path};
  return {};
}

Status ParseNamespacePaths(std::string_view list, Bootstrap& bootstrap) {
  bootstrap.join_count = 0;  // a later attribute replaces an earlier one
  if (list.empty()) return Error::Of("NS_PATHS is empty");
  for (;;) {
    const std::size_t comma = Find(list, ',');
    RETURN_IF_ERROR(ParseNamespacePath(First(list, comma), bootstrap));
    if (comma == std::string_view::npos) return {};
    list = From(list, comma + 1);
  }
}

/// A number as the kernel takes it for /proc/PID/oom_score_adj (proc(5)): -1000 to 1000.
Result<std::string_view> ParseOomScoreAdj(std::string_view name, std::string_view text) {
  constexpr int kLargest = 1000;
  if (text.empty()) return text;
  const std::string_view digits = text.front() == '-' ? From(text, 1) : text;
  int number = 0;
  // With a leading zero the kernel would take it for octal.
  bool valid = !digits.empty() && (digits.front() != '0' || digits.size() == 1);
  for (const char digit : digits) {
    valid = valid && digit >= '0' && digit <= '9';
    if (!valid) break;
    number = number * 10 + (digit - '0');
    valid = number <= kLargest;
  }
  if (!valid) return Error::Of(name, " is no number from -1000 to 1000: \"", text, '"');
  return text;
}

Result<std::string_view> ParseToolPath(std::string_view name, std::string_view path) {
  if (path.empty() || path.front() != '/') {
    return Error::Of(name, " is no absolute path: \"", path, '"');
  }
  return path;
}

/// runc 1.1 used the same number for MOUNT_SOURCES, a list of paths of which some are empty: its
/// values begin with a slash or, if more follows, with a NUL.
bool IsMountSources(std::string_view value) {
  return StartsWith(value, "/") || (value.size() > 1 && value.front() == '\0');
}

Status ParseTimeOffsets(std::string_view name, std::string_view value, Bootstrap& bootstrap) {
  if (IsMountSources(value)) {
    return Error::Of("the parent is runc 1.1 (attribute 27290 is its MOUNT_SOURCES), this nsexec ",
                     "serves 1.2.0 and newer");
  }
  ASSIGN_OR_RETURN(bootstrap.time_offsets, ParseString(name, value));
  return {};
}

Status ParseAttribute(std::uint16_t type, std::string_view value, Bootstrap& bootstrap) {
  switch (static_cast<AttributeType>(type)) {
    case AttributeType::kCloneFlags: {
      ASSIGN_OR_RETURN(bootstrap.clone_flags, ParseCloneFlags("CLONE_FLAGS", value));
      return {};
    }
    case AttributeType::kNamespacePaths: {
      ASSIGN_OR_RETURN(const std::string_view list, ParseString("NS_PATHS", value));
      return ParseNamespacePaths(list, bootstrap);
    }
    case AttributeType::kUidMap: {
      ASSIGN_OR_RETURN(bootstrap.uid_map.text, ParseString("UIDMAP", value));
      return {};
    }
    case AttributeType::kGidMap: {
      ASSIGN_OR_RETURN(bootstrap.gid_map.text, ParseString("GIDMAP", value));
      return {};
    }
    case AttributeType::kSetgroup: {
      ASSIGN_OR_RETURN(bootstrap.setgroups, ParseBoolean("SETGROUP", value));
      return {};
    }
    case AttributeType::kOomScoreAdj: {
      ASSIGN_OR_RETURN(const std::string_view text, ParseString("OOM_SCORE_ADJ", value));
      ASSIGN_OR_RETURN(bootstrap.oom_score_adj, ParseOomScoreAdj("OOM_SCORE_ADJ", text));
      return {};
    }
    case AttributeType::kRootlessEuid: {
      ASSIGN_OR_RETURN(bootstrap.rootless_euid, ParseBoolean("ROOTLESS_EUID", value));
      return {};
    }
    case AttributeType::kUidMapPath: {
      ASSIGN_OR_RETURN(const std::string_view path, ParseString("UIDMAPPATH", value));
      ASSIGN_OR_RETURN(bootstrap.uid_map_tool, ParseToolPath("UIDMAPPATH", path));
      return {};
    }
    case AttributeType::kGidMapPath: {
      ASSIGN_OR_RETURN(const std::string_view path, ParseString("GIDMAPPATH", value));
      ASSIGN_OR_RETURN(bootstrap.gid_map_tool, ParseToolPath("GIDMAPPATH", path));
      return {};
    }
    case AttributeType::kTimeOffsets:
      return ParseTimeOffsets("TIMENSOFFSET", value, bootstrap);
  }
  return Error::Of("unknown attribute type ", type, " in the bootstrap message");
}

/// Checks that need more than one attribute. Maps are checked only if they are used: only a new
/// user namespace has maps.
Status CheckUserNamespace(Bootstrap& bootstrap) {
  if (!bootstrap.Creates(CLONE_NEWUSER)) return {};
  if (bootstrap.Joins(CLONE_NEWUSER)) {
    return Error::Of("a user namespace cannot be joined and created at once");
  }
  ASSIGN_OR_RETURN(bootstrap.uid_map, ParseIdMap("UIDMAP", bootstrap.uid_map.text));
  ASSIGN_OR_RETURN(bootstrap.gid_map, ParseIdMap("GIDMAP", bootstrap.gid_map.text));
  if (!bootstrap.uid_map.maps_zero) {
    return Error::Of("a new user namespace needs a UIDMAP with uid 0 inside");
  }
  if (!bootstrap.gid_map.maps_zero) {
    return Error::Of("a new user namespace needs a GIDMAP with gid 0 inside");
  }
  return {};
}

}  // namespace

bool HasBootstrapType(std::string_view start) {
  constexpr std::size_t kTypePosition = 4;
  return start.size() >= kTypePosition + sizeof(std::uint16_t) &&
         LoadNumber<std::uint16_t>(start, kTypePosition) == kBootstrapMessageType;
}

Result<std::size_t> ParseMessageHeader(std::string_view header) {
  const std::size_t size = LoadNumber<std::uint32_t>(header, 0);
  if (!HasBootstrapType(header)) {
    return Error::Of("the bootstrap message has type ", LoadNumber<std::uint16_t>(header, 4),
                     ", not ", kBootstrapMessageType);
  }
  if (size < kMessageHeaderSize) {
    return Error::Of("the bootstrap message has length ", size, ", less than its header of ",
                     kMessageHeaderSize);
  }
  if (size > kMessageSizeLimit) {
    return Error::Of("the bootstrap message has length ", size, ", more than ", kMessageSizeLimit);
  }
  return size;
}

Result<Bootstrap> ParseMessage(std::string_view message) {
  if (message.size() < kMessageHeaderSize) return Error::Of("the bootstrap message has no header");
  ASSIGN_OR_RETURN(const std::size_t size, ParseMessageHeader(message));
  if (size != message.size()) {
    return Error::Of("the bootstrap message has length ", size, " and is ", message.size(),
                     " long");
  }
  return ParseAttributes(From(message, kMessageHeaderSize));
}

Result<Bootstrap> ParseAttributes(std::string_view attributes) {
  Bootstrap bootstrap;
  for (std::string_view rest = attributes; !rest.empty();) {
    if (rest.size() < kAttributeHeaderSize) {
      return Error::Of("the bootstrap message ends with ", rest.size(),
                       " bytes that are no attribute");
    }
    const std::size_t length = LoadNumber<std::uint16_t>(rest, 0);
    const auto type = LoadNumber<std::uint16_t>(rest, 2);
    if (length < kAttributeHeaderSize) {
      return Error::Of("attribute ", type, " has length ", length, ", less than its header of ",
                       kAttributeHeaderSize);
    }
    if (length > rest.size()) {
      return Error::Of("attribute ", type, " has length ", length, ", but only ", rest.size(),
                       " bytes are left of the bootstrap message");
    }
    const std::string_view value = From(First(rest, length), kAttributeHeaderSize);
    RETURN_IF_ERROR(ParseAttribute(type, value, bootstrap));
    // The padding of the last attribute may be missing.
    rest =
        From(rest, (length + kAttributeAlignment - 1) / kAttributeAlignment * kAttributeAlignment);
  }
  RETURN_IF_ERROR(CheckUserNamespace(bootstrap));
  return bootstrap;
}

}  // namespace nsenter
