// SPDX-License-Identifier: Apache-2.0

#include "gate.h"

#include "child.h"
#include "expect.h"

#include <csignal>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace nsenter {
namespace {

TEST(Gate, HandsTheWordOver) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    Result<Gate> made = Gate::Make();
    Gate& gate = made.value();
    if (fork() == 0) {
      gate.KeepOpeningEnd();
      EXPECT_SUCCESS(gate.Open('r'));
      return;
    }
    gate.KeepWaitingEnd();
    EXPECT_EQ(gate.Wait().value(), 'r');
    EXPECT_EQ(gate.Wait().value(), '\0') << "the other process has ended";
  }));
}

TEST(Gate, SeesThatTheOpenerWasKilled) {
  const test::Outcome outcome = test::RunInChild([] {
    Result<Gate> made = Gate::Make();
    Gate& gate = made.value();
    const pid_t opener = fork();
    if (opener == 0) {
      gate.KeepOpeningEnd();
      for (;;) pause();
    }
    gate.KeepWaitingEnd();
    kill(opener, SIGKILL);
    EXPECT_EQ(gate.Wait().value(), '\0');
  });
  test::ExpectExit(outcome, 0, "");
  ASSERT_EQ(outcome.siblings.size(), 1U);
  EXPECT_EQ(WTERMSIG(outcome.siblings[0]), SIGKILL);
}

TEST(Gate, SeesThatTheWaiterWasKilled) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    (void)std::signal(SIGPIPE, SIG_IGN);
    Result<Gate> made = Gate::Make();
    Gate& gate = made.value();
    const pid_t waiter = fork();
    if (waiter == 0) {
      gate.KeepWaitingEnd();
      for (;;) pause();
    }
    gate.KeepOpeningEnd();
    kill(waiter, SIGKILL);
    waitpid(waiter, nullptr, 0);
    EXPECT_SUCCESS(gate.Open('r'));
  }));
}

}  // namespace
}  // namespace nsenter
