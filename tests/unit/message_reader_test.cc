// SPDX-License-Identifier: Apache-2.0

#include "message_reader.h"

#include "child.h"
#include "expect.h"
#include "message.h"

#include <algorithm>
#include <cstdint>
#include <gtest/gtest.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace nsenter {
namespace {

/// A message of this size, of which only the header means anything.
std::string MessageOf(std::uint32_t size) {
  std::string message = test::Header(size);
  message.resize(size);
  for (std::size_t i = 16; i < size; ++i) message[i] = static_cast<char>(i * 7);
  return message;
}

void ExpectRead(std::uint32_t message_size, std::size_t piece) {
  SCOPED_TRACE(std::to_string(message_size) + " in pieces of " + std::to_string(piece));
  test::ExpectSilentSuccess(test::RunInChild([=] {
    const std::string message = MessageOf(message_size);
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    if (fork() == 0) {
      close(ends[0]);
      const std::string all = message + "{}";
      for (std::size_t i = 0; i < all.size();) {
        const ssize_t written = write(ends[1], all.data() + i, std::min(piece, all.size() - i));
        ASSERT_GT(written, 0);
        i += static_cast<std::size_t>(written);
      }
      return;
    }
    close(ends[1]);
    MessageReader reader;
    ASSERT_EQ(test::Describe(reader.ReadFrom(ends[0])), "success");
    EXPECT_TRUE(reader.attributes() == message.substr(16));
    char rest[3] = {};
    EXPECT_EQ(recv(ends[0], rest, sizeof(rest), MSG_WAITALL), 2);
    EXPECT_STREQ(rest, "{}");
  }));
}

TEST(MessageReader, TakesAMessageInAnyPiecesAndNothingElse) {
  for (const std::uint32_t size : {16U, 17U, 2047U, 2048U, 2049U, 16U + 10U * 65536U}) {
    ExpectRead(size, 4096);
    ExpectRead(size, 1U << 20U);
  }
  ExpectRead(2049, 1);
}

}  // namespace
}  // namespace nsenter
