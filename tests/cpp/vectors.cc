// SPDX-License-Identifier: Apache-2.0

#include "vectors.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <set>
#include <sstream>

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
      all.push_back(std::move(vector));
    }
  }
  EXPECT_FALSE(all.empty()) << "no vectors in " << folder;
  return all;
}

}  // namespace nsenter::test
