// SPDX-License-Identifier: Apache-2.0

#include "message_reader.h"

#include "sys.h"

#include <cstring>

namespace nsenter {
namespace {

/// Reads until `buffer` holds `size` bytes, of which there are `have`.
Status ReadUpTo(int fd, char* buffer, std::size_t have, std::size_t size) {
  while (have < size) {
    ASSIGN_OR_RETURN(const int got, Check(sys::Read(fd, buffer + have, size - have),
                                          "failed to read the bootstrap message"));
    if (got == 0) {
      return Error::Of("the bootstrap message ended after ", have, " of ", size, " bytes");
    }
    have += static_cast<std::size_t>(got);
  }
  return {};
}

}  // namespace

MessageReader::~MessageReader() {
  if (bytes_ != short_) sys::Unmap(bytes_, size_);
}

Status MessageReader::ReadFrom(int fd) {
  RETURN_IF_ERROR(ReadUpTo(fd, short_, 0, kMessageHeaderSize));
  ASSIGN_OR_RETURN(const std::size_t size, ParseMessageHeader({short_, kMessageHeaderSize}));
  if (size > kShort) {
    void* memory = nullptr;
    RETURN_IF_ERROR(
        Check(sys::Map(size, &memory), "failed to map ", size, " bytes for the bootstrap message"));
    bytes_ = static_cast<char*>(memory);
    std::memcpy(bytes_, short_, kMessageHeaderSize);
  }
  size_ = size;
  return ReadUpTo(fd, bytes_, kMessageHeaderSize, size);
}

}  // namespace nsenter
