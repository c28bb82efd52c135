// SPDX-License-Identifier: Apache-2.0
//
// Text that is shown to somebody: in the strings of JSON, and on standard error.

#pragma once

#include "base.h"
#include "text.h"

namespace nsenter {

/// What has to be escaped besides control characters between the quotes of a JSON string (RFC 8259,
/// section 7), and on standard error.
inline constexpr std::string_view kJsonSpecial = "\"\\";
inline constexpr std::string_view kNothingSpecial;

/// Appends `text` with control characters escaped as in JSON (DEL too: a terminal would act on it),
/// and a backslash before those that are `special`. Bytes above DEL pass as they are. What would
/// leave less than `reserve` bytes of the line's capacity is cut, and "..." stands in its place.
template <std::size_t kCapacity>
void AppendEscaped(FixedText<kCapacity>& line, std::string_view text, std::string_view special,
                   std::size_t reserve) {
  constexpr std::string_view kHexDigits = "0123456789abcdef";
  constexpr std::string_view kCut = "...";
  constexpr std::size_t kLongestEscape = 6;  // \u001f
  for (const char character : text) {
    if (line.size() + kLongestEscape + kCut.size() + reserve > kCapacity) {
      line.Append(kCut);
      return;
    }
    const auto byte = static_cast<unsigned char>(character);
    if (special.find(character) != std::string_view::npos) {
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

/// As it has to stand between the quotes of a JSON string.
template <std::size_t kCapacity>
void AppendJsonEscaped(FixedText<kCapacity>& line, std::string_view text, std::size_t reserve) {
  AppendEscaped(line, text, kJsonSpecial, reserve);
}

}  // namespace nsenter
