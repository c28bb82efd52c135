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

  /// Reads one message from `fd`, in any number of pieces, and not a byte more: the following bytes
  /// are for the Go side.
  Status ReadFrom(int fd);

  /// The bytes after the header, which has been checked.
  [[nodiscard]] std::string_view attributes() const {
    return From({bytes_, size_}, kMessageHeaderSize);
  }

 private:
  // Enough for all but long id maps. A larger one would push later stack frames, while there is a
  // message, to pages of the stack that nobody has touched yet. Each such page costs more than
  // several system calls. A parent that sends long maps waits much longer for the kernel to write
  // them.
  static constexpr std::size_t kShort = 2UL * 1024;

  char short_[kShort];
  char* bytes_ = short_;
  std::size_t size_ = 0;
};

}  // namespace nsenter
