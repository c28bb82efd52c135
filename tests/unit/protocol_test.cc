// SPDX-License-Identifier: Apache-2.0

#include "protocol.h"

#include "child.h"
#include "expect.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace nsenter {
namespace {

/// Looks while a parent sends `text` in pieces of `size` and then, if so asked, shuts its end.
/// Everything has to be there afterwards.
void ExpectChoice(const std::string& text, std::size_t size, bool shuts, bool expected) {
  SCOPED_TRACE(text + " in pieces of " + std::to_string(size));
  test::ExpectSilentSuccess(test::RunInChild([&] {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    if (fork() == 0) {
      close(ends[0]);
      for (std::size_t i = 0; i < text.size(); i += size) {
        EXPECT_GT(write(ends[1], text.data() + i, std::min(size, text.size() - i)), 0);
        usleep(3000);
      }
      if (shuts) shutdown(ends[1], SHUT_WR);
      char byte = 0;
      EXPECT_EQ(read(ends[1], &byte, 1), 0) << "until the other process ends";
      return;
    }
    close(ends[1]);
    const Result<bool> document = HoldsDocument(ends[0]);
    ASSERT_EQ(test::Describe(document), "success");
    EXPECT_EQ(document.value(), expected);
    std::string left(text.size(), '\0');
    EXPECT_EQ(recv(ends[0], left.data(), left.size(), MSG_WAITALL),
              static_cast<ssize_t>(text.size()));
    EXPECT_EQ(left, text);
    close(ends[0]);
  }));
}

TEST(HoldsDocument, LeavesWhatItSees) {
  const std::string header("\x10\0\0\0\x30\xf2\0\0\0\0\0\0\0\0\0\0", 16);
  for (const std::size_t size : {1U, 5U, 100U}) {
    ExpectChoice(header, size, false, false);
    ExpectChoice("{\"args\":[]}", size, false, true);
    ExpectChoice("{}", size, true, true);
    ExpectChoice("x", size, true, false);
  }
  ExpectChoice("", 1, true, false);
}

}  // namespace
}  // namespace nsenter
