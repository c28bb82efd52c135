// SPDX-License-Identifier: Apache-2.0

#include "hand_over.h"

#include "child.h"
#include "expect.h"
#include "scripted_kernel.h"

#include <gtest/gtest.h>
#include <string>

namespace nsenter {
namespace {

using test::ScriptedKernel;

/// What BecomeInitProcess says. "prepare" and "report" in the script stand for what they call.
std::string HandItOver(Memory memory, const std::string& script) {
  const ScriptedKernel kernel(script);
  Log log("FATAL: ");
  const auto prepare = []() -> Status {
    if (sys::NewSession() < 0) return Error::Of("failed to prepare");
    return {};
  };
  const auto report = [](pid_t init) -> Status {
    const char name = static_cast<char>('0' + init % 10);
    if (sys::Write(3, &name, 1) < 0) return Error::Of("failed to report");
    return {};
  };
  return test::Describe(
      BecomeInitProcess({.memory = memory, .report = report, .prepare = prepare}, log));
}

/// In the launched process, which must exit with `status`.
void ExpectToLeave(Memory memory, const std::string& script, int status) {
  const auto body = [&] { ADD_FAILURE() << "returned " << HandItOver(memory, script); };
  test::ExpectExit(test::RunInChild(body), status, "");
}

std::string Copy(const std::string& pid) {
  return R"(
    pipe2(O_CLOEXEC) = [5, 6]
    prctl(PR_GET_TID_ADDRESS) = EINVAL
    get_robust_list() = ENOSYS
    clone(CLONE_PARENT, NULL) = )" +
         pid + "\n";
}

TEST(HandOverCopy, ReportsBeforeItOpensTheGate) {
  ExpectToLeave(Memory::kCopied, Copy("44") + R"(
    close(5)
    write(3, "4")
    write(6, "r")
    exit(0)
  )",
                0);
}

TEST(HandOverCopy, LeavesTheGateClosedIfTheReportFails) {
  ExpectToLeave(Memory::kCopied, Copy("44") + R"(
    close(5)
    write(3, "4") = EPIPE
    poll(2, POLLOUT, 300) = POLLOUT
    write(2, "FATAL: failed to report\n")
    exit(1)
  )",
                1);
}

// From the report on it is the parent's.
TEST(HandOverCopy, LeavesAnInitProcessThatHasEnded) {
  ExpectToLeave(Memory::kCopied, Copy("44") + R"(
    close(5)
    write(3, "4")
    write(6, "r") = EPIPE
    exit(0)
  )",
                0);
}

TEST(HandOverCopy, GoesOnInTheInitProcessAfterTheReport) {
  EXPECT_EQ(HandItOver(Memory::kCopied, Copy("0") + R"(
    close(6)
    setsid() = 44
    read(5, 1) = "r"
    close(5)
  )"),
            "success");
}

TEST(HandOverCopy, EndsTheInitProcessSilentlyWithTheLaunchedOne) {
  EXPECT_EQ(HandItOver(Memory::kCopied, Copy("0") + R"(
    close(6)
    setsid() = 44
    read(5, 1) = ""
    close(5)
  )"),
            "reported");
}

TEST(HandOverCopy, DoesNotWaitAtTheGateUnprepared) {
  EXPECT_EQ(HandItOver(Memory::kCopied, Copy("0") + R"(
    close(6)
    setsid() = EPERM
    close(5)
  )"),
            "failed to prepare");
}

TEST(HandOverCopy, SaysWhatCouldNotBeCreated) {
  EXPECT_EQ(HandItOver(Memory::kCopied, "pipe2(O_CLOEXEC) = EPERM"),
            "failed to create a pipe for the init process: Operation not permitted");
  EXPECT_EQ(HandItOver(Memory::kCopied, Copy("EPERM") + "close(6)\nclose(5)\n"),
            "failed to create the init process: Operation not permitted");
}

/// Hands over with steps that log their names.
void HandOverAndLog(Memory memory, const std::string& script) {
  const ScriptedKernel kernel(script);
  Log log("FATAL: ");
  log.SendTo(4);
  const auto prepare = [&]() -> Status {
    log.Debug("prepare");
    return {};
  };
  const auto report = [&](pid_t) -> Status {
    log.Debug("report");
    return {};
  };
  EXPECT_SUCCESS(BecomeInitProcess({.memory = memory, .report = report, .prepare = prepare}, log));
}

TEST(HandOverCopy, TellsWhichProcessLogs) {
  HandOverAndLog(Memory::kCopied, Copy("0") + R"(
    close(6)
    getpid() = 44
    poll(4, POLLOUT, 0) = POLLOUT
    write(4, "{\"level\":\"debug\", \"msg\": \"nsexec-2[44]: prepare\"}\n")
    read(5, 1) = "r"
    close(5)
  )");
  const std::string launched = Copy("44") + R"(
    close(5)
    getpid() = 42
    poll(4, POLLOUT, 0) = POLLOUT
    write(4, "{\"level\":\"debug\", \"msg\": \"nsexec-0[42]: report\"}\n")
    write(6, "r")
    exit(0)
  )";
  test::ExpectExit(test::RunInChild([&] { HandOverAndLog(Memory::kCopied, launched); }), 0, "");
}

std::string Share(const std::string& pid) {
  return R"(
    prctl(PR_GET_TID_ADDRESS) = EINVAL
    get_robust_list() = ENOSYS
    set_tid_address(a pointer)
    clone(CLONE_PARENT|CLONE_VM, NULL, function) = )" +
         pid + "\n";
}

TEST(HandOverSharedMemory, ReportsAndLeaves) {
  ExpectToLeave(Memory::kShared, Share("44") + R"(
    write(3, "4")
    exit(0)
  )",
                0);
}

TEST(HandOverSharedMemory, SaysThatTheReportFailed) {
  ExpectToLeave(Memory::kShared, Share("44") + R"(
    write(3, "4") = EPIPE
    poll(2, POLLOUT, 300) = POLLOUT
    write(2, "FATAL: failed to report\n")
    exit(1)
  )",
                1);
}

TEST(HandOverSharedMemory, SaysWhatCouldNotBeCreated) {
  EXPECT_EQ(HandItOver(Memory::kShared, Share("EPERM")),
            "failed to create the init process: Operation not permitted");
}

// What the init process does on the other stack. That it goes on afterwards, the real kernel has to
// show.

TEST(HandOverSharedMemory, EndsTheInitProcessSilentlyWithTheLaunchedOne) {
  ExpectToLeave(Memory::kShared, Share("0") + R"(
    futex(FUTEX_WAIT, 1)
    exit(1)
  )",
                1);
}

TEST(HandOverSharedMemory, WaitsAgainIfTheLaunchedProcessIsNotGone) {
  ExpectToLeave(Memory::kShared, Share("0") + R"(
    futex(FUTEX_WAIT, 1) = EAGAIN
    futex(FUTEX_WAIT, 1)
    exit(1)
  )",
                1);
}

TEST(HandOverSharedMemory, SaysThatTheInitProcessCannotWait) {
  ExpectToLeave(Memory::kShared, Share("0") + R"(
    futex(FUTEX_WAIT, 1) = EPERM
    poll(2, POLLOUT, 300) = POLLOUT
    write(2, "FATAL: failed to wait for the launched process: Operation not permitted\n")
    exit(1)
  )",
                1);
}

TEST(HandOverSharedMemory, TellsWhichProcessCannotWait) {
  const std::string script = Share("0") + R"(
    futex(FUTEX_WAIT, 1) = EPERM
    getpid() = 44
    poll(4, POLLOUT, 300) = POLLOUT
    write(4, "{\"level\":\"fatal\", \"msg\": \"nsexec-2[44]: failed to wait for the launched process: Operation not permitted\"}\n")
    exit(1)
  )";
  test::ExpectExit(test::RunInChild([&] { HandOverAndLog(Memory::kShared, script); }), 1, "");
}

// Without it, the launched process's end would go unnoticed.
TEST(HandOverSharedMemory, NeedsToBeToldOfTheEnd) {
  EXPECT_EQ(HandItOver(Memory::kShared, R"(
    prctl(PR_GET_TID_ADDRESS) = EINVAL
    get_robust_list() = EPERM
    set_tid_address(a pointer) = EPERM
  )"),
            "failed to set the address of the thread id: Operation not permitted");
}

TEST(HandOverSharedMemory, CopiesWhereSharingWouldNotDo) {
  EXPECT_EQ(HandItOver(Memory::kShared, "memory is copied\npipe2(O_CLOEXEC) = EPERM"),
            "failed to create a pipe for the init process: Operation not permitted");
}

}  // namespace
}  // namespace nsenter
