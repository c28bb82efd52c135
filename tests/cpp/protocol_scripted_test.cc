// SPDX-License-Identifier: Apache-2.0

#include "protocol.h"

#include "child.h"
#include "expect.h"
#include "scripted_kernel.h"

#include <cstdlib>
#include <gtest/gtest.h>

namespace nsenter {
namespace {

using test::ScriptedKernel;

/// The protocol chosen for what a script lets be seen on fd 3, or the error.
std::string Choose(const char* script, const char* init_pipe = "3") {
  const ScriptedKernel kernel(script);
  const Result<Protocol> protocol = ChooseProtocol({nullptr, init_pipe, nullptr, nullptr, nullptr});
  if (!protocol.ok()) return test::Describe(protocol);
  switch (protocol.value()) {
    case Protocol::kNone:
      return "none";
    case Protocol::kClassic:
      return "classic";
    case Protocol::kNetlink:
      return "netlink";
  }
  return "";
}

TEST(ChooseProtocol, IsClassicWithAnInitPidAndLooksAtNothing) {
  const ScriptedKernel kernel("");
  const Result<Protocol> protocol = ChooseProtocol({"", "x", nullptr, nullptr, nullptr});
  ASSERT_TRUE(protocol.ok());
  EXPECT_EQ(protocol.value(), Protocol::kClassic);
}

// The type 62000 is 0xf230.
TEST(ChooseProtocol, IsNetlinkWithTheTypeOfItsMessage) {
  EXPECT_EQ(Choose(R"(recv(3, 6, MSG_PEEK) = "\<4:16>\<2:62000>")"), "netlink");
  EXPECT_EQ(Choose(R"(recv(3, 6, MSG_PEEK) = "{\x00\x00\x00\<2:62000>")"), "netlink")
      << "a message of 123 bytes begins with a brace";
}

TEST(ChooseProtocol, IsNoneWithADocument) {
  EXPECT_EQ(Choose(R"(recv(3, 6, MSG_PEEK) = "{\"args")"), "none");
}

TEST(ChooseProtocol, IsNetlinkWithAnythingElse) {
  EXPECT_EQ(Choose(R"(recv(3, 6, MSG_PEEK) = " {\"arg")"), "netlink");
}

TEST(ChooseProtocol, IsNetlinkAtTheEnd) {
  EXPECT_EQ(Choose(R"(recv(3, 6, MSG_PEEK) = "")"), "netlink");
}

TEST(ChooseProtocol, LooksAgainUntilThereIsEnough) {
  EXPECT_EQ(Choose(R"(
    recv(3, 6, MSG_PEEK) = "{"
    poll(3, POLLRDHUP, 1) = 0
    recv(3, 6, MSG_PEEK) = "{\x00\x00\x00\x30"
    poll(3, POLLRDHUP, 1) = 0
    recv(3, 6, MSG_PEEK) = "{\x00\x00\x00\<2:62000>"
  )"),
            "netlink");
}

TEST(ChooseProtocol, LooksOnceMoreAfterTheParentHasStopped) {
  EXPECT_EQ(Choose(R"(
    recv(3, 6, MSG_PEEK) = "{"
    poll(3, POLLRDHUP, 1) = POLLRDHUP
    recv(3, 6, MSG_PEEK) = "{}"
  )"),
            "none");
  EXPECT_EQ(Choose(R"(
    recv(3, 6, MSG_PEEK) = "{\x00"
    poll(3, POLLRDHUP, 1) = POLLRDHUP
    recv(3, 6, MSG_PEEK) = "{\x00\x00\x00\<2:62000>"
  )"),
            "netlink");
}

TEST(ChooseProtocol, IsNetlinkWhereNothingCanBePeeked) {
  EXPECT_EQ(Choose(R"(
    recv(3, 6, MSG_PEEK) = ENOTSOCK
    fcntl(3, F_GETFL) = O_RDWR
  )"),
            "netlink");
}

TEST(ChooseProtocol, RefusesAnInitPipeOfOneDirection) {
  for (const char* const access : {"O_RDONLY", "O_WRONLY"}) {
    const std::string script =
        std::string("recv(3, 6, MSG_PEEK) = ENOTSOCK\nfcntl(3, F_GETFL) = ") + access;
    EXPECT_EQ(Choose(script.c_str()),
              "invalid _LIBCONTAINER_INITPIPE \"3\": not open for reading and writing");
  }
}

TEST(ChooseProtocol, NamesAnInitPipeThatIsNone) {
  EXPECT_EQ(Choose("", "3x"), "invalid _LIBCONTAINER_INITPIPE \"3x\": not a decimal number");
  EXPECT_EQ(Choose("recv(3, 6, MSG_PEEK) = EPERM"),
            "failed to look at _LIBCONTAINER_INITPIPE 3: Operation not permitted");
  EXPECT_EQ(Choose("recv(3, 6, MSG_PEEK) = \"{\"\npoll(3, POLLRDHUP, 1) = EPERM"),
            "failed to wait for _LIBCONTAINER_INITPIPE 3: Operation not permitted");
  EXPECT_EQ(Choose("recv(3, 6, MSG_PEEK) = ENOTSOCK\nfcntl(3, F_GETFL) = EPERM"),
            "invalid _LIBCONTAINER_INITPIPE \"3\": Operation not permitted");
}

TEST(ChooseProtocol, RefusesOlderReleasesBeforeItLooks) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    setenv("_LIBCONTAINER_MOUNT_FDS", "[]", 1);
    EXPECT_EQ(Choose("", "x"),
              "the parent is runc 1.1 (_LIBCONTAINER_MOUNT_FDS is set), this nsexec serves 1.2.0 "
              "and newer");
  }));
}

}  // namespace
}  // namespace nsenter
