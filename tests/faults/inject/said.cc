// SPDX-License-Identifier: Apache-2.0

#include "said.h"

#include <sstream>

namespace inject {

std::string WithoutCarriageReturns(std::string text) {
  std::erase(text, '\r');
  return text;
}

std::string WithoutJunk(const std::string& text) {
  const std::size_t start = text.find_first_not_of('.');
  return start == std::string::npos ? "" : text.substr(start);
}

void SortLog(const std::string& text, Observation& seen) {
  const std::string fatal_start = R"({"level":"fatal", "msg": "nsexec)";
  constexpr const char* kOtherStarts[] = {R"({"level":"debug", "msg": "nsexec)",
                                          R"({"level":"info", "msg": "nsexec)",
                                          R"({"level":"warning", "msg": "nsexec)"};
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const bool whole = line.size() > 2 && line.compare(line.size() - 2, 2, "\"}") == 0;
    const std::size_t prefix_end = line.find("]: ");
    bool known = false;
    for (const std::string start : kOtherStarts) known = known || line.rfind(start, 0) == 0;
    if (line.rfind(fatal_start, 0) == 0 && whole && prefix_end != std::string::npos) {
      seen.fatal.push_back(line.substr(prefix_end + 3, line.size() - prefix_end - 5));
    } else if (!known || !whole) {
      seen.strange.push_back(line);
    }
  }
  if (!text.empty() && text.back() != '\n') seen.strange.push_back("a line without an end");
}

void SortErrors(const std::string& text, bool classic, Observation& seen) {
  const std::string start = classic ? "nsenter: " : "FATAL: ";
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(start, 0) == 0) {
      seen.fatal.push_back(line.substr(start.size()));
    } else if (line.rfind("newuidmap: ", 0) == 0 || line.rfind("newgidmap: ", 0) == 0) {
      seen.tools.push_back(line);
    } else {
      seen.strange.push_back("stderr: " + line);
    }
  }
}

}  // namespace inject
