// SPDX-License-Identifier: Apache-2.0

#include "hand_over.h"

#include "child.h"
#include "expect.h"
#include "scripted_kernel.h"
#include "scripts.h"

#include <gtest/gtest.h>
#include <string>

namespace nsenter {
namespace {

using test::ScriptedKernel;

/// What BecomeInitProcess says. "prctl(PR_SET_NAME, "prepare")", "write(3, PID's last digit)" and
/// "prctl(PR_SET_NAME, "leave")" in the script stand for what it calls.
std::string HandItOver(const std::string& script, bool takes_console = false) {
  const ScriptedKernel kernel(script);
  Log log("FATAL: ");
  const auto prepare = []() -> Status {
    if (sys::SetName("prepare") < 0) return Error::Of("failed to prepare");
    return {};
  };
  const auto report = [](pid_t init) -> Status {
    const char name = static_cast<char>('0' + init % 10);
    if (sys::Write(3, &name, 1) < 0) return Error::Of("failed to report");
    return {};
  };
  const auto leave = []() -> Status {
    if (sys::SetName("leave") < 0) return Error::Of("failed to leave");
    return {};
  };
  HandOver hand_over = {
      .init = {.takes_console = takes_console}, .report = report, .leave = leave, .prepare = {}};
  if (takes_console) hand_over.prepare = prepare;
  return test::Describe(BecomeInitProcess(hand_over, log));
}

/// In the launched process, which must exit with `status`.
void ExpectToLeave(const std::string& script, int status) {
  const auto body = [&] { ADD_FAILURE() << "returned " << HandItOver(script); };
  test::ExpectExit(test::RunInChild(body), status, "");
}

constexpr const char* kBegin = R"(
    pipe2(O_CLOEXEC) = [5, 6]
    sigprocmask(all)
)";

std::string Copy(const std::string& pid) {
  return "memory is copied" + test::ClonesCopiedInit(pid);
}

TEST(HandOver, SaysWhatItNeeds) {
  EXPECT_EQ(HandItOver("pipe2(O_CLOEXEC) = EPERM"),
            "failed to create a pipe from the launched process to the init process: Operation not "
            "permitted");
  EXPECT_EQ(HandItOver("pipe2(O_CLOEXEC) = [5, 6]\nsigprocmask(all) = EPERM\nclose(6)\nclose(5)"),
            "failed to block signals: Operation not permitted");
}

TEST(HandOverCopy, ReportsBeforeItTellsTheInitProcess) {
  ExpectToLeave(Copy("44") + R"(
    sigprocmask(before)
    write(3, "4")
    write(6, "r")
    prctl(PR_SET_NAME, "leave")
    exit(0)
  )",
                0);
}

TEST(HandOverCopy, DoesNotTellTheInitProcessIfTheReportFails) {
  ExpectToLeave(Copy("44") + R"(
    sigprocmask(before)
    write(3, "4") = EPIPE
    says "FATAL: failed to report"
    exit(1)
  )",
                1);
  ExpectToLeave(Copy("44") + R"(
    sigprocmask(before) = EPERM
    says "FATAL: failed to unblock signals: Operation not permitted"
    exit(1)
  )",
                1);
}

// From the report on it is the parent's.
TEST(HandOverCopy, LeavesAnInitProcessThatHasEnded) {
  ExpectToLeave(Copy("44") + R"(
    sigprocmask(before)
    write(3, "4")
    write(6, "r") = EPIPE
    prctl(PR_SET_NAME, "leave")
    exit(0)
  )",
                0);
}

TEST(HandOverCopy, SaysThatItCouldNotTellOrLeave) {
  ExpectToLeave(Copy("44") + R"(
    sigprocmask(before)
    write(3, "4")
    write(6, "r") = EPERM
    says "FATAL: failed to send a word to the init process: Operation not permitted"
    exit(1)
  )",
                1);
  ExpectToLeave(Copy("44") + R"(
    sigprocmask(before)
    write(3, "4")
    write(6, "r")
    prctl(PR_SET_NAME, "leave") = EPERM
    says "FATAL: failed to leave"
    exit(1)
  )",
                1);
}

TEST(HandOverCopy, GoesOnInTheInitProcessAfterTheReport) {
  EXPECT_EQ(HandItOver(Copy("0") + test::kCopiedInitGoesOn), "success");
}

TEST(HandOverCopy, SaysWhatTheInitProcessCannotDo) {
  EXPECT_EQ(HandItOver(Copy("0") + R"(
    close(6)
    read(5, 1) = EPERM
    close(5)
  )"),
            "failed to wait for the launched process: Operation not permitted");
  EXPECT_EQ(HandItOver(Copy("0") + R"(
    close(6)
    read(5, 1) = "r"
    setsid() = EPERM
    close(5)
  )"),
            "failed to start a session: Operation not permitted");
  EXPECT_EQ(HandItOver(Copy("0") + R"(
    close(6)
    read(5, 1) = "r"
    setsid() = 44
    sigtimedwait(SIGHUP) = EPERM
    close(5)
  )"),
            "failed to drop SIGHUP: Operation not permitted");
  EXPECT_EQ(HandItOver(Copy("0") + R"(
    close(6)
    read(5, 1) = "r"
    setsid() = 44
    sigtimedwait(SIGHUP) = 1
    sigprocmask(before) = EPERM
    close(5)
  )"),
            "failed to unblock signals: Operation not permitted");
}

TEST(HandOverCopy, EndsTheInitProcessSilentlyWithTheLaunchedOne) {
  for (const std::string word : {"", "f", "x"}) {
    EXPECT_EQ(HandItOver(Copy("0") + "close(6)\nread(5, 1) = \"" + word + "\"\nclose(5)"),
              "reported")
        << word;
  }
}

// The session is what "prepare" starts.
TEST(HandOverCopy, PreparesBeforeItWaits) {
  const std::string begin = kBegin + test::ClonesCopy("0");
  EXPECT_EQ(HandItOver(begin + R"(
    close(6)
    prctl(PR_SET_NAME, "prepare")
    read(5, 1) = "r"
    sigtimedwait(SIGHUP) = EAGAIN
    sigprocmask(before)
    close(5)
  )",
                       true),
            "success");
  EXPECT_EQ(HandItOver(begin + R"(
    close(6)
    prctl(PR_SET_NAME, "prepare") = EPERM
    close(5)
  )",
                       true),
            "failed to prepare");
}

TEST(HandOverCopy, SaysWhatCouldNotBeCreated) {
  EXPECT_EQ(HandItOver(Copy("EPERM") + "close(6)\nclose(5)\n"),
            "failed to create the init process: Operation not permitted");
}

/// Hands over with a report that logs its name.
void HandOverAndLog(const std::string& script) {
  const ScriptedKernel kernel(script);
  Log log("FATAL: ");
  log.SendTo(4);
  log.TellFailureTo(9);
  const auto report = [&](pid_t) -> Status {
    log.Debug("report");
    return {};
  };
  EXPECT_SUCCESS(
      BecomeInitProcess({.init = {}, .report = report, .leave = {}, .prepare = {}}, log));
  log.Debug("init");
  log.Fatal(Error::AlreadyReported());  // and nobody is told
}

std::string Debug(const std::string& process, const std::string& text) {
  return "logs 4 debug \"" + process + ": " + text + "\"\n";
}

TEST(HandOverCopy, TellsWhichProcessLogsAndWhyItHasACopy) {
  const std::string begin =
      std::string("memory is copied") + kBegin +
      Debug("[42]",
            "the init process has a copy of our memory: this was built with NSEXEC_COPY_MEMORY");
  HandOverAndLog(begin + test::ClonesCopy("0") + test::kCopiedInitGoesOn + Debug("-2[44]", "init"));
  const std::string launched = begin + test::ClonesCopy("44") + "sigprocmask(before)\n" +
                               Debug("-0[42]", "report") + "write(6, \"r\")\nexit(0)\n";
  test::ExpectExit(test::RunInChild([&] { HandOverAndLog(launched); }), 0, "");
}

// With the same memory.

TEST(HandOverSharedMemory, ReportsAndLeaves) {
  ExpectToLeave(test::ClonesSharingInit("44") + R"(
    sigprocmask(before)
    write(3, "4")
    prctl(PR_SET_NAME, "leave")
    exit(0)
  )",
                0);
}

TEST(HandOverSharedMemory, SaysThatTheReportFailed) {
  ExpectToLeave(test::ClonesSharingInit("44") + R"(
    sigprocmask(before)
    write(3, "4") = EPIPE
    says "FATAL: failed to report"
    exit(1)
  )",
                1);
  ExpectToLeave(test::ClonesSharingInit("44") + R"(
    sigprocmask(before) = EPERM
    says "FATAL: failed to unblock signals: Operation not permitted"
    exit(1)
  )",
                1);
}

TEST(HandOverSharedMemory, TellsWhichProcessLogs) {
  const std::string launched = test::ClonesSharingInit("44") +
                               Debug("-0[42]", "the init process shares our memory") +
                               "sigprocmask(before)\n" + Debug("-0[42]", "report") + "exit(0)\n";
  test::ExpectExit(test::RunInChild([&] { HandOverAndLog(launched); }), 0, "");
}

// What the init process does on the other stack. That it goes on afterwards, the real kernel has to
// show.

TEST(HandOverSharedMemory, EndsTheInitProcessSilentlyWithTheLaunchedOne) {
  ExpectToLeave(test::ClonesSharingInit("0") + R"(
    close(6)
    read(5, 1) = ""
    exit(1)
  )",
                1);
}

TEST(HandOverSharedMemory, TakesNoWordForTheEnd) {
  ExpectToLeave(test::ClonesSharingInit("0") + R"(
    close(6)
    read(5, 1) = "r"
    read(5, 1) = ""
    exit(1)
  )",
                1);
}

TEST(HandOverSharedMemory, SaysThatTheInitProcessCannotWait) {
  ExpectToLeave(test::ClonesSharingInit("0") + R"(
    close(6)
    read(5, 1) = EPERM
    says "FATAL: failed to wait for the launched process: Operation not permitted"
    exit(1)
  )",
                1);
}

TEST(HandOverSharedMemory, TellsWhichProcessCannotWait) {
  const std::string script = test::ClonesSharingInit("0") + R"(
    close(6)
    read(5, 1) = EPERM
    logs 4 fatal "-2[44]: failed to wait for the launched process: Operation not permitted"
    exit(1)
  )";
  test::ExpectExit(test::RunInChild([&] { HandOverAndLog(script); }), 1, "");
}

// Then a copy goes on, whatever refuses it.

TEST(HandOverSharedMemory, CopiesWhereItIsRefused) {
  for (const std::string error : {"EPERM", "EINVAL", "ENOSYS", "ENOMEM"}) {
    EXPECT_EQ(HandItOver(test::ClonesSharingInit(error) + test::ClonesCopy("EPERM") +
                         "close(6)\nclose(5)"),
              "failed to create the init process: Operation not permitted");
  }
}

TEST(HandOverSharedMemory, CopiesWhereThreadStateCouldNotBeRestored) {
  EXPECT_EQ(HandItOver(std::string(kBegin) + R"(
    uname()
    prctl(PR_GET_TID_ADDRESS) = EINVAL
    get_robust_list()
    gettid() = 42
  )" + test::ClonesCopy("EPERM") +
                       "close(6)\nclose(5)"),
            "failed to create the init process: Operation not permitted");
}

TEST(HandOverSharedMemory, LogsWhyThereIsACopy) {
  const std::string end = test::ClonesCopy("0") + test::kCopiedInitGoesOn + Debug("-2[44]", "init");
  HandOverAndLog(test::ClonesSharingInit("EPERM") +
                 Debug("[42]",
                       "the init process has a copy of our memory: a process that shares memory is "
                       "refused") +
                 end);
  HandOverAndLog(
      std::string(kBegin) +
      "uname()\nprctl(PR_GET_TID_ADDRESS) = EINVAL\nget_robust_list() = ENOSYS\n"
      "gettid() = 42\n" +
      Debug("[42]",
            "the init process has a copy of our memory: the kernel does not tell where it "
            "clears the thread id") +
      end);
}

}  // namespace
}  // namespace nsenter
