// SPDX-License-Identifier: Apache-2.0

#include "vectors.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iostream>
#include <set>
#include <sstream>
#include <unistd.h>

namespace nsenter::test {
namespace {

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

/// A whole word as a number.
template <typename Number>
bool ParseWhole(const std::string& word, int base, Number& ret_number) {
  const char* const end = word.data() + word.size();
  const auto result = std::from_chars(word.data(), end, ret_number, base);
  return !word.empty() && result.ec == std::errc() && result.ptr == end;
}

/// What stands before the "#" of a `hex` or `fill` line, in words.
bool SplitBytes(std::string_view value, std::vector<std::string>& ret_words) {
  const std::size_t comment = value.find('#');
  if (comment == std::string_view::npos) return false;
  std::istringstream words{std::string(value.substr(0, comment))};
  for (std::string word; words >> word;) ret_words.push_back(word);
  return !Trim(value.substr(comment + 1)).empty();
}

/// Turns the number of `size` bytes at `at` around, if it is there, and returns what it was.
std::uint32_t SwapNumber(std::string& message, std::size_t at, std::size_t size) {
  if (at + size > message.size()) return 0;
  std::uint32_t number = 0;
  for (std::size_t i = size; i-- > 0;) {
    number = number << 8U | static_cast<unsigned char>(message[at + i]);
  }
  const auto first = message.begin() + static_cast<std::ptrdiff_t>(at);
  std::reverse(first, first + static_cast<std::ptrdiff_t>(size));
  return number;
}

bool AppendHex(std::string_view value, std::string& message) {
  std::vector<std::string> words;
  if (!SplitBytes(value, words)) return false;
  for (const std::string& word : words) {
    if (word.size() % 2 != 0) return false;
    for (std::size_t i = 0; i < word.size(); i += 2) {
      unsigned char byte = 0;
      if (!ParseWhole(word.substr(i, 2), 16, byte)) return false;
      message += static_cast<char>(byte);
    }
  }
  return true;
}

bool AppendFill(std::string_view value, std::string& message) {
  std::vector<std::string> words;
  std::size_t count = 0;
  unsigned char byte = 0;
  if (!SplitBytes(value, words) || words.size() != 2 || !ParseWhole(words[0], 10, count) ||
      !ParseWhole(words[1], 16, byte)) {
    return false;
  }
  message.append(count, static_cast<char>(byte));
  return true;
}

bool IsWord(std::string_view text, bool digits) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [=](char c) {
    return (c >= 'a' && c <= 'z') || c == '-' || (digits && c >= '0' && c <= '9');
  });
}

/// Takes one line that is neither empty nor a comment.
bool ParseLine(std::string_view line, std::vector<Vector>& vectors) {
  if (line.front() == '[') {
    if (line.back() != ']' || !IsWord(line.substr(1, line.size() - 2), true)) return false;
    vectors.push_back({std::string(line.substr(1, line.size() - 2)), {}, ""});
    return true;
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || vectors.empty()) return false;
  const std::string_view key = line.substr(0, colon);
  const std::string_view value = Trim(line.substr(colon + 1));
  if (!IsWord(key, false)) return false;
  Vector& vector = vectors.back();
  vector.lines.emplace_back(key, value);
  if (key == "hex") return AppendHex(value, vector.message);
  if (key == "fill") return AppendFill(value, vector.message);
  return true;
}

}  // namespace

void SwapByteOrder(std::string& message) {
  constexpr std::uint32_t kCloneFlags = 27281;
  constexpr std::uint32_t kSetgroup = 27285;
  constexpr std::uint32_t kRootlessEuid = 27287;
  constexpr std::size_t kHeader[][2] = {{0, 4}, {4, 2}, {6, 2}, {8, 4}, {12, 4}};
  for (const auto& [at, size] : kHeader) SwapNumber(message, at, size);
  for (std::size_t at = 16; at + 4 <= message.size();) {
    const std::size_t length = SwapNumber(message, at, 2);
    const std::uint32_t type = SwapNumber(message, at + 2, 2);
    if (length < 4 || length > message.size() - at) return;
    // All other values are texts, and a boolean of one byte has no order.
    const std::size_t size = length - 4;
    const bool is_boolean = type == kSetgroup || type == kRootlessEuid;
    if ((size == 4 && (is_boolean || type == kCloneFlags)) || (size == 2 && is_boolean)) {
      SwapNumber(message, at + 4, size);
    }
    at += (length + 3) / 4 * 4;
  }
}

std::vector<std::string> Vector::All(std::string_view key) const {
  std::vector<std::string> values;
  for (const auto& [line_key, value] : lines) {
    if (line_key == key) values.push_back(value);
  }
  return values;
}

std::string Vector::Only(std::string_view key) const {
  const std::vector<std::string> values = All(key);
  EXPECT_LE(values.size(), 1U) << name << " has more than one " << key;
  return values.empty() ? "" : values.front();
}

std::vector<Vector> ParseVectors(std::string_view file, std::string_view text) {
  std::vector<Vector> vectors;
  std::istringstream lines{std::string(text)};
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (Trim(line).empty() || line.front() == '#') continue;
    if (!ParseLine(line, vectors)) ADD_FAILURE() << file << ":" << number << ": " << line;
  }
  return vectors;
}

std::vector<Vector> ReadVectors(const std::string& folder) {
  std::vector<Vector> all;
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".vectors") continue;
    std::ostringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    for (Vector& vector : ParseVectors(entry.path().filename().string(), text.str())) {
      EXPECT_TRUE(names.insert(vector.name).second) << "two vectors are named " << vector.name;
      const std::string page = vector.Only("page");
      if (!page.empty() && page != std::to_string(sysconf(_SC_PAGESIZE))) {
        std::cout << "LEFT OUT: " << vector.name << " needs pages of " << page << " bytes\n";
        continue;
      }
      if (std::endian::native == std::endian::big) SwapByteOrder(vector.message);
      all.push_back(std::move(vector));
    }
  }
  EXPECT_FALSE(all.empty()) << "no vectors in " << folder;
  return all;
}

}  // namespace nsenter::test
