// SPDX-License-Identifier: Apache-2.0

#include "script.h"

#include <algorithm>

namespace nsenter::fuzz {
namespace {

struct Variable {
  char letter;
  const char* name;
};

// tests/fuzz/corpus writes the same letters.
constexpr Variable kVariables[] = {
    {'P', "_LIBCONTAINER_INITPIPE"},     {'I', "_LIBCONTAINER_INITPID"},
    {'C', "_LIBCONTAINER_CONSOLE_PATH"}, {'L', "_LIBCONTAINER_LOGPIPE"},
    {'V', "_LIBCONTAINER_LOGLEVEL"},     {'M', "_LIBCONTAINER_MOUNT_FDS"},
    {'S', "_LIBCONTAINER_STATEDIR"},     {'Y', "_LIBCONTAINER_SYNCPIPE"},
    {'N', "NSEXEC_COPY_MEMORY"},
};

std::string TakeSection(const uint8_t*& data, const uint8_t* end) {
  std::string section;
  while (data != end) {
    const char byte = static_cast<char>(*data++);
    if (byte == '\\' && data != end && *data++ != '\\') break;
    section += byte;
  }
  return section;
}

void Set(Script& script, const std::string& entry) {
  const auto* const known =
      std::find_if(std::begin(kVariables), std::end(kVariables),
                   [&](const Variable& v) { return !entry.empty() && v.letter == entry[0]; });
  if (known == std::end(kVariables) || script.Get(known->name) != nullptr) return;
  script.environment.emplace_back(known->name, entry.substr(1));
}

}  // namespace

const char* Script::Get(const std::string& name) const {
  for (const auto& [known, value] : environment) {
    if (known == name) return value.c_str();
  }
  return nullptr;
}

Script ParseScript(const uint8_t* data, std::size_t size) {
  const uint8_t* const end = data + size;
  Script script;
  const std::string environment = TakeSection(data, end);
  for (std::size_t first = 0; first <= environment.size();) {
    const std::size_t last = std::min(environment.find('\0', first), environment.size());
    Set(script, environment.substr(first, last - first));
    first = last + 1;
  }
  script.init_pipe = TakeSection(data, end);
  if (data != end) script.world = *data++;
  if (data != end) {
    script.follow = static_cast<Role>(*data & 3U);
    script.world |= static_cast<unsigned>(*data++ >> 2U) << 8U;
  }
  script.faults.assign(data, end);
  return script;
}

}  // namespace nsenter::fuzz
