// SPDX-License-Identifier: Apache-2.0

#include "text.h"

#include <cstring>

namespace nsenter {
namespace {

constexpr std::string_view kCut = "...";

}  // namespace

void Text::Clear() {
  size_ = 0;
  bytes_[0] = '\0';
}

void Text::AppendBytes(const char* bytes, std::size_t size) {
  const bool cut = size > room();
  if (cut) size = room();
  // Not memcpy: one more function of libc is one more search for it (sys_call.h), for few bytes. A
  // compiler that saw what the loop does would call it nevertheless.
  char* const end = bytes_ + size_;
  for (std::size_t i = 0; i < size; ++i) {
    end[i] = bytes[i];
    asm volatile("" : : "r"(end) : "memory");
  }
  size_ += size;
  bytes_[size_] = '\0';
  if (cut) std::memcpy(bytes_ + capacity_ - kCut.size(), kCut.data(), kCut.size());
}

void Text::AppendNumber(std::int64_t number) {
  char digits[24];
  std::size_t first = sizeof(digits);
  const bool negative = number < 0;
  // Digit by digit from the signed value: its negative may not be representable.
  do {
    const int digit = static_cast<int>(number % 10);
    digits[--first] = static_cast<char>('0' + (digit < 0 ? -digit : digit));
    number /= 10;
  } while (number != 0);
  if (negative) digits[--first] = '-';
  AppendBytes(digits + first, sizeof(digits) - first);
}

void Text::Append(Piece piece) {
  if (piece.data_ == &Piece::kNumber) {
    AppendNumber(piece.value_);
  } else if (piece.data_ == &Piece::kCharacter) {
    const char character = static_cast<char>(piece.value_);
    AppendBytes(&character, 1);
  } else {
    AppendBytes(piece.data_, static_cast<std::size_t>(piece.value_));
  }
}

void Text::Append(const Piece* pieces, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) Append(pieces[i]);
}

void AppendEscaped(Text& line, std::string_view text, std::string_view special,
                   std::size_t reserve) {
  constexpr std::string_view kHexDigits = "0123456789abcdef";
  constexpr std::size_t kLongestEscape = 6;  // \u001f
  for (const char character : text) {
    if (line.room() < kLongestEscape + kCut.size() + reserve) {
      line.Append(kCut);
      return;
    }
    const auto byte = static_cast<unsigned char>(character);
    if (Find(special, character) != std::string_view::npos) {
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

bool StartsWith(std::string_view text, std::string_view prefix) {
  if (text.size() < prefix.size()) return false;
  for (std::size_t i = 0; i < prefix.size(); ++i) {
    if (text[i] != prefix[i]) return false;
  }
  return true;
}

std::size_t Find(std::string_view text, char character) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == character) return i;
  }
  return std::string_view::npos;
}

}  // namespace nsenter
