// SPDX-License-Identifier: Apache-2.0
//
// Fuzzes the parser of bootstrap messages with the input as it is, and with a header that fits it,
// so that the attributes are looked at.

#include "netlink_message.h"

#include "../unit/message.h"

#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>

namespace nsenter {
namespace {

void Demand(bool kept, const char* promise) {
  if (kept) return;
  (void)std::fprintf(stderr, "\nbroken promise: %s\n", promise);
  std::abort();
}

/// A copy that has a heap block to itself: AddressSanitizer sees each byte beyond it.
class Copy {
 public:
  explicit Copy(std::string_view bytes)
      : bytes_(std::make_unique<char[]>(bytes.size())), size_(bytes.size()) {
    if (size_ != 0) std::memcpy(bytes_.get(), bytes.data(), size_);
  }
  [[nodiscard]] std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_;
};

/// A text of the message: it lies in it, the NUL that ends it included, and has none inside.
void CheckText(std::string_view text, std::string_view message) {
  if (text.empty()) return;
  const std::less_equal<> precedes;
  const char* const end = message.data() + message.size();
  Demand(precedes(message.data() + kMessageHeaderSize, text.data()) &&
             precedes(text.data() + text.size(), end),
         "texts lie within the message");
  Demand(text.find('\0') == std::string_view::npos, "texts have no NUL inside");
}

void CheckMap(const IdMap& map, std::string_view message) {
  CheckText(map.text, message);
  Demand(map.lines <= kIdMapLines, "maps have no more lines than the kernel takes");
}

void CheckBootstrap(const Bootstrap& bootstrap, std::string_view message) {
  Demand((bootstrap.clone_flags & ~kAllNamespaces) == 0, "clone flags are namespaces");
  Demand(bootstrap.join_count <= kNamespaceTypeCount, "no more is joined than there are types");
  int seen = 0;
  for (std::size_t i = 0; i < bootstrap.join_count; ++i) {
    const NamespacePath& join = bootstrap.joins[i];
    Demand((seen & join.type.clone_flag) == 0, "no namespace is joined twice");
    seen |= join.type.clone_flag;
    Demand(!join.path.empty() && join.path.size() < PATH_MAX, "paths are possible ones");
    Demand(join.path.find(',') == std::string_view::npos, "paths end at the comma");
    CheckText(join.path, message);
  }
  CheckMap(bootstrap.uid_map, message);
  CheckMap(bootstrap.gid_map, message);
  if (bootstrap.Creates(CLONE_NEWUSER)) {
    Demand((seen & CLONE_NEWUSER) == 0, "a user namespace is not joined and created");
    Demand(bootstrap.uid_map.maps_zero && bootstrap.gid_map.maps_zero, "maps have an id 0");
  }
  for (const std::string_view text : {bootstrap.uid_map_tool, bootstrap.gid_map_tool,
                                      bootstrap.oom_score_adj, bootstrap.time_offsets}) {
    CheckText(text, message);
  }
  for (const std::string_view tool : {bootstrap.uid_map_tool, bootstrap.gid_map_tool}) {
    Demand(tool.empty() || tool.front() == '/', "mapping tools have absolute paths");
  }
  if (!bootstrap.oom_score_adj.empty()) {
    const int score = std::atoi(std::string(bootstrap.oom_score_adj).c_str());
    Demand(score >= -1000 && score <= 1000, "oom scores are what the kernel takes");
  }
}

/// Everything in a bootstrap as a message, in an order of its own: what was understood, said again.
std::string Encode(const Bootstrap& bootstrap) {
  std::string attributes;
  const auto add = [&](std::uint16_t type, const std::string& value) {
    attributes += test::Attribute(type, value);
  };
  const auto add_text = [&](std::uint16_t type, std::string_view text) {
    if (!text.empty()) attributes += test::TextAttribute(type, std::string(text));
  };
  add_text(27290, bootstrap.time_offsets);
  add_text(27289, bootstrap.gid_map_tool);
  add_text(27288, bootstrap.uid_map_tool);
  add(27287, test::Bytes(static_cast<std::uint8_t>(bootstrap.rootless_euid)));
  add_text(27286, bootstrap.oom_score_adj);
  add(27285, test::Bytes(static_cast<std::uint16_t>(bootstrap.setgroups)));
  add_text(27284, bootstrap.gid_map.text);
  add_text(27283, bootstrap.uid_map.text);
  std::string list;
  for (std::size_t i = 0; i < bootstrap.join_count; ++i) {
    const NamespacePath& join = bootstrap.joins[i];
    list +=
        std::string(i == 0 ? "" : ",") + std::string(join.type.name) + ":" + std::string(join.path);
  }
  add_text(27282, list);
  add(27281, test::Bytes(static_cast<std::uint32_t>(bootstrap.clone_flags)));
  const auto size = static_cast<std::uint32_t>(kMessageHeaderSize + attributes.size());
  return test::Header(size, kBootstrapMessageType, '\xff') + attributes;
}

bool Same(const IdMap& a, const IdMap& b) {
  return a.text == b.text && a.lines == b.lines && a.maps_zero == b.maps_zero &&
         a.maps_one_id == b.maps_one_id && a.id_outside == b.id_outside;
}

bool Same(const Bootstrap& a, const Bootstrap& b) {
  bool same = a.clone_flags == b.clone_flags && a.join_count == b.join_count &&
              Same(a.uid_map, b.uid_map) && Same(a.gid_map, b.gid_map) &&
              a.uid_map_tool == b.uid_map_tool && a.gid_map_tool == b.gid_map_tool &&
              a.setgroups == b.setgroups && a.rootless_euid == b.rootless_euid &&
              a.oom_score_adj == b.oom_score_adj && a.time_offsets == b.time_offsets;
  for (std::size_t i = 0; same && i < a.join_count; ++i) {
    same = a.joins[i].type.clone_flag == b.joins[i].type.clone_flag &&
           a.joins[i].path == b.joins[i].path;
  }
  return same;
}

void Parse(std::string_view message) {
  const Result<Bootstrap> first = ParseMessage(message);
  // The next error takes its place.
  const std::string text(first.ok() ? "" : first.error().text());
  const Copy copy(message);
  const Result<Bootstrap> second = ParseMessage(copy.view());
  Demand(first.ok() == second.ok(), "the same bytes mean the same");
  if (!first.ok()) {
    Demand(!text.empty(), "a refusal says why");
    Demand(text == second.error().text(), "the same bytes mean the same");
    Demand(!first.error().reported() && first.error().code() == 0, "a parser calls nobody");
    return;
  }
  Demand(Same(first.value(), second.value()), "the same bytes mean the same");
  Demand(message.substr(0, 4) == test::Bytes(static_cast<std::uint32_t>(message.size())),
         "a message is as long as it says");
  CheckBootstrap(first.value(), message);
  const std::string again = Encode(first.value());
  const Result<Bootstrap> third = ParseMessage(again);
  Demand(third.ok() && Same(first.value(), third.value()), "what was understood can be said again");
}

}  // namespace
}  // namespace nsenter

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  nsenter::Parse(nsenter::Copy(input).view());
  if (size < nsenter::kMessageHeaderSize) return 0;
  const std::string header = nsenter::test::Bytes(static_cast<std::uint32_t>(size)) +
                             nsenter::test::Bytes(nsenter::kBootstrapMessageType);
  nsenter::Parse(nsenter::Copy(header + std::string(input.substr(header.size()))).view());
  return 0;
}
