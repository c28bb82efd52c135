// SPDX-License-Identifier: Apache-2.0
//
// The C++ parser as a process that answers: on standard input u32 length and message, again and
// again; on standard output u32 length and either "error", TEXT or "ok", FIELD VALUE, ..., each
// followed by a NUL, which no text has inside. Fields are those of
// tests/conformance/vectors/README.md.

#include "netlink_message.h"

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace {

using nsenter::Bootstrap;

void Add(std::string& answer, std::string_view field, std::string_view value = {}) {
  answer.append(field);
  if (!value.empty()) answer.append(" ").append(value);
  answer.push_back('\0');
}

void AddIfAny(std::string& answer, std::string_view field, std::string_view value) {
  if (!value.empty()) Add(answer, field, value);
}

std::string Answer(std::string_view message) {
  std::string answer;
  const nsenter::Result<Bootstrap> parsed = nsenter::ParseMessage(message);
  if (!parsed.ok()) {
    Add(answer, "error");
    Add(answer, parsed.error().text());
    return answer;
  }
  const Bootstrap& bootstrap = parsed.value();
  Add(answer, "ok");
  if (bootstrap.clone_flags != 0) {
    char flags[16];
    (void)std::snprintf(flags, sizeof(flags), "0x%x", static_cast<unsigned>(bootstrap.clone_flags));
    Add(answer, "clone-flags", flags);
  }
  for (std::size_t i = 0; i < bootstrap.join_count; ++i) {
    Add(answer, "namespace " + std::string(bootstrap.joins[i].type.name), bootstrap.joins[i].path);
  }
  AddIfAny(answer, "uid-map", bootstrap.uid_map.text);
  AddIfAny(answer, "gid-map", bootstrap.gid_map.text);
  if (bootstrap.setgroups) Add(answer, "setgroup 1");
  AddIfAny(answer, "oom-score-adj", bootstrap.oom_score_adj);
  if (bootstrap.rootless_euid) Add(answer, "rootless-euid 1");
  AddIfAny(answer, "uid-map-tool", bootstrap.uid_map_tool);
  AddIfAny(answer, "gid-map-tool", bootstrap.gid_map_tool);
  AddIfAny(answer, "time-offsets", bootstrap.time_offsets);
  return answer;
}

}  // namespace

int main() {
  std::uint32_t size = 0;
  while (std::fread(&size, sizeof(size), 1, stdin) == 1) {
    std::vector<char> message(size);
    if (size != 0 && std::fread(message.data(), 1, size, stdin) != size) return 1;
    const std::string answer = Answer({message.data(), message.size()});
    const auto length = static_cast<std::uint32_t>(answer.size());
    if (std::fwrite(&length, sizeof(length), 1, stdout) != 1 ||
        std::fwrite(answer.data(), 1, answer.size(), stdout) != answer.size() ||
        std::fflush(stdout) != 0) {
      return 1;
    }
  }
  return 0;
}
