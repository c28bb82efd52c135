// SPDX-License-Identifier: Apache-2.0

#include "sigpipe.h"

#include "child.h"
#include "expect.h"

#include <cerrno>
#include <csignal>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace nsenter {
namespace {

int WriteToClosedPipe() {
  int ends[2];
  if (pipe(ends) != 0) return -1;
  close(ends[0]);
  return write(ends[1], "x", 1) == -1 ? errno : 0;
}

TEST(IgnoredSigpipe, MakesItAnErrorUntilItEnds) {
  const test::Outcome outcome = test::RunInChild([] {
    IgnoredSigpipe sigpipe;
    EXPECT_SUCCESS(sigpipe.Start());
    EXPECT_EQ(WriteToClosedPipe(), EPIPE);
    EXPECT_SUCCESS(sigpipe.End());
    WriteToClosedPipe();
  });
  EXPECT_TRUE(WIFSIGNALED(outcome.status));
  EXPECT_EQ(WTERMSIG(outcome.status), SIGPIPE);
  EXPECT_EQ(outcome.output, "");
}

TEST(IgnoredSigpipe, PutsAHandlerBackAsItWas) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    struct sigaction before = {};
    before.sa_handler = [](int) {};
    before.sa_flags = SA_RESTART | SA_NODEFER;
    sigaddset(&before.sa_mask, SIGUSR1);
    ASSERT_EQ(sigaction(SIGPIPE, &before, nullptr), 0);
    IgnoredSigpipe sigpipe;
    EXPECT_SUCCESS(sigpipe.Start());
    EXPECT_SUCCESS(sigpipe.End());
    struct sigaction after = {};
    ASSERT_EQ(sigaction(SIGPIPE, nullptr, &after), 0);
    EXPECT_EQ(after.sa_handler, before.sa_handler);
    EXPECT_EQ(after.sa_flags & (SA_RESTART | SA_NODEFER), SA_RESTART | SA_NODEFER);
    EXPECT_EQ(sigismember(&after.sa_mask, SIGUSR1), 1);
    EXPECT_EQ(sigismember(&after.sa_mask, SIGUSR2), 0);
  }));
}

}  // namespace
}  // namespace nsenter
