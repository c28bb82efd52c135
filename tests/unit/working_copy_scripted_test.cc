// SPDX-License-Identifier: Apache-2.0

#include "working_copy.h"

#include "child.h"
#include "expect.h"
#include "scripted_kernel.h"
#include "scripts.h"
#include "sys.h"

#include <gtest/gtest.h>
#include <string>

namespace nsenter {
namespace {

using test::ScriptedKernel;

std::string Clone(const std::string& pid) {
  return test::kSeesThreads +
         std::string("pipe2(O_CLOEXEC) = [5, 6]\npipe2(O_CLOEXEC) = [7, 8]\n") +
         test::ClonesCopy(pid);
}

TEST(WorkingCopy, IsNoneWhereThereIsOneThread) {
  const ScriptedKernel kernel("unshare(CLONE_THREAD)");
  Log log("FATAL: ");
  WorkingCopy copy;
  EXPECT_SUCCESS(copy.MakeIfThreads(log));
  EXPECT_FALSE(copy.exists());
  EXPECT_SUCCESS(copy.RequireLaunchedProcess());
  EXPECT_SUCCESS(copy.Finish());
}

// The copy's side.

TEST(WorkingCopy, TellsTheLaunchedProcessWhenAllIsDone) {
  const ScriptedKernel kernel(Clone("0") + R"(
    close(8)
    poll(7, 0, 0) = 0
    write(6, "r")
    close(7)
    close(6)
    close(5)
  )");
  Log log("FATAL: ");
  WorkingCopy copy;
  EXPECT_SUCCESS(copy.MakeIfThreads(log));
  EXPECT_TRUE(copy.exists());
  EXPECT_SUCCESS(copy.RequireLaunchedProcess());
  EXPECT_SUCCESS(copy.Finish());
}

TEST(WorkingCopy, TellsTheLaunchedProcessOfAFailureOnceItIsSaid) {
  const ScriptedKernel kernel(Clone("0") + R"(
    close(8)
    says "FATAL: failed to x"
    write(6, "f")
    close(7)
    close(6)
    close(5)
  )");
  Log log("FATAL: ");
  WorkingCopy copy;
  EXPECT_SUCCESS(copy.MakeIfThreads(log));
  log.Fatal(Error::Of("failed to x"));
}

TEST(WorkingCopy, GoesNoFurtherIfTheLaunchedProcessIsGone) {
  const ScriptedKernel kernel(Clone("0") + R"(
    close(8)
    poll(7, 0, 0) = POLLHUP
    write(6, "r") = EPERM
    close(7)
    close(6)
    close(5)
  )");
  Log log("FATAL: ");
  WorkingCopy copy;
  EXPECT_SUCCESS(copy.MakeIfThreads(log));
  EXPECT_ERROR(copy.RequireLaunchedProcess(), "reported");
  EXPECT_ERROR(copy.Finish(),
               "failed to send a word to the launched process: Operation not permitted");
}

TEST(WorkingCopy, SaysWhatCouldNotBeMade) {
  const auto make = [](const std::string& script) {
    const ScriptedKernel kernel(script);
    Log log("FATAL: ");
    WorkingCopy copy;
    return test::Describe(copy.MakeIfThreads(log));
  };
  const std::string looks = test::kSeesThreads;
  EXPECT_EQ(make(looks + "pipe2(O_CLOEXEC) = EPERM"),
            "failed to create a pipe from the copy of the process that has one thread to the "
            "launched process: Operation not permitted");
  EXPECT_EQ(make(looks + "pipe2(O_CLOEXEC) = [5, 6]\npipe2(O_CLOEXEC) = EPERM\nclose(6)\nclose(5)"),
            "failed to create a pipe from the launched process to the copy of the process that has "
            "one thread: Operation not permitted");
  EXPECT_EQ(make(Clone("EPERM") + "close(8)\nclose(7)\nclose(6)\nclose(5)"),
            "failed to create the copy of the process that has one thread: Operation not "
            "permitted");
}

// The launched process's side, which ends in exit.

void ExpectToEnd(const std::string& script, int status, int log_fd = -1) {
  const auto body = [&] {
    const ScriptedKernel kernel(Clone("43") + "close(6)\n" + script);
    Log log("FATAL: ");
    if (log_fd >= 0) log.SendTo(log_fd);
    WorkingCopy copy;
    const Status made = copy.MakeIfThreads(log);
    ADD_FAILURE() << "returned " << test::Describe(made);
  };
  test::ExpectExit(test::RunInChild(body), status, "");
}

TEST(WorkingCopy, IsFollowedByTheLaunchedProcess) {
  ExpectToEnd("read(5, 1) = \"r\"\nexit(0)", 0);
  ExpectToEnd("read(5, 1) = \"f\"\nexit(1)", 1);
  ExpectToEnd("read(5, 1) = \"x\"\nexit(1)", 1);
}

TEST(WorkingCopy, IsMissedIfItIsKilled) {
  ExpectToEnd(R"(
    read(5, 1) = ""
    says "FATAL: the copy of the process that has one thread ended before it had said that all is done"
    exit(1)
  )",
              1);
  ExpectToEnd(R"(
    read(5, 1) = EPERM
    says "FATAL: failed to wait for the copy of the process that has one thread: Operation not permitted"
    exit(1)
  )",
              1);
}

TEST(WorkingCopy, IsNamedInTheLog) {
  ExpectToEnd(R"(
    logs 4 debug "[42]: there are other threads: process 43 goes on, which has one"
    read(5, 1) = "r"
    exit(0)
  )",
              0, 4);
}

}  // namespace
}  // namespace nsenter
