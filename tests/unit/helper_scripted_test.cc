// SPDX-License-Identifier: Apache-2.0

#include "helper.h"

#include "child.h"
#include "expect.h"
#include "scripted_kernel.h"
#include "scripts.h"

#include <gtest/gtest.h>
#include <string>

namespace nsenter {
namespace {

using test::ScriptedKernel;

const std::string kMakesPipes = test::OpensProc() + R"(
    pipe2(O_CLOEXEC) = [5, 6]
    pipe2(O_CLOEXEC) = [7, 8]
    getpid() = 42
)";
const std::string kBegin = kMakesPipes + "sigprocmask(all)\n";

/// A helper with a copy of the memory.
std::string Start(const std::string& pid) {
  return kBegin + test::ClonesCopy(pid) + (pid == "43" ? "sigprocmask(before)\nclose(8)\n" : "");
}

/// A helper with the same memory.
std::string Share(const std::string& pid) {
  return kBegin + "uname()\nclone(CLONE_PARENT|CLONE_VM|SIGCHLD, NULL, function) = " + pid +
         (pid == "43" ? "\nsigprocmask(before)\nclose(8)\n" : "\n");
}

/// What the launched process closes in the end.
constexpr const char* kEnd = R"(
    close(7)
    close(6)
    close(5)
    close(3)
)";

struct Options {
  Kinship kinship = Kinship::kSibling;
  bool out_of_reach = false;
  int log_fd = -1;
};

/// Starts a helper, which has the maps written if that succeeds.
std::string StartAndWrite(const std::string& script, const Options& options = {}) {
  const ScriptedKernel kernel(script);
  const Result<OwnProc> proc = OwnProc::Open();
  const Bootstrap bootstrap = test::WithMaps();
  Log log("FATAL: ");
  if (options.log_fd >= 0) log.SendTo(options.log_fd);
  Result<Helper> helper =
      Helper::Start(bootstrap, proc.value(), options.kinship, options.out_of_reach, log);
  if (!helper.ok()) return test::Describe(helper);
  EXPECT_TRUE(helper.value().exists());
  EXPECT_EQ(helper.value().pid(), 43);
  return test::Describe(helper.value().WriteMaps());
}

TEST(Helper, IsNoneAtFirst) {
  const ScriptedKernel kernel("");
  EXPECT_FALSE(Helper().exists());
}

TEST(Helper, WritesTheMapsOnRequest) {
  EXPECT_EQ(StartAndWrite(Start("43") + R"(
    write(6, "w")
    read(7, 1) = "m"
  )" + kEnd),
            "success");
}

TEST(Helper, HasReportedItsOwnFailure) {
  EXPECT_EQ(StartAndWrite(Start("43") + R"(
    write(6, "w")
    read(7, 1) = "f"
  )" + kEnd),
            "reported");
}

TEST(Helper, IsFoundToHaveEnded) {
  EXPECT_EQ(StartAndWrite(Start("43") + R"(
    write(6, "w") = EPIPE
    read(7, 1) = ""
  )" + kEnd),
            "the helper ended before it had written the id maps");
}

TEST(Helper, IsTakenAtItsWordOnly) {
  for (const std::string word : {"M", "w", "r"}) {
    EXPECT_EQ(
        StartAndWrite(Start("43") + "write(6, \"w\")\nread(7, 1) = \"" + word + "\"\n" + kEnd),
        "the helper gave an unknown answer");
  }
}

TEST(Helper, SaysWhatFailed) {
  EXPECT_EQ(StartAndWrite(Start("43") + "write(6, \"w\") = EPERM\n" + kEnd),
            "failed to send a word to the helper: Operation not permitted");
  EXPECT_EQ(StartAndWrite(Start("43") + R"(
    write(6, "w")
    read(7, 1) = EPERM
  )" + kEnd),
            "failed to wait for the helper: Operation not permitted");
  EXPECT_EQ(StartAndWrite(Start("EPERM") + R"(
    close(8)
  )" + kEnd),
            "failed to create the helper: Operation not permitted");
  EXPECT_EQ(StartAndWrite(test::OpensProc() + R"(
    pipe2(O_CLOEXEC) = EPERM
    close(3)
  )"),
            "failed to create a pipe from the launched process to the helper: Operation not "
            "permitted");
  EXPECT_EQ(StartAndWrite(test::OpensProc() + R"(
    pipe2(O_CLOEXEC) = [5, 6]
    pipe2(O_CLOEXEC) = EPERM
    close(6)
    close(5)
    close(3)
  )"),
            "failed to create a pipe from the helper to the launched process: Operation not "
            "permitted");
  EXPECT_EQ(StartAndWrite(kMakesPipes + R"(
    sigprocmask(all) = EPERM
    close(8)
  )" + std::string(kEnd)),
            "failed to block signals: Operation not permitted");
  EXPECT_EQ(StartAndWrite(kBegin + test::ClonesCopy("43") + R"(
    sigprocmask(before) = EPERM
    close(8)
  )" + kEnd),
            "failed to unblock signals: Operation not permitted");
}

// The one that the launched process has to itself is reaped by it.

TEST(Helper, IsReapedIfItIsAChild) {
  const Options child = {.kinship = Kinship::kChild};
  const std::string start = kBegin + test::ClonesCopy("43", "SIGCHLD") +
                            "sigprocmask(before)\nclose(8)\nwrite(6, \"w\")\n";
  EXPECT_EQ(StartAndWrite(start + "read(7, 1) = \"m\"\nwaitpid(43) = 0\n" + kEnd, child),
            "success");
  EXPECT_EQ(StartAndWrite(start + "read(7, 1) = \"m\"\nwaitpid(43) = ECHILD\n" + kEnd, child),
            "success")
      << "SIGCHLD is ignored";
  EXPECT_EQ(StartAndWrite(start + "read(7, 1) = \"f\"\nwaitpid(43) = 0x0100\n" + kEnd, child),
            "reported");
  EXPECT_EQ(StartAndWrite(start + "read(7, 1) = \"\"\nwaitpid(43) = 0x0009\n" + kEnd, child),
            "the helper ended before it had written the id maps");
}

// With the same memory.

constexpr Options kOutOfReach = {.out_of_reach = true};

TEST(Helper, IsGoneWithOurMemoryBeforeWeGoOn) {
  EXPECT_EQ(StartAndWrite(Share("43") + R"(
    write(6, "w")
    read(7, 1) = "m"
    read(7, 1) = ""
  )" + kEnd,
                          kOutOfReach),
            "success");
  EXPECT_EQ(StartAndWrite(Share("43") + R"(
    write(6, "w")
    read(7, 1) = "f"
    read(7, 1) = ""
  )" + kEnd,
                          kOutOfReach),
            "reported");
  EXPECT_EQ(StartAndWrite(Share("43") + R"(
    write(6, "w")
    read(7, 1) = ""
    read(7, 1) = ""
  )" + kEnd,
                          kOutOfReach),
            "the helper ended before it had written the id maps");
}

TEST(Helper, SharesOurMemoryAsAChildToo) {
  EXPECT_EQ(StartAndWrite(kBegin + R"(
    uname()
    clone(CLONE_VM|SIGCHLD, NULL, function) = 43
    sigprocmask(before)
    close(8)
    write(6, "w")
    read(7, 1) = "m"
    read(7, 1) = ""
    waitpid(43) = 0
  )" + kEnd,
                          {.kinship = Kinship::kChild, .out_of_reach = true}),
            "success");
}

// Of two processes one says what failed.
TEST(Helper, IsNotBlamedForItsEndOnceItHasSaidWhatFailed) {
  const std::string script = Share("43") + R"(
    write(6, "w")
    read(7, 1) = "f"
    read(7, 1) = EPERM
    exit(1)
  )";
  test::ExpectExit(test::RunInChild([&] { ADD_FAILURE() << StartAndWrite(script, kOutOfReach); }),
                   1, "");
}

// The stack frames that it may use must not change: the launched process ends where it is.
TEST(Helper, IsNotLeftWithOurMemory) {
  for (const std::string answer : {"EPERM", "\"m\"\nread(7, 1) = EPERM"}) {
    const std::string script = Share("43") + "write(6, \"w\")\nread(7, 1) = " + answer + R"(
      says "FATAL: failed to wait for the helper: Operation not permitted"
      exit(1)
    )";
    test::ExpectExit(test::RunInChild([&] { ADD_FAILURE() << StartAndWrite(script, kOutOfReach); }),
                     1, "");
  }
}

TEST(Helper, HasACopyWhereSharingIsRefusedOrUnsound) {
  const std::string end = R"(
    sigprocmask(before)
    close(8)
    write(6, "w")
    read(7, 1) = "m"
  )" + std::string(kEnd);
  EXPECT_EQ(StartAndWrite(Share("EPERM") + test::ClonesCopy("43") + end, kOutOfReach), "success");
  for (const std::string machine :
       {"memory is copied", "there is a sanitizer", "there is a shadow stack"}) {
    std::string script = machine + kBegin;
    script += test::ClonesCopy("43");
    script += end;
    EXPECT_EQ(StartAndWrite(script, kOutOfReach), "success");
  }
}

TEST(Helper, LogsWhyItHasACopy) {
  const auto line = [](const std::string& why) {
    return "logs 9 debug \"[42]: the helper has a copy of our memory: " + why + "\"\n";
  };
  const std::string end = test::ClonesCopy("EPERM") + "close(8)\n" + kEnd;
  EXPECT_EQ(StartAndWrite(kBegin + line("others could get at its privileges") + end, {.log_fd = 9}),
            "failed to create the helper: Operation not permitted");
  EXPECT_EQ(StartAndWrite(Share("EPERM") + line("a process that shares memory is refused") + end,
                          {.out_of_reach = true, .log_fd = 9}),
            "failed to create the helper: Operation not permitted");
}

/// Has the launched process say why it has no helper, on descriptor 9.
void FailToStart(const std::string& script) {
  const ScriptedKernel kernel(script);
  const Result<OwnProc> proc = OwnProc::Open();
  const Bootstrap bootstrap = test::WithMaps();
  Log log("FATAL: ");
  log.SendTo(9);
  log.Fatal(Helper::Start(bootstrap, proc.value(), Kinship::kSibling, true, log).error());
}

TEST(Helper, GivesTheLaunchedProcessANumberOnceThereAreTwo) {
  const auto line = [](const std::string& process, const std::string& what) {
    return "logs 9 fatal \"" + process + ": failed to " + what +
           ": Operation not permitted\"\nclose(3)\n";
  };
  FailToStart(test::OpensProc() + "pipe2(O_CLOEXEC) = EPERM\n" +
              line("[42]", "create a pipe from the launched process to the helper"));
  FailToStart(kBegin + R"(
    uname()
    clone(CLONE_PARENT|CLONE_VM|SIGCHLD, NULL, function) = 43
    sigprocmask(before) = EPERM
    close(8)
    close(7)
    close(6)
    close(5)
  )" + line("-0[42]", "unblock signals"));
}

// The helper's own side, which ends in exit.

const std::string kIsAsked = R"(
    close(6)
    read(5, 1) = "w"
)";
const std::string kWritesMaps = kIsAsked + test::WritesMaps();

void ExpectHelper(const std::string& script, int status) {
  test::ExpectExit(
      test::RunInChild([&] { ADD_FAILURE() << "returned " << StartAndWrite(Start("0") + script); }),
      status, "");
}

TEST(HelperProcess, ClosesTheOtherEndAndWritesBothMaps) {
  ExpectHelper(kWritesMaps + R"(
    write(8, "m")
    exit(0)
  )",
               0);
}

TEST(HelperProcess, EndsSilentlyWithTheLaunchedProcess) {
  ExpectHelper(R"(
    close(6)
    read(5, 1) = ""
    poll(5, 0, 0) = POLLHUP
    exit(1)
  )",
               1);
}

TEST(HelperProcess, TakesTheLaunchedProcessAtItsWordOnly) {
  ExpectHelper(R"(
    close(6)
    read(5, 1) = "W"
    poll(5, 0, 0) = 0
    says "FATAL: the launched process made an unknown request"
    write(8, "f")
    exit(1)
  )",
               1);
}

TEST(HelperProcess, EndsSilentlyIfNobodyHearsThatItIsDone) {
  ExpectHelper(kWritesMaps + R"(
    write(8, "m") = EPIPE
    exit(0)
  )",
               0);
}

TEST(HelperProcess, SaysWhyBeforeItAnswers) {
  ExpectHelper(kIsAsked + R"(
    openat(3, "uid_map", O_WRONLY|O_CLOEXEC) = EPERM
    poll(5, 0, 0) = 0
    says "FATAL: failed to open uid_map: Operation not permitted"
    write(8, "f")
    exit(1)
  )",
               1);
}

TEST(HelperProcess, SaysNothingIfTheLaunchedProcessHasEndedMeanwhile) {
  ExpectHelper(kIsAsked + R"(
    openat(3, "uid_map", O_WRONLY|O_CLOEXEC) = ESRCH
    poll(5, 0, 0) = POLLHUP
    exit(1)
  )",
               1);
}

TEST(HelperProcess, WritesNothingWithoutARequest) {
  ExpectHelper(R"(
    close(6)
    read(5, 1) = EPERM
    poll(5, 0, 0) = 0
    says "FATAL: failed to wait for the launched process: Operation not permitted"
    write(8, "f")
    exit(1)
  )",
               1);
}

// The launched process has said itself why it ended. The result of poll does not matter now.
TEST(HelperProcess, SaysNothingOfAnEndThatItHasSeen) {
  ExpectHelper(R"(
    close(6)
    read(5, 1) = ""
    poll(5, 0, 0) = EPERM
    write(8, "f") = EPIPE
    exit(1)
  )",
               1);
  ExpectHelper(kWritesMaps + R"(
    write(8, "m") = EPERM
    poll(5, 0, 0) = POLLHUP
    exit(1)
  )",
               1);
}

TEST(HelperProcess, TakesNothingButAHangUpForAnEnd) {
  for (const std::string events : {"EPERM", "0", "POLLERR"}) {
    std::string script = kIsAsked;
    script.append("openat(3, \"uid_map\", O_WRONLY|O_CLOEXEC) = EPERM\npoll(5, 0, 0) = ");
    script.append(events).append(R"(
      says "FATAL: failed to open uid_map: Operation not permitted"
      write(8, "f")
      exit(1)
    )");
    ExpectHelper(script, 1);
  }
}

TEST(HelperProcess, SaysByItsEndThatItIsDoneWithTheSameMemory) {
  const std::string script = Share("0") + kWritesMaps + R"(
    exit(0)
  )";
  test::ExpectExit(test::RunInChild([&] { ADD_FAILURE() << StartAndWrite(script, kOutOfReach); }),
                   0, "");
}

TEST(HelperProcess, SaysThatItCannotTellThatItIsDone) {
  ExpectHelper(kWritesMaps + R"(
    write(8, "m") = EPERM
    poll(5, 0, 0) = 0
    says "FATAL: failed to send a word to the launched process: Operation not permitted"
    write(8, "f") = EPERM
    exit(1)
  )",
               1);
}

TEST(HelperProcess, LogsWhatItHasDone) {
  const std::string script = Share("0") + kWritesMaps + R"(
    logs 9 debug "-1[43]: wrote the id maps of process 42"
    exit(0)
  )";
  test::ExpectExit(test::RunInChild([&] {
                     ADD_FAILURE() << StartAndWrite(script, {.out_of_reach = true, .log_fd = 9});
                   }),
                   0, "");
}

}  // namespace
}  // namespace nsenter
