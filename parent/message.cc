// SPDX-License-Identifier: Apache-2.0
//
// The bootstrap message. nsenter/bootstrap is the same in Go; a test compares the two.

#include "nsexec/parent.h"

#include "core.h"

#include <limits>
#include <set>
#include <string_view>

namespace nsenter::parent {
namespace {

constexpr std::size_t kHeaderSize = 16;
constexpr std::uint16_t kMessageType = 62000;
constexpr std::size_t kAttributeHeaderSize = 4;
constexpr std::size_t kAttributeAlignment = 4;

enum class Attribute : std::uint16_t {
  kCloneFlags = 27281,
  kNamespacePaths,
  kUidMap,
  kGidMap,
  kSetgroup,
  kOomScoreAdj,
  kRootlessEuid,
  kUidMapPath,
  kGidMapPath,
  kTimeOffsets,
};

struct Kind {
  std::string_view name;
  Namespaces flag;
};

constexpr Kind kKinds[] = {
    {"cgroup", kCgroup}, {"ipc", kIpc},   {"mnt", kMount}, {"net", kNet},
    {"pid", kPid},       {"time", kTime}, {"user", kUser}, {"uts", kUts},
};

std::string_view NameOf(Namespaces kind) {
  for (const Kind& known : kKinds) {
    if (known.flag == kind) return known.name;
  }
  return {};
}

constexpr Namespaces kAllKinds = [] {
  Namespaces all = 0;
  for (const Kind& kind : kKinds) all |= kind.flag;
  return all;
}();

std::string Text(std::string_view piece) { return std::string(piece); }
std::string Text(std::integral auto number) { return std::to_string(number); }

template <typename... Pieces>
Error Invalid(const Pieces&... pieces) {
  return {Error::Kind::kInvalid, (Text(pieces) + ...), 0};
}

std::string Hex(std::uint32_t number) {
  std::string digits;
  do {
    digits.insert(digits.begin(), "0123456789abcdef"[number % 16]);
    number /= 16;
  } while (number != 0);
  return "0x" + digits;
}

/// As Go's %q shows bytes of ASCII.
std::string Quoted(std::string_view text, char quote = '"') {
  std::string quoted(1, quote);
  for (const char character : text) {
    constexpr std::string_view kNamed = "\a\b\f\n\r\t\v";
    const auto named = kNamed.find(character);
    const auto byte = static_cast<unsigned char>(character);
    if (character == quote || character == '\\') {
      quoted.append({'\\', character});
    } else if (named != std::string_view::npos) {
      quoted.append({'\\', "abfnrtv"[named]});
    } else if (byte < 0x20 || byte == 0x7f) {
      quoted.append("\\x").append({"0123456789abcdef"[byte / 16], "0123456789abcdef"[byte % 16]});
    } else {
      quoted.push_back(character);
    }
  }
  return quoted + quote;
}

std::string LineOf(const IdRange& range) {
  return std::to_string(range.inside) + ' ' + std::to_string(range.outside) + ' ' +
         std::to_string(range.count);
}

std::string MapText(const std::vector<IdRange>& ranges) {
  std::string text;
  for (const IdRange& range : ranges) text += LineOf(range) + '\n';
  return text;
}

std::string OffsetsText(const std::vector<TimeOffset>& offsets) {
  std::string text;
  for (const TimeOffset& offset : offsets) {
    text += offset.clock + ' ' + std::to_string(offset.seconds) + ' ' +
            std::to_string(offset.nanoseconds) + '\n';
  }
  return text;
}

bool Meet(std::uint32_t a, std::uint32_t a_count, std::uint32_t b, std::uint32_t b_count) {
  return a < std::uint64_t{b} + b_count && b < std::uint64_t{a} + a_count;
}

/// Refuses ranges that go beyond the largest id, and ranges that meet, inside or outside.
std::optional<Error> CheckRanges(std::string_view name, const std::vector<IdRange>& ranges) {
  // The kernel takes the largest number for "no id".
  constexpr std::uint64_t kIds = std::numeric_limits<std::uint32_t>::max();
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const IdRange& range = ranges[i];
    if (std::uint64_t{range.inside} + range.count > kIds ||
        std::uint64_t{range.outside} + range.count > kIds) {
      return Invalid(name, " line ", i + 1, " goes beyond the largest id: ", Quoted(LineOf(range)));
    }
    for (std::size_t j = 0; j < i; ++j) {
      const IdRange& other = ranges[j];
      const bool inside = Meet(range.inside, range.count, other.inside, other.count);
      if (inside || Meet(range.outside, range.count, other.outside, other.count)) {
        return Invalid(name, " lines ", j + 1, " and ", i + 1, " map the same id ",
                       inside ? "inside" : "outside");
      }
    }
  }
  return std::nullopt;
}

std::optional<Error> CheckTimeOffsets(const std::vector<TimeOffset>& offsets) {
  std::set<std::string_view> seen;
  for (const TimeOffset& offset : offsets) {
    if (offset.clock != "boottime" && offset.clock != "monotonic") {
      return Invalid("TIMENSOFFSET names an unknown clock: ", Quoted(offset.clock));
    }
    if (!seen.insert(offset.clock).second) {
      return Invalid("TIMENSOFFSET names the clock ", offset.clock, " twice");
    }
    if (offset.nanoseconds >= 1'000'000'000) {
      return Invalid("TIMENSOFFSET has ", offset.nanoseconds, " nanoseconds for ", offset.clock,
                     ", a second or more");
    }
  }
  return std::nullopt;
}

std::optional<Error> CheckJoin(const Join& join) {
  const std::string_view name = NameOf(join.kind);
  if (name.empty()) return Invalid("a namespace to join is not of one kind: ", Hex(join.kind));
  const std::size_t bad = join.path.find_first_of(std::string_view(",\0", 2));
  if (bad != std::string::npos) {
    return Invalid("the path of the ", name, " namespace has a ",
                   Quoted(join.path.substr(bad, 1), '\''),
                   " inside, which NS_PATHS cannot carry: ", Quoted(join.path));
  }
  return std::nullopt;
}

/// Refuses what the encoded form could not show, or what the kernel alone would refuse.
std::optional<Error> CheckFields(const Message& message) {
  if (const Namespaces unknown = message.create & ~kAllKinds; unknown != 0) {
    return Invalid("CLONE_FLAGS has bits that are no namespace: ", unknown);
  }
  for (const Join& join : message.join) {
    if (auto error = CheckJoin(join)) return error;
  }
  if (message.uid_map_tool.find('\0') != std::string::npos) {
    return Invalid("UIDMAPPATH has a NUL inside");
  }
  if (message.gid_map_tool.find('\0') != std::string::npos) {
    return Invalid("GIDMAPPATH has a NUL inside");
  }
  if ((message.create & kUser) != 0) {
    if (auto error = CheckRanges("UIDMAP", message.uid_map)) return error;
    if (auto error = CheckRanges("GIDMAP", message.gid_map)) return error;
  }
  return CheckTimeOffsets(message.time_offsets);
}

/// Appends attributes. The first error stays.
class Encoder {
 public:
  void AddNumber(Attribute type, std::uint32_t value) {
    Add(type, {reinterpret_cast<const char*>(&value), sizeof(value)});
  }

  void AddText(Attribute type, std::string_view name, std::string value) {
    constexpr std::size_t kMost =
        std::numeric_limits<std::uint16_t>::max() - kAttributeHeaderSize - 1;
    if (value.size() > kMost) {
      if (!error_) {
        error_ = Invalid(name, " is ", value.size(), " bytes long, a message has room for ", kMost);
      }
      return;
    }
    value.push_back('\0');
    Add(type, value);
  }

  void AddOptional(Attribute type, std::string_view name, const std::string& value) {
    if (!value.empty()) AddText(type, name, value);
  }

  Result<std::string> Finish() {
    if (error_) return *error_;
    const auto size = static_cast<std::uint32_t>(bytes_.size());
    bytes_.replace(0, sizeof(size), reinterpret_cast<const char*>(&size), sizeof(size));
    bytes_.replace(sizeof(size), sizeof(kMessageType), reinterpret_cast<const char*>(&kMessageType),
                   sizeof(kMessageType));
    // Encode refuses every message that the core would refuse, since this is what the core does.
    if (auto text = WhyCoreRefuses(bytes_)) return Invalid(*text);
    return std::move(bytes_);
  }

 private:
  void Append(std::uint16_t number) {
    bytes_.append(reinterpret_cast<const char*>(&number), sizeof(number));
  }

  void Add(Attribute type, std::string_view value) {
    Append(static_cast<std::uint16_t>(kAttributeHeaderSize + value.size()));
    Append(static_cast<std::uint16_t>(type));
    bytes_.append(value);
    while (bytes_.size() % kAttributeAlignment != 0) bytes_.push_back('\0');
  }

  std::string bytes_ = std::string(kHeaderSize, '\0');
  std::optional<Error> error_;
};

}  // namespace

Result<std::string> Message::Encode() const {
  if (auto error = CheckFields(*this)) return *error;
  Encoder encoder;
  if (create != 0) encoder.AddNumber(Attribute::kCloneFlags, create);
  if (!join.empty()) {
    std::string list;
    for (const Join& each : join) {
      if (!list.empty()) list += ',';
      list += Text(NameOf(each.kind)) + ':' + each.path;
    }
    encoder.AddText(Attribute::kNamespacePaths, "NS_PATHS", std::move(list));
  }
  if ((create & kUser) != 0) {
    encoder.AddText(Attribute::kUidMap, "UIDMAP", MapText(uid_map));
    encoder.AddText(Attribute::kGidMap, "GIDMAP", MapText(gid_map));
    encoder.AddOptional(Attribute::kUidMapPath, "UIDMAPPATH", uid_map_tool);
    encoder.AddOptional(Attribute::kGidMapPath, "GIDMAPPATH", gid_map_tool);
  }
  if (drop_groups) encoder.AddNumber(Attribute::kSetgroup, 1);
  if (rootless) encoder.AddNumber(Attribute::kRootlessEuid, 1);
  if (oom_score_adj) {
    encoder.AddText(Attribute::kOomScoreAdj, "OOM_SCORE_ADJ", std::to_string(*oom_score_adj));
  }
  if ((create & kTime) != 0) {
    encoder.AddOptional(Attribute::kTimeOffsets, "TIMENSOFFSET", OffsetsText(time_offsets));
  }
  return encoder.Finish();
}

}  // namespace nsenter::parent
