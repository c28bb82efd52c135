// SPDX-License-Identifier: Apache-2.0
//
// The owner of a file descriptor.

#pragma once

#include "base.h"
#include "error.h"
#include "sys.h"

#include <utility>

namespace nsenter {

/// Closes the descriptor it holds, if any.
class UniqueFd {
 public:
  UniqueFd() = default;
  /// `fd` is open, and from now on this object's.
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) Reset(other.Release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() {
    if (valid()) sys::Close(fd_);
  }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  [[nodiscard]] int Release() { return std::exchange(fd_, -1); }
  void Reset(int fd = -1) {
    const int old = std::exchange(fd_, fd);
    if (old >= 0) sys::Close(old);
  }

 private:
  int fd_ = -1;
};

/// The owner of the descriptor that a wrapper in sys.h has returned, or the error that `pieces`
/// say.
template <typename... Pieces>
[[gnu::always_inline]] inline Result<UniqueFd> CheckFd(int fd, const Pieces&... pieces) {
  if (fd >= 0) [[likely]]
    return UniqueFd(fd);
  return Error::WithCode(fd, pieces...);
}

}  // namespace nsenter

/// Closing a descriptor that has an owner does not compile.
int close(const nsenter::UniqueFd&) = delete;
