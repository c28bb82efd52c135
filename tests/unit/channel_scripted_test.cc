// SPDX-License-Identifier: Apache-2.0

#include "channel.h"

#include "expect.h"
#include "scripted_kernel.h"

#include <gtest/gtest.h>

namespace nsenter {
namespace {

using test::ScriptedKernel;

Result<Channel> Make() { return Channel::Make("the sender", "the receiver"); }

TEST(Channel, IsNoneAtFirst) {
  const ScriptedKernel kernel("");
  EXPECT_FALSE(Channel().exists());
  EXPECT_EQ(Channel().ends().receiving, -1);
  EXPECT_EQ(Channel().ends().sending, -1);
}

TEST(Channel, IsAPipeOfWhichEachKeepsOneEnd) {
  const ScriptedKernel kernel(R"(
    pipe2(O_CLOEXEC) = [5, 6]
    close(6)
    read(5, 1) = "r"
    close(5)
    pipe2(O_CLOEXEC) = [5, 6]
    close(5)
    write(6, "r")
    close(6)
  )");
  {
    Result<Channel> channel = Make();
    channel.value().GiveUpSending();
    EXPECT_TRUE(channel.value().exists());
    EXPECT_EQ(channel.value().ends().receiving, 5);
    EXPECT_EQ(channel.value().ends().sending, -1);
    EXPECT_EQ(channel.value().Receive().value(), Word::kReported);
  }
  Result<Channel> channel = Make();
  channel.value().GiveUpReceiving();
  EXPECT_TRUE(channel.value().exists());
  EXPECT_EQ(channel.value().ends().receiving, -1);
  EXPECT_EQ(channel.value().ends().sending, 6);
  EXPECT_SUCCESS(channel.value().Send(Word::kReported));
}

TEST(Channel, ForgetsAnEndThatIsClosedByNumber) {
  const ScriptedKernel kernel(R"(
    pipe2(O_CLOEXEC) = [5, 6]
    close(6)
    close(5)
  )");
  Result<Channel> channel = Make();
  channel.value().ends().CloseSending();
  EXPECT_EQ(channel.value().ends().sending, 6) << "the object is not told";
  channel.value().ForgetSending();
  EXPECT_EQ(channel.value().ends().sending, -1);
}

TEST(Channel, SaysThatThereIsNoPipe) {
  const ScriptedKernel kernel("pipe2(O_CLOEXEC) = EPERM");
  EXPECT_ERROR(Make(),
               "failed to create a pipe from the sender to the receiver: Operation not permitted");
}

// What ended it is its own to say.
TEST(Channel, TellsTheEndOfTheOtherProcessFromAnError) {
  const ScriptedKernel kernel(R"(
    pipe2(O_CLOEXEC) = [5, 6]
    read(5, 1) = ""
    read(5, 1) = EPERM
    write(6, "r") = EPIPE
    write(6, "r") = EPERM
    close(6)
    close(5)
  )");
  const Result<Channel> made = Make();
  const Channel& channel = made.value();
  EXPECT_EQ(channel.Receive().value(), Word::kEnded);
  EXPECT_ERROR(channel.Receive(), "failed to wait for the sender: Operation not permitted");
  EXPECT_SUCCESS(channel.Send(Word::kReported));
  EXPECT_ERROR(channel.Send(Word::kReported),
               "failed to send a word to the receiver: Operation not permitted");
}

TEST(Channel, AwaitsTheEndWhateverIsSaidBefore) {
  const ScriptedKernel kernel(R"(
    pipe2(O_CLOEXEC) = [5, 6]
    read(5, 1) = "m"
    read(5, 1) = "x"
    read(5, 1) = ""
    read(5, 1) = "m"
    read(5, 1) = EPERM
    close(6)
    close(5)
  )");
  const Result<Channel> channel = Make();
  EXPECT_SUCCESS(channel.value().ends().AwaitEnd());
  EXPECT_ERROR(channel.value().ends().AwaitEnd(),
               "failed to wait for the sender: Operation not permitted");
}

TEST(Channel, TakesNothingButAHangUpForAnEnd) {
  const ScriptedKernel kernel(R"(
    pipe2(O_CLOEXEC) = [5, 6]
    poll(5, 0, 0) = POLLHUP
    poll(5, 0, 0) = 0
    poll(5, 0, 0) = EPERM
    poll(5, 0, 0) = POLLERR
    close(6)
    close(5)
  )");
  const Result<Channel> channel = Make();
  EXPECT_TRUE(channel.value().HasEnded());
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(channel.value().HasEnded()) << i;
}

}  // namespace
}  // namespace nsenter
