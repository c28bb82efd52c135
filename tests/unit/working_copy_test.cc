// SPDX-License-Identifier: Apache-2.0
//
// What nsexec() does in a process with threads.

#include "working_copy.h"

#include "caller.h"
#include "child.h"
#include "expect.h"
#include "hand_over.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <functional>
#include <gtest/gtest.h>
#include <pthread.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace nsenter {
namespace {

TEST(WorkingCopy, IsNoneWhereThereIsOneThread) {
  Log log("FATAL: ");
  WorkingCopy copy;
  EXPECT_SUCCESS(copy.MakeIfThreads(log));
  EXPECT_FALSE(copy.exists());
  EXPECT_SUCCESS(copy.RequireLaunchedProcess());
}

#ifndef NSEXEC_EMULATED  // valgrind calls lost what a thread has that never ends

/// In a process with a second thread, lets `work` be done in a copy of it. Returns the output of
/// the copy and the end of each process.
test::Outcome RunWithThreads(const std::function<Status(const WorkingCopy& copy)>& work) {
  return test::RunInChild([&] {
    (void)std::signal(SIGPIPE, SIG_IGN);
    std::thread([] {
      for (;;) pause();
    }).detach();
    Log log("FATAL: ");
    WorkingCopy copy;
    Status status = copy.MakeIfThreads(log);
    if (status.ok()) status = work(copy);
    if (status.ok()) status = copy.Finish();
    log.Fatal(status.ok() ? Error::AlreadyReported() : status.error());
    (void)std::fflush(nullptr);
    _exit(status.ok() && !testing::Test::HasFailure() ? 0 : 1);
  });
}

TEST(WorkingCopy, HasOneThreadAndIsASibling) {
  const pid_t parent = getpid();
  const test::Outcome outcome = RunWithThreads([=](const WorkingCopy& copy) -> Status {
    EXPECT_TRUE(copy.exists());
    EXPECT_FALSE(HasThreads());
    EXPECT_EQ(getppid(), parent);
    EXPECT_EQ(gettid(), getpid());
    pthread_attr_t attributes;
    EXPECT_EQ(pthread_getattr_np(pthread_self(), &attributes), 0) << "asks the kernel by thread id";
    pthread_attr_destroy(&attributes);
    EXPECT_SUCCESS(copy.RequireLaunchedProcess());
    return {};
  });
  EXPECT_EQ(outcome.output, "");
  EXPECT_EQ(outcome.siblings.size(), 1U);
}

TEST(WorkingCopy, EndsTheLaunchedProcessAsItEndsItself) {
  test::ExpectSilentSuccess(RunWithThreads([](const WorkingCopy&) -> Status { return {}; }));
  const test::Outcome failed = RunWithThreads(
      [](const WorkingCopy&) -> Status { return Error::WithCode(EPERM, "failed to x"); });
  test::ExpectExit(failed, 1, "FATAL: failed to x: Operation not permitted\n");
  ASSERT_EQ(failed.siblings.size(), 1U);
  EXPECT_EQ(WEXITSTATUS(failed.siblings[0]), 1);
}

TEST(WorkingCopy, IsMissedIfItIsKilled) {
  const test::Outcome outcome = RunWithThreads([](const WorkingCopy&) -> Status {
    (void)raise(SIGKILL);
    return {};
  });
  test::ExpectExit(
      outcome, 1,
      "FATAL: the copy of the process that has one thread ended before it had said that all "
      "is done\n");
  ASSERT_EQ(outcome.siblings.size(), 1U);
  EXPECT_EQ(outcome.siblings[0], SIGKILL);
}

TEST(WorkingCopy, SeesThatTheLaunchedProcessIsKilled) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const test::Outcome outcome = test::RunInChild([&] {
    const pid_t launched = fork();  // whose sibling the copy is then
    if (launched == 0) {
      std::thread([] {
        for (;;) pause();
      }).detach();
      Log log("FATAL: ");
      WorkingCopy copy;
      const Status made = copy.MakeIfThreads(log);
      const bool alive = made.ok() && copy.RequireLaunchedProcess().ok();
      EXPECT_EQ(write(ends[1], alive ? "y" : "n", 1), 1);
      while (copy.RequireLaunchedProcess().ok()) usleep(1000);
      _exit(7);
    }
    char answer = 0;
    EXPECT_EQ(read(ends[0], &answer, 1), 1);
    EXPECT_EQ(answer, 'y');
    EXPECT_EQ(kill(launched, SIGKILL), 0);
    int statuses[2] = {};
    for (int& status : statuses) EXPECT_GT(waitpid(-1, &status, 0), 0);
    for (const int status : statuses) {
      EXPECT_TRUE(status == SIGKILL || (WIFEXITED(status) && WEXITSTATUS(status) == 7)) << status;
    }
    EXPECT_NE(statuses[0], statuses[1]);
  });
  for (const int end : ends) close(end);
  test::ExpectSilentSuccess(outcome);
}

// The parent knows of nobody else, and of no container.
TEST(WorkingCopy, EndsWithTheInitProcessIfTheLaunchedProcessIsKilled) {
  for (const bool takes_console : {false, true}) {  // which is a reason to copy memory
    const test::Outcome outcome = test::RunInChild([=] {
      const pid_t launched = getpid();
      (void)std::signal(SIGPIPE, SIG_IGN);
      std::thread([] {
        for (;;) pause();
      }).detach();
      Log log("FATAL: ");
      WorkingCopy copy;
      const Status made = copy.MakeIfThreads(log);
      const auto report = [&](pid_t) -> Status {
        EXPECT_EQ(kill(launched, SIGKILL), 0);
        while (copy.RequireLaunchedProcess().ok()) usleep(1000);
        return copy.RequireLaunchedProcess();
      };
      const auto leave = [&] { return copy.Finish(); };
      const Status status = BecomeInitProcess({.init = {.takes_console = takes_console},
                                               .report = report,
                                               .leave = leave,
                                               .prepare = {}},
                                              log);
      _exit(made.ok() && !status.ok() && status.error().reported() ? 1 : 2);
    });
    EXPECT_EQ(outcome.status, SIGKILL);
    EXPECT_EQ(outcome.output, "");
    ASSERT_EQ(outcome.siblings.size(), 2U) << "the copy and the init process";
    for (const int status : outcome.siblings) EXPECT_EQ(WEXITSTATUS(status), 1);
  }
}

#endif

}  // namespace
}  // namespace nsenter
