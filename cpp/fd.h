// SPDX-License-Identifier: Apache-2.0
//
// The owner of a file descriptor.

#pragma once

#include "base.h"
#include "sys.h"

#include <utility>

namespace nsenter {

/// Closes the descriptor it holds. A negative number is none: it may be the errno that a wrapper of
/// sys.h returned in a descriptor's place.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) Reset(other.Release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { Reset(); }

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

}  // namespace nsenter

/// Closing a descriptor that has an owner does not compile.
int close(const nsenter::UniqueFd&) = delete;
