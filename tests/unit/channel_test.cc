// SPDX-License-Identifier: Apache-2.0

#include "channel.h"

#include "child.h"
#include "expect.h"

#include <csignal>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace nsenter {
namespace {

TEST(Channel, HandsTheWordOver) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    Result<Channel> made = Channel::Make("the sender", "the receiver");
    Channel& channel = made.value();
    if (fork() == 0) {
      channel.GiveUpReceiving();
      EXPECT_SUCCESS(channel.Send(Word::kReported));
      return;
    }
    channel.GiveUpSending();
    EXPECT_EQ(channel.Receive().value(), Word::kReported);
    EXPECT_EQ(channel.Receive().value(), Word::kEnded) << "the other process has ended";
    EXPECT_TRUE(channel.HasEnded());
  }));
}

TEST(Channel, SeesThatTheSenderWasKilled) {
  const test::Outcome outcome = test::RunInChild([] {
    Result<Channel> made = Channel::Make("the sender", "the receiver");
    Channel& channel = made.value();
    const pid_t sender = fork();
    if (sender == 0) {
      channel.GiveUpReceiving();
      for (;;) pause();
    }
    channel.GiveUpSending();
    EXPECT_FALSE(channel.HasEnded());
    kill(sender, SIGKILL);
    EXPECT_EQ(channel.Receive().value(), Word::kEnded);
    EXPECT_TRUE(channel.HasEnded());
  });
  test::ExpectExit(outcome, 0, "");
  ASSERT_EQ(outcome.siblings.size(), 1U);
  EXPECT_EQ(WTERMSIG(outcome.siblings[0]), SIGKILL);
}

TEST(Channel, SeesThatTheSenderExecutedAProgram) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    int hold[2];
    ASSERT_EQ(pipe(hold), 0);
    Result<Channel> made = Channel::Make("the sender", "the receiver");
    Channel& channel = made.value();
    if (fork() == 0) {
      dup2(hold[0], STDIN_FILENO);
      for (const int end : hold) close(end);
      execl("/bin/cat", "cat", nullptr);
      _exit(1);
    }
    channel.GiveUpSending();
    EXPECT_EQ(channel.Receive().value(), Word::kEnded);
    for (const int end : hold) close(end);  // the program's end
  }));
}

// A word that is there is not the end.
TEST(Channel, HasNotEndedWhileTheSenderLives) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    Result<Channel> made = Channel::Make("the sender", "the receiver");
    Channel& channel = made.value();
    EXPECT_SUCCESS(channel.Send(Word::kReported));
    EXPECT_FALSE(channel.HasEnded());
    channel.GiveUpSending();
    EXPECT_TRUE(channel.HasEnded());
    EXPECT_SUCCESS(channel.ends().AwaitEnd());
  }));
}

TEST(Channel, SeesThatTheReceiverWasKilled) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    (void)std::signal(SIGPIPE, SIG_IGN);
    Result<Channel> made = Channel::Make("the sender", "the receiver");
    Channel& channel = made.value();
    const pid_t receiver = fork();
    if (receiver == 0) {
      channel.GiveUpSending();
      for (;;) pause();
    }
    channel.GiveUpReceiving();
    kill(receiver, SIGKILL);
    waitpid(receiver, nullptr, 0);
    EXPECT_SUCCESS(channel.Send(Word::kReported));
  }));
}

}  // namespace
}  // namespace nsenter
