// SPDX-License-Identifier: Apache-2.0
//
// Text in a fixed array: log lines, errors and the reply are put together here, without a heap and
// without printf.

#pragma once

#include "base.h"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace nsenter {

/// A piece of a text: a string, to which it refers, a character or a number. It has two words, so a
/// caller only stores them: one place does the formatting.
class Piece {
 public:
  constexpr Piece(std::string_view text)
      : data_(text.data()), value_(static_cast<std::int64_t>(text.size())) {}
  constexpr Piece(const char* text) : Piece(std::string_view(text)) {}
  constexpr Piece(char character) : data_(&kCharacter), value_(character) {}
  /// Numbers above INT64_MAX do not occur.
  constexpr Piece(std::integral auto number)
      : data_(&kNumber), value_(static_cast<std::int64_t>(number)) {}

 private:
  friend class Text;
  // The addresses of these say that the value is a character or a number.
  static constexpr char kCharacter = 'c';
  static constexpr char kNumber = 'n';

  const char* data_;
  std::int64_t value_;  // of a string: its size
};

/// A text in an array that belongs to somebody else. A text that does not fit is cut, and then ends
/// in "...". A NUL that is not part of it always follows.
class Text {
 public:
  Text(const Text&) = delete;
  Text& operator=(const Text&) = delete;

  void Clear();
  void Append(Piece piece);
  [[gnu::noinline]] void Append(const Piece* pieces, std::size_t count);
  template <typename... Pieces>
  [[gnu::always_inline]] void AppendAll(const Pieces&... pieces) {
    AppendPieces(Piece(pieces)...);
  }

  [[nodiscard]] std::string_view view() const { return {bytes_, size_}; }
  [[nodiscard]] const char* c_str() const { return bytes_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t room() const { return capacity_ - size_; }

 protected:
  /// `bytes` has room for `capacity` bytes, at least 3, and a NUL.
  Text(char* bytes, std::size_t capacity) : bytes_(bytes), capacity_(capacity) { bytes[0] = '\0'; }
  ~Text() = default;

 private:
  // By value, in registers, and one function for each number of pieces.
  template <std::same_as<Piece>... Pieces>
  [[gnu::noinline]] void AppendPieces(Pieces... pieces) {
    const Piece list[] = {pieces...};
    Append(list, sizeof...(pieces));
  }
  void AppendBytes(const char* bytes, std::size_t size);
  void AppendNumber(std::int64_t number);

  char* bytes_;
  std::size_t capacity_;
  std::size_t size_ = 0;
};

/// A text with an array of its own.
template <std::size_t kCapacity>
class FixedText : public Text {
 public:
  // The array is left uninitialised: most of these objects are never written to.
  FixedText() : Text(array_, kCapacity) {}

 private:
  static_assert(kCapacity >= 3);
  char array_[kCapacity + 1];
};

/// Appends `text` with control characters escaped as in JSON (DEL too: a terminal would act on it),
/// and a backslash before those that are `special`. Bytes above DEL pass as they are. If less than
/// `reserve` bytes of the line's capacity would be left, the text is cut, and "..." stands in its
/// place.
void AppendEscaped(Text& line, std::string_view text, std::string_view special,
                   std::size_t reserve);

/// These characters need an escape, besides control characters, between the quotes of a JSON string
/// (RFC 8259, section 7).
inline constexpr std::string_view kJsonSpecial = "\"\\";

// Byte by byte: the texts are short, and a search for memcmp and memchr would cost more than they
// save (sys.cc). (And string_view::starts_with needs libstdc++ without optimisation.)

bool StartsWith(std::string_view text, std::string_view prefix);

inline bool Equal(std::string_view one, std::string_view other) {
  return one.size() == other.size() && StartsWith(one, other);
}

/// Where `character` is first; string_view::npos if nowhere.
std::size_t Find(std::string_view text, char character);

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
