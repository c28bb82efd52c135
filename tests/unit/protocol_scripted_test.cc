// SPDX-License-Identifier: Apache-2.0

#include "protocol.h"

#include "expect.h"
#include "scripted_kernel.h"

#include <gtest/gtest.h>
#include <string>

namespace nsenter {
namespace {

using test::ScriptedKernel;

/// What is found for what a script lets be seen on fd 3, or the error.
std::string Look(const std::string& script) {
  const ScriptedKernel kernel(script);
  const Result<bool> document = HoldsDocument(3);
  if (!document.ok()) return test::Describe(document);
  return document.value() ? "document" : "message";
}

// The type 62000 is 0xf230.
TEST(HoldsDocument, IsFalseWithTheTypeOfAMessage) {
  EXPECT_EQ(Look(R"(recv(3, 6, MSG_PEEK) = "\<4:16>\<2:62000>")"), "message");
  EXPECT_EQ(Look(R"(recv(3, 6, MSG_PEEK) = "{\x00\x00\x00\<2:62000>")"), "message")
      << "a message of 123 bytes begins with a brace";
}

TEST(HoldsDocument, IsTrueWithABrace) {
  EXPECT_EQ(Look(R"(recv(3, 6, MSG_PEEK) = "{\"args")"), "document");
}

TEST(HoldsDocument, IsFalseWithAnythingElse) {
  EXPECT_EQ(Look(R"(recv(3, 6, MSG_PEEK) = " {\"arg")"), "message");
}

TEST(HoldsDocument, IsFalseAtTheEnd) { EXPECT_EQ(Look(R"(recv(3, 6, MSG_PEEK) = "")"), "message"); }

TEST(HoldsDocument, LooksAgainUntilThereIsEnough) {
  EXPECT_EQ(Look(R"(
    recv(3, 6, MSG_PEEK) = "{"
    poll(3, POLLRDHUP, 1) = 0
    recv(3, 6, MSG_PEEK) = "{\x00\x00\x00\x30"
    poll(3, POLLRDHUP, 1) = 0
    recv(3, 6, MSG_PEEK) = "{\x00\x00\x00\<2:62000>"
  )"),
            "message");
}

TEST(HoldsDocument, LooksOnceMoreAfterTheParentHasStopped) {
  EXPECT_EQ(Look(R"(
    recv(3, 6, MSG_PEEK) = "{"
    poll(3, POLLRDHUP, 1) = POLLRDHUP
    recv(3, 6, MSG_PEEK) = "{}"
  )"),
            "document");
  EXPECT_EQ(Look(R"(
    recv(3, 6, MSG_PEEK) = "{\x00"
    poll(3, POLLRDHUP, 1) = POLLRDHUP
    recv(3, 6, MSG_PEEK) = "{\x00\x00\x00\<2:62000>"
  )"),
            "message");
}

TEST(HoldsDocument, IsFalseWhereNothingCanBePeeked) {
  EXPECT_EQ(Look(R"(
    recv(3, 6, MSG_PEEK) = ENOTSOCK
    fcntl(3, F_GETFL) = O_RDWR
  )"),
            "message");
}

TEST(HoldsDocument, RefusesAnInitPipeOfOneDirection) {
  for (const char* const access : {"O_RDONLY", "O_WRONLY"}) {
    const std::string script =
        std::string("recv(3, 6, MSG_PEEK) = ENOTSOCK\nfcntl(3, F_GETFL) = ") + access;
    EXPECT_EQ(Look(script),
              "invalid _LIBCONTAINER_INITPIPE \"3\": not open for reading and writing");
  }
}

TEST(HoldsDocument, NamesAnInitPipeThatIsNone) {
  EXPECT_EQ(Look("recv(3, 6, MSG_PEEK) = EPERM"),
            "failed to look at _LIBCONTAINER_INITPIPE 3: Operation not permitted");
  EXPECT_EQ(Look("recv(3, 6, MSG_PEEK) = \"{\"\npoll(3, POLLRDHUP, 1) = EPERM"),
            "failed to look at _LIBCONTAINER_INITPIPE 3: Operation not permitted");
  EXPECT_EQ(Look("recv(3, 6, MSG_PEEK) = ENOTSOCK\nfcntl(3, F_GETFL) = EPERM"),
            "invalid _LIBCONTAINER_INITPIPE \"3\": Operation not permitted");
}

}  // namespace
}  // namespace nsenter
