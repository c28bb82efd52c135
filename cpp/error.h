// SPDX-License-Identifier: Apache-2.0
//
// Errors are values: a text that says what failed and on what, and the errno that says why. They
// are carried up to nsexec(), which says them once.

#pragma once

#include "base.h"
#include "text.h"

#include <utility>

namespace nsenter {

/// 1,000 bytes, and not a whole path (PATH_MAX), which would cost more than it is worth. They show
/// both ends, and a text that was cut says so.
inline constexpr std::size_t kErrorTextSize = 1000;

// A debug build (NSENTER_COUNT_ERRORS, for all files alike) counts the texts. It ends the program
// when it asks for a text that has been replaced.

/// What failed: "failed to join net namespace /proc/42/ns/net", lower case, without a full stop,
/// and without strerror, which is added where the error is printed. `code` is an errno, or 0 where
/// no system call failed.
///
/// In a process there is only one error at a time on its way up, so the text has one place, and
/// making an Error replaces that of an earlier one. Stack frames of functions that can fail stay
/// small, and with them what a clone has to copy (docs/decisions/0008-errors-are-values.md).
class [[nodiscard]] Error {
 public:
  template <typename... Pieces>
  [[gnu::always_inline]] static Error Of(const Pieces&... pieces) {
    return WithCode(0, pieces...);
  }

  /// `code` as the wrappers in sys.h return it, negated or not.
  template <typename... Pieces>
  [[gnu::always_inline]] static Error WithCode(int code, const Pieces&... pieces) {
    return FromPieces(code, Piece(pieces)...);
  }

  /// The process that failed has said so itself. A process that gets this error ends without a
  /// word.
  static Error AlreadyReported() {
    Error error;
    error.code_ = kReported;
    return error;
  }

  [[nodiscard]] int code() const { return reported() ? 0 : code_; }
  [[nodiscard]] bool reported() const { return code_ == kReported; }
  [[nodiscard]] std::string_view text() const;

 private:
  template <typename T>
  friend class Result;
  friend class Status;
  Error() = default;
  // By value, in registers, and one function for each number of pieces.
  template <std::same_as<Piece>... Pieces>
  [[gnu::cold, gnu::noinline]] static Error FromPieces(int code, Pieces... pieces) {
    const Piece list[] = {pieces...};
    return Make(code, list, sizeof...(pieces));
  }
  [[gnu::cold]] static Error Make(int code, const Piece* pieces, std::size_t count);

  static constexpr int kReported = -1;
  int code_ = 0;
#ifdef NSENTER_COUNT_ERRORS
  unsigned number_ = 0;
#endif
};

/// Success, or an Error.
class [[nodiscard]] Status {
 public:
  Status() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): `return Error::Of(...)` is how a function fails
  Status(Error error) : failed_(true), error_(error) {}

  [[nodiscard]] bool ok() const { return !failed_; }
  [[nodiscard]] const Error& error() const { return error_; }

 private:
  bool failed_ = false;
  Error error_;
};

/// A T, or an Error. T is default-constructible and movable.
template <typename T>
class [[nodiscard]] Result {
 public:
  // Not explicit: `return value;` is how a function succeeds and `return Error::Of(...)` how it
  // fails.
  Result(T value) : value_(std::move(value)) {}
  Result(Error error) : failed_(true), error_(error) {}

  [[nodiscard]] bool ok() const { return !failed_; }
  [[nodiscard]] const Error& error() const { return error_; }
  [[nodiscard]] T& value() { return value_; }
  [[nodiscard]] const T& value() const { return value_; }

 private:
  bool failed_ = false;
  T value_{};
  Error error_;
};

/// The result of a wrapper in sys.h: the number, or the error with `pieces` as its text.
///
///     RETURN_IF_ERROR(Check(sys::Setns(fd, type), "failed to join ", name));
template <typename... Pieces>
[[gnu::always_inline]] inline Result<int> Check(int result, const Pieces&... pieces) {
  if (result >= 0) [[likely]]
    return result;
  return Error::WithCode(result, pieces...);
}

}  // namespace nsenter

// The two ways an error travels upwards. Macros, because only they can return from the caller.
#define NSENTER_CONCAT_(a, b) a##b
#define NSENTER_CONCAT(a, b) NSENTER_CONCAT_(a, b)

/// Leaves the function with the error of `expression`, a Status or Result, if it has one.
#define RETURN_IF_ERROR(expression)                              \
  do {                                                           \
    if (const auto& status_or = (expression); !status_or.ok()) { \
      return status_or.error();                                  \
    }                                                            \
  } while (false)

/// Assigns the value of `expression`, a Result, to `variable`, or leaves the function with its
/// error.
#define ASSIGN_OR_RETURN(variable, expression) \
  ASSIGN_OR_RETURN_(NSENTER_CONCAT(result_on_line_, __LINE__), variable, expression)
// NOLINTBEGIN(bugprone-macro-parentheses): a name that is declared cannot stand in parentheses
#define ASSIGN_OR_RETURN_(result, variable, expression) \
  auto result = (expression);                           \
  if (!result.ok()) return result.error();              \
  variable = std::move(result.value())
// NOLINTEND(bugprone-macro-parentheses)
