// SPDX-License-Identifier: Apache-2.0

#include "lists.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace inject {
namespace {

constexpr std::string_view kSeparator = " | ";

[[noreturn]] void Refuse(const std::string& path, const std::string& why, const std::string& line) {
  fprintf(stderr, "injector: %s: %s: %s\n", path.c_str(), why.c_str(), line.c_str());
  exit(3);
}

std::string Trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(' ');
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

/// The fields of all lines that are no comments.
std::vector<std::vector<std::string>> ReadTable(const std::string& path, std::size_t columns) {
  std::ifstream file(path);
  std::vector<std::vector<std::string>> table;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::vector<std::string> fields;
    std::size_t begin = 0;
    for (std::size_t end = 0; end != std::string::npos; begin = end + kSeparator.size()) {
      end = line.find(kSeparator, begin);
      fields.push_back(Trimmed(line.substr(begin, end - begin)));
    }
    if (fields.size() != columns) Refuse(path, "another number of columns", line);
    table.push_back(fields);
  }
  if (table.empty()) Refuse(path, "nothing in it", "");
  return table;
}

std::vector<Harmless> ReadHarmless(const std::string& path) {
  std::vector<Harmless> entries;
  for (const std::vector<std::string>& fields : ReadTable(path, 4)) {
    Harmless& entry = entries.emplace_back();
    entry.list = "harmless calls";
    entry.call = fields[0];
    entry.faults = fields[1];
    entry.outcome = fields[2];
    entry.reason = fields[3];
    if (entry.outcome != "same" && entry.outcome != "explained" && entry.outcome != "either" &&
        entry.outcome != "late") {
      Refuse(path, "no such outcome", entry.outcome);
    }
  }
  if (entries.size() > kHarmlessLimit) {
    Refuse(path, "too many lines", std::to_string(entries.size()));
  }
  return entries;
}

std::vector<Purpose> ReadPurposes(const std::string& path) {
  std::vector<Purpose> entries;
  for (const std::vector<std::string>& fields : ReadTable(path, 3)) {
    Purpose& entry = entries.emplace_back();
    entry.list = "purposes";
    entry.processes = "," + fields[0] + ",";
    entry.call = fields[1];
    entry.line = fields[2];
    try {
      entry.calls = fields[1];
    } catch (const std::regex_error& error) {
      Refuse(path, error.what(), fields[1]);
    }
  }
  return entries;
}

}  // namespace

bool Purpose::Fits(const std::string& process, const std::string& failed_call,
                   const std::string& said) const {
  if (processes.find("," + process + ",") == std::string::npos) return false;
  std::smatch found;
  if (!std::regex_match(failed_call, found, calls)) return false;
  std::string expected = line;
  for (std::size_t at; (at = expected.find("$1")) != std::string::npos;) {
    expected.replace(at, 2, found[1].str());
  }
  return std::regex_match(said, std::regex(expected));
}

std::vector<Entry*> Lists::Entries() {
  std::vector<Entry*> all;
  for (Harmless& entry : harmless) all.push_back(&entry);
  for (Purpose& entry : purposes) all.push_back(&entry);
  return all;
}

Lists ReadLists(const std::string& harmless, const std::string& purposes) {
  return {ReadHarmless(harmless),
          purposes.empty() ? std::vector<Purpose>() : ReadPurposes(purposes)};
}

}  // namespace inject
