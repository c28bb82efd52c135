// SPDX-License-Identifier: Apache-2.0
//
// Receiving a bootstrap message.

#pragma once

#include "base.h"
#include "error.h"
#include "netlink_message.h"

#include <cstddef>
#include <string_view>

namespace nsenter {

/// Holds a message, in itself if it is short, as nearly all are, else in memory mapped for it. Its
/// address must not change while somebody reads from view().
class MessageReader {
 public:
  MessageReader() = default;
  ~MessageReader();
  MessageReader(const MessageReader&) = delete;
  MessageReader& operator=(const MessageReader&) = delete;

  /// Reads one message from `fd`, in whatever pieces it arrives, and not a byte more: what follows
  /// is for the Go side.
  Status ReadFrom(int fd);

  /// What follows the message's header, which has been checked.
  [[nodiscard]] std::string_view attributes() const {
    return From({bytes_, size_}, kMessageHeaderSize);
  }

 private:
  // Enough for all but long id maps. More would push the stack frames of all that is called while
  // there is a message to pages of the stack that nobody has touched yet, and each of them costs
  // more than several system calls; who sends long maps waits for the kernel to write them for much
  // longer.
  static constexpr std::size_t kShort = 2UL * 1024;

  char short_[kShort];
  char* bytes_ = short_;
  std::size_t size_ = 0;
};

}  // namespace nsenter
