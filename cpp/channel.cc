// SPDX-License-Identifier: Apache-2.0

#include "channel.h"

#include "sys.h"

#include <cerrno>
#include <poll.h>

namespace nsenter {

Result<Word> ChannelEnds::Receive() const {
  char byte = 0;
  ASSIGN_OR_RETURN(const int got,
                   Check(sys::Read(receiving, &byte, sizeof(byte)), "failed to wait for ", sender));
  return got == 0 ? Word::kEnded : static_cast<Word>(byte);
}

Status ChannelEnds::AwaitEnd() const {
  for (;;) {
    ASSIGN_OR_RETURN(const Word word, Receive());
    if (word == Word::kEnded) return {};
  }
}

Status ChannelEnds::Send(Word word) const {
  const int written = sys::Write(sending, &word, sizeof(word));
  if (written == -EPIPE) return {};
  RETURN_IF_ERROR(Check(written, "failed to send a word to ", receiver));
  return {};
}

bool ChannelEnds::HasEnded() const {
  const int events = sys::Poll(receiving, 0, 0);
  return events > 0 && (events & POLLHUP) != 0;
}

void ChannelEnds::CloseSending() const { sys::Close(sending); }

Result<Channel> Channel::Make(const char* sender, const char* receiver) {
  int ends[2];
  RETURN_IF_ERROR(
      Check(sys::Pipe(ends), "failed to create a pipe from ", sender, " to ", receiver));
  Channel channel;
  channel.sender_ = sender;
  channel.receiver_ = receiver;
  channel.receiving_.Reset(ends[0]);
  channel.sending_.Reset(ends[1]);
  return channel;
}

}  // namespace nsenter
