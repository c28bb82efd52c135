// SPDX-License-Identifier: Apache-2.0

#include "netlink.h"

#include "child.h"
#include "expect.h"
#include "scripted_kernel.h"
#include "scripts.h"
#include "working_copy.h"

#include <gtest/gtest.h>
#include <string>

namespace nsenter {
namespace {

using test::ScriptedKernel;

/// What ServeNetlink says for a message that asks for nothing.
std::string Serve(const std::string& script, Log log = Log("FATAL: ")) {
  const ScriptedKernel kernel(script);
  WorkingCopy copy;
  return test::Describe(ServeNetlink(3, copy, log));
}

constexpr const char* kMessage = R"(read(3, 16) = "\<4:16>\<2:62000>\<2:0>\<8:0>")";

constexpr const char* kServed = R"(
    read(3, 16) = "\<4:16>\<2:62000>\<2:0>\<8:0>"
    unshare(CLONE_THREAD)
    setresuid(0)
    setresgid(0)
)";

std::string Share(const std::string& pid) {
  return test::ClonesSharingInit(pid) + "sigprocmask(before)\n";
}

/// In the launched process, or its working copy, which must exit with `status`.
void ExpectToLeave(const std::string& script, int status, Log log = Log("FATAL: ")) {
  const auto body = [&] { ADD_FAILURE() << "returned " << Serve(script, log); };
  test::ExpectExit(test::RunInChild(body), status, "");
}

// stage1_pid is nobody where there is no helper.
TEST(ServeNetlink, RepliesInTheLaunchedProcess) {
  ExpectToLeave(kServed + Share("44") + R"(
    write(3, "{\"stage1_pid\":2147483647,\"stage2_pid\":44}\n")
    exit(0)
  )",
                0);
}

TEST(ServeNetlink, SaysThatTheReplyFailed) {
  ExpectToLeave(kServed + Share("44") + R"(
    write(3, "{\"stage1_pid\":2147483647,\"stage2_pid\":44}\n") = EPIPE
    says "FATAL: failed to write the reply to INITPIPE: Broken pipe"
    exit(1)
  )",
                1);
}

/// A message that asks for id maps.
constexpr const char* kMessageWithMaps = R"(
    read(3, 16) = "\<4:54>\<2:62000>\<2:0>\<8:0>"
    read(3, 38) = "\<2:8>\<2:27281>\<4:0x10000000>\<2:14>\<2:27283>0 1000 10\x00\x00\x00\<2:14>\<2:27284>0 2000 20\x00"
)";

/// Up to the helper's clone.
std::string ClonesHelper(const std::string& result, const std::string& flags) {
  return test::OpensProc(9) + R"(
    geteuid() = 1000
    pipe2(O_CLOEXEC) = [10, 11]
    pipe2(O_CLOEXEC) = [12, 13]
    getpid() = 42
    sigprocmask(all)
  )" + test::ClonesCopy(result, flags);
}

std::string WithHelper(const std::string& init) {
  return kMessageWithMaps + std::string("unshare(CLONE_THREAD)\n") +
         ClonesHelper("43", "CLONE_PARENT|SIGCHLD") + R"(
    sigprocmask(before)
    close(13)
    unshare(CLONE_NEWUSER)
    write(11, "w")
    read(12, 1) = "m"
    setresuid(0)
    setresgid(0)
    close(12)
    close(11)
    close(10)
    close(9)
  )" + Share(init);
}

TEST(ServeNetlink, ReportsTheHelperAsStage1) {
  ExpectToLeave(WithHelper("44") + R"(
    write(3, "{\"stage1_pid\":43,\"stage2_pid\":44}\n")
    exit(0)
  )",
                0);
}

// It has been reaped by then, and its number has been given again.
TEST(ServeNetlink, NeverReportsTheInitProcessAsStage1) {
  ExpectToLeave(WithHelper("43") + R"(
    write(3, "{\"stage1_pid\":2147483647,\"stage2_pid\":43}\n")
    exit(0)
  )",
                0);
}

// The copy's side; working_copy_scripted_test has the other one.
TEST(ServeNetlink, ReportsItsWorkingCopyAsStage1) {
  const std::string start = kMessage + test::GoesOnInWorkingCopy() + R"(
    setresuid(0)
    setresgid(0)
    getpid() = 43
  )" + Share("44");
  ExpectToLeave(start + R"(
    poll(32, 0, 0) = 0
    write(3, "{\"stage1_pid\":43,\"stage2_pid\":44}\n")
    write(31, "r")
    exit(0)
  )",
                0);
  // The launched process has been killed: there is no container.
  ExpectToLeave(start + R"(
    poll(32, 0, 0) = POLLHUP
    write(31, "f") = EPIPE
    exit(1)
  )",
                1);
}

// The helper of a working copy is its child, and is not reported.
TEST(ServeNetlink, HasItsWorkingCopyReapTheHelper) {
  EXPECT_EQ(
      Serve(kMessageWithMaps + test::GoesOnInWorkingCopy() + ClonesHelper("EPERM", "SIGCHLD") + R"(
    close(13)
    close(12)
    close(11)
    close(10)
    close(9)
    close(32)
    close(31)
    close(30)
  )"),
      "failed to create the helper: Operation not permitted");
}

// With a copy of the memory, where one process can play both parts.
TEST(ServeNetlink, LeadsASessionAndHasItsNameInTheInitProcess) {
  const std::string copy = std::string("memory is copied\n") + kServed +
                           test::ClonesCopiedInit("0") + test::kCopiedInitGoesOn;
  EXPECT_EQ(Serve(copy + "prctl(PR_SET_NAME, \"runc:[2:INIT]\")"), "success");
  EXPECT_EQ(Serve(copy + "prctl(PR_SET_NAME, \"runc:[2:INIT]\") = EPERM"),
            "failed to take the name runc:[2:INIT]: Operation not permitted");
}

// A process that shares memory would stay in the old time namespace, or be refused.
TEST(ServeNetlink, GivesAnInitProcessInANewTimeNamespaceItsOwnMemory) {
  EXPECT_EQ(Serve(R"(
    read(3, 16) = "\<4:24>\<2:62000>\<2:0>\<8:0>"
    read(3, 8) = "\<2:8>\<2:27281>\<4:0x80>"
    unshare(CLONE_THREAD)
    unshare(CLONE_NEWTIME)
    setresuid(0)
    setresgid(0)
  )" + test::ClonesCopiedInit("EPERM") +
                  "close(6)\nclose(5)"),
            "failed to create the init process: Operation not permitted");
}

TEST(ServeNetlink, DoesNothingOfAMessageThatIsBroken) {
  EXPECT_EQ(Serve(R"(
    read(3, 16) = "\<4:18>\<2:62000>\<2:0>\<8:0>"
    read(3, 2) = "ab"
  )"),
            "the bootstrap message ends with 2 bytes that are no attribute");
}

TEST(ServeNetlink, LogsStartAndAffinityBeforeItReads) {
  Log log("FATAL: ");
  log.SendTo(4);
  EXPECT_EQ(Serve(R"(
    logs 4 debug "[42]: => nsexec container setup"
    sched_getaffinity() = "\<8:3>"
    logs 4 debug "[42]: affinity: 0x3"
    read(3, 16) = EPERM
  )",
                  log),
            "failed to read the bootstrap message: Operation not permitted");
}

TEST(ServeNetlink, LogsTheFirst64CpusAndDoesWithoutAnAnswer) {
  const auto affinity = [](const std::string& answer, const std::string& line) {
    Log log("FATAL: ");
    log.SendTo(4);
    EXPECT_EQ(Serve(R"(
      getpid() = 42
      poll(4, POLLOUT, 0) = 0
      sched_getaffinity() = )" +
                        answer + "\n" + line + "\nread(3, 16) = EPERM",
                    log),
              "failed to read the bootstrap message: Operation not permitted");
  };
  const auto line = [](const std::string& mask) {
    return "logs 4 debug \"[42]: affinity: 0x" + mask + "\"";
  };
  affinity("EPERM", "");
  affinity(R"("\<8:0>\<8:1>")", line("0"));
  affinity(R"("\<8:0x7000000f00000010>\<8:1>")", line("7000000f00000010"));
}

TEST(ServeNetlink, FindsOutNoAffinityThatTheLevelWouldDrop) {
  Log log("FATAL: ");
  log.SendTo(4);
  log.SetLevel(4);
  EXPECT_EQ(Serve("read(3, 16) = EPERM", log),
            "failed to read the bootstrap message: Operation not permitted");
}

}  // namespace
}  // namespace nsenter
