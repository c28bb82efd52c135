// SPDX-License-Identifier: Apache-2.0

#include "signals.h"

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

volatile std::sig_atomic_t counted = 0;
void Count(int /*signal*/) { counted = counted + 1; }

TEST(BlockedSignals, StayPendingUntilTheMaskBeforeIsBack) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    for (const int signal : {SIGUSR1, SIGUSR2, SIGRTMIN}) (void)std::signal(signal, Count);
    sigset_t before;
    sigemptyset(&before);
    sigaddset(&before, SIGUSR2);
    ASSERT_EQ(sigprocmask(SIG_SETMASK, &before, nullptr), 0);
    BlockedSignals signals;
    EXPECT_SUCCESS(signals.Block());
    for (const int signal : {SIGUSR1, SIGUSR2, SIGRTMIN}) EXPECT_EQ(raise(signal), 0);
    EXPECT_EQ(counted, 0);
    EXPECT_SUCCESS(signals.Restore());
    EXPECT_EQ(counted, 2) << "all but the one that was blocked before";
    sigset_t after;
    ASSERT_EQ(sigprocmask(SIG_SETMASK, nullptr, &after), 0);
    EXPECT_EQ(sigismember(&after, SIGUSR2), 1);
    EXPECT_EQ(sigismember(&after, SIGUSR1), 0);
  }));
}

TEST(BlockedSignals, DropAHangUpAndNothingElse) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    for (const int signal : {SIGHUP, SIGTERM}) (void)std::signal(signal, Count);
    BlockedSignals signals;
    EXPECT_SUCCESS(signals.Block());
    EXPECT_EQ(kill(getpid(), SIGHUP), 0);
    EXPECT_EQ(kill(getpid(), SIGTERM), 0);
    EXPECT_SUCCESS(BlockedSignals::DropHangUp());
    EXPECT_SUCCESS(BlockedSignals::DropHangUp()) << "there is none any more";
    EXPECT_SUCCESS(signals.Restore());
    EXPECT_EQ(counted, 1) << "SIGTERM";
  }));
}

}  // namespace
}  // namespace nsenter
