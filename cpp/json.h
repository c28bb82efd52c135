// SPDX-License-Identifier: Apache-2.0
//
// JSON strings, for the log lines.

#pragma once

#include "base.h"
#include "text.h"

namespace nsenter {

/// Appends `text` as it has to stand between the quotes of a JSON string (RFC 8259, section 7). DEL
/// is escaped too, as a terminal would act on it; bytes above it pass as they are. What would leave
/// less than `reserve` bytes of the line's capacity is cut, and "..." stands in its place.
template <std::size_t kCapacity>
void AppendJsonEscaped(FixedText<kCapacity>& line, std::string_view text, std::size_t reserve) {
  constexpr std::string_view kHexDigits = "0123456789abcdef";
  constexpr std::string_view kCut = "...";
  constexpr std::size_t kLongestEscape = 6;  // \u001f
  for (const char character : text) {
    if (line.size() + kLongestEscape + kCut.size() + reserve > kCapacity) {
      line.Append(kCut);
      return;
    }
    const auto byte = static_cast<unsigned char>(character);
    if (character == '"' || character == '\\') {
      line.AppendAll('\\', character);
    } else if (character == '\n') {
      line.Append("\\n");
    } else if (byte < 0x20 || byte == 0x7f) {
      line.AppendAll("\\u00", kHexDigits.data()[byte >> 4U], kHexDigits.data()[byte & 0xfU]);
    } else {
      line.Append(character);
    }
  }
}

}  // namespace nsenter
