// SPDX-License-Identifier: Apache-2.0
//
// Message::Encode of parent/ as a process that answers: on standard input u32 number of texts, and
// so many times u32 length and text, FIELD and VALUE in turn; on standard output u32 length and
// either "error" and the text or "ok" and the message.

#include "nsexec/parent.h"

#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace {

using nsenter::parent::Message;

bool Read(std::uint32_t& ret_number) {
  return std::fread(&ret_number, sizeof(ret_number), 1, stdin) == 1;
}

std::string ReadText() {
  std::uint32_t size = 0;
  if (!Read(size)) std::exit(1);
  std::string text(size, '\0');
  if (size != 0 && std::fread(text.data(), 1, size, stdin) != size) std::exit(1);
  return text;
}

void Set(Message& message, const std::string& field, const std::string& value) {
  std::istringstream words(value);
  if (field == "create") {
    words >> message.create;
  } else if (field == "join") {
    nsenter::parent::Join& join = message.join.emplace_back();
    words >> join.kind;
    join.path = value.substr(value.find(' ') + 1);
  } else if (field == "uid" || field == "gid") {
    auto& range = (field == "uid" ? message.uid_map : message.gid_map).emplace_back();
    words >> range.inside >> range.outside >> range.count;
  } else if (field == "uid-tool") {
    message.uid_map_tool = value;
  } else if (field == "gid-tool") {
    message.gid_map_tool = value;
  } else if (field == "drop-groups") {
    message.drop_groups = true;
  } else if (field == "rootless") {
    message.rootless = true;
  } else if (field == "oom") {
    words >> message.oom_score_adj.emplace();
  } else if (field == "offset") {
    auto& offset = message.time_offsets.emplace_back();
    words >> offset.clock >> offset.seconds >> offset.nanoseconds;
  } else {
    std::exit(1);
  }
}

}  // namespace

int main() {
  std::uint32_t count = 0;
  while (Read(count)) {
    Message message;
    for (std::uint32_t i = 0; i < count; i += 2) {
      const std::string field = ReadText();
      Set(message, field, ReadText());
    }
    const auto encoded = message.Encode();
    const std::string answer = encoded ? "ok" + *encoded : "error" + encoded.error().text;
    const auto length = static_cast<std::uint32_t>(answer.size());
    if (std::fwrite(&length, sizeof(length), 1, stdout) != 1 ||
        std::fwrite(answer.data(), 1, answer.size(), stdout) != answer.size() ||
        std::fflush(stdout) != 0) {
      return 1;
    }
  }
  return 0;
}
