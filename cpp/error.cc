// SPDX-License-Identifier: Apache-2.0

#include "error.h"

#include <cstring>

namespace nsenter {
namespace {

// The one text (error.h).
constinit char text_bytes[kErrorTextSize] = {};
constinit std::size_t text_size = 0;
#ifdef NSENTER_COUNT_ERRORS
constinit unsigned text_number = 0;
#endif

}  // namespace

Error Error::Make(int code, const Piece* pieces, std::size_t count) {
  // Not in place: a piece may be the text of an earlier error.
  FixedText<kErrorTextSize> text;
  text.Append(pieces, count);
  std::memcpy(text_bytes, text.view().data(), text.size());
  text_size = text.size();
  Error error;
  error.code_ = code < 0 ? -code : code;
#ifdef NSENTER_COUNT_ERRORS
  error.number_ = ++text_number;
#endif
  return error;
}

std::string_view Error::text() const {
  if (reported()) return {};
#ifdef NSENTER_COUNT_ERRORS
  if (number_ != text_number) __builtin_trap();
#endif
  return {text_bytes, text_size};
}

}  // namespace nsenter
