// SPDX-License-Identifier: Apache-2.0
//
// Text in a fixed array: what is said in log lines, errors and the reply is put together here,
// without a heap and without printf.

#pragma once

#include "base.h"

#include <concepts>
#include <cstddef>
#include <cstring>
#include <string_view>

namespace nsenter {

/// A text of at most `kCapacity` bytes. What does not fit is cut, and the text then ends in "...".
/// Always followed by a NUL that is not part of it.
template <std::size_t kCapacity>
class FixedText {
 public:
  // The array is left uninitialised: most of these objects are never written to.
  FixedText() { bytes_[0] = '\0'; }
  FixedText(const FixedText& other) { Append(other.view()); }
  FixedText& operator=(const FixedText& other) {
    if (this != &other) {
      Clear();
      Append(other.view());
    }
    return *this;
  }
  ~FixedText() = default;

  void Clear() {
    size_ = 0;
    bytes_[0] = '\0';
  }

  FixedText& Append(std::string_view piece) {
    const std::size_t room = kCapacity - size_;
    const bool cut = piece.size() > room;
    const std::size_t taken = cut ? room : piece.size();
    if (taken != 0) std::memcpy(bytes_ + size_, piece.data(), taken);
    size_ += taken;
    bytes_[size_] = '\0';
    if (cut) MarkCut();
    return *this;
  }

  FixedText& Append(char piece) { return Append(std::string_view(&piece, 1)); }

  FixedText& Append(std::integral auto number) {
    using Number = decltype(number);
    char digits[24];
    std::size_t first = sizeof(digits);
    const bool negative = number < Number{0};
    // Digit by digit from the signed value: its negative may not be representable.
    do {
      const int digit = static_cast<int>(number % 10);
      digits[--first] = static_cast<char>('0' + (digit < 0 ? -digit : digit));
      number = static_cast<Number>(number / 10);
    } while (number != Number{0});
    if (negative) digits[--first] = '-';
    return Append(std::string_view(digits + first, sizeof(digits) - first));
  }

  template <typename... Pieces>
  FixedText& AppendAll(const Pieces&... pieces) {
    (Append(pieces), ...);
    return *this;
  }

  [[nodiscard]] std::string_view view() const { return {bytes_, size_}; }
  [[nodiscard]] const char* c_str() const { return bytes_; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static_assert(kCapacity >= 3);
  void MarkCut() { std::memcpy(bytes_ + kCapacity - 3, "...", 3); }

  std::size_t size_ = 0;
  char bytes_[kCapacity + 1];
};

// Byte by byte: what is compared and searched here is short, and memcmp and memchr would cost more
// to look up than they save (sys.cc). (And string_view::starts_with needs libstdc++ where nothing
// is optimised.)

inline bool StartsWith(std::string_view text, std::string_view prefix) {
  if (text.size() < prefix.size()) return false;
  for (std::size_t i = 0; i < prefix.size(); ++i) {
    if (text[i] != prefix[i]) return false;
  }
  return true;
}

inline bool Equal(std::string_view one, std::string_view other) {
  return one.size() == other.size() && StartsWith(one, other);
}

/// Where `character` is first; string_view::npos if nowhere.
inline std::size_t Find(std::string_view text, char character) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == character) return i;
  }
  return std::string_view::npos;
}

/// string_view::substr without its exception: a position behind the end gives an empty text.
inline std::string_view From(std::string_view text, std::size_t position) {
  return position < text.size() ? std::string_view(text.data() + position, text.size() - position)
                                : std::string_view();
}

/// The first `size` bytes, or all there are.
inline std::string_view First(std::string_view text, std::size_t size) {
  return {text.data(), size < text.size() ? size : text.size()};
}

}  // namespace nsenter
