// SPDX-License-Identifier: Apache-2.0

#include "core.h"

#include "netlink_message.h"

#include <mutex>

namespace nsenter::parent {

std::optional<std::string> WhyCoreRefuses(std::string_view message) {
  // The core has one place for the text of an error, being one process with one thread.
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  const auto parsed = ParseMessage(message);
  if (parsed.ok()) return std::nullopt;
  return std::string(parsed.error().text());
}

}  // namespace nsenter::parent
