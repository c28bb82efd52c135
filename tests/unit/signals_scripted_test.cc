// SPDX-License-Identifier: Apache-2.0

#include "signals.h"

#include "expect.h"
#include "scripted_kernel.h"

#include <gtest/gtest.h>

namespace nsenter {
namespace {

using test::ScriptedKernel;

TEST(IgnoredSigpipe, EndsWithTheDispositionBefore) {
  ScriptedKernel kernel(R"(
    sigaction(SIGPIPE, SIG_IGN)
    sigaction(SIGPIPE, handler)
  )");
  kernel.memory().old_action.handler = [](int) {};
  IgnoredSigpipe sigpipe;
  EXPECT_SUCCESS(sigpipe.Start());
  EXPECT_SUCCESS(sigpipe.End());
}

TEST(IgnoredSigpipe, DoesNotEndByItself) {
  const ScriptedKernel kernel("sigaction(SIGPIPE, SIG_IGN)");
  EXPECT_SUCCESS(IgnoredSigpipe().Start());
}

TEST(IgnoredSigpipe, SaysWhatFailed) {
  const ScriptedKernel kernel(R"(
    sigaction(SIGPIPE, SIG_IGN) = EPERM
    sigaction(SIGPIPE, SIG_DFL) = EPERM
  )");
  IgnoredSigpipe sigpipe;
  EXPECT_ERROR(sigpipe.Start(), "failed to ignore SIGPIPE: Operation not permitted");
  EXPECT_ERROR(sigpipe.End(), "failed to stop ignoring SIGPIPE: Operation not permitted");
}

TEST(BlockedSignals, AreAllUntilTheMaskBefore) {
  const ScriptedKernel kernel(R"(
    sigprocmask(all)
    sigprocmask(before)
  )");
  BlockedSignals signals;
  EXPECT_SUCCESS(signals.Block());
  EXPECT_SUCCESS(signals.Restore());
}

TEST(BlockedSignals, SayWhatFailed) {
  const ScriptedKernel kernel(R"(
    sigprocmask(all) = EPERM
    sigprocmask(none) = EPERM
  )");
  BlockedSignals signals;
  EXPECT_ERROR(signals.Block(), "failed to block signals: Operation not permitted");
  EXPECT_ERROR(signals.Restore(), "failed to unblock signals: Operation not permitted");
}

TEST(BlockedSignals, DropAHangUpIfThereIsOne) {
  const ScriptedKernel kernel(R"(
    sigtimedwait(SIGHUP) = 1
    sigtimedwait(SIGHUP) = EAGAIN
    sigtimedwait(SIGHUP) = EPERM
  )");
  EXPECT_SUCCESS(BlockedSignals::DropHangUp());
  EXPECT_SUCCESS(BlockedSignals::DropHangUp());
  EXPECT_ERROR(BlockedSignals::DropHangUp(), "failed to drop SIGHUP: Operation not permitted");
}

}  // namespace
}  // namespace nsenter
