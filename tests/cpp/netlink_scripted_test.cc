// SPDX-License-Identifier: Apache-2.0

#include "netlink.h"

#include "child.h"
#include "expect.h"
#include "scripted_kernel.h"

#include <gtest/gtest.h>
#include <string>

namespace nsenter {
namespace {

using test::ScriptedKernel;

/// What ServeNetlink says for a message that asks for nothing.
std::string Serve(const std::string& script, Log log = Log("FATAL: ")) {
  const ScriptedKernel kernel(script);
  return test::Describe(ServeNetlink({nullptr, "3", nullptr, nullptr, nullptr}, log));
}

constexpr const char* kServed = R"(
    read(3, 16) = "\<4:16>\<2:62000>\<2:0>\<8:0>"
    setresuid(0)
    setresgid(0)
    getppid() = 41
)";

constexpr const char* kFindThread = R"(
    prctl(PR_GET_TID_ADDRESS) = EINVAL
    get_robust_list() = ENOSYS
)";

TEST(ServeNetlink, RepliesInTheLaunchedProcess) {
  const auto body = [] {
    ADD_FAILURE() << "returned " << Serve(std::string(kServed) + kFindThread + R"(
      set_tid_address(a pointer)
      clone(CLONE_PARENT|CLONE_VM, NULL, function) = 44
      write(3, "{\"stage1_pid\":41,\"stage2_pid\":44}\n")
      exit(0)
    )");
  };
  test::ExpectExit(test::RunInChild(body), 0, "");
}

TEST(ServeNetlink, NeverReportsTheInitProcessAsStage1) {
  const auto body = [] {
    ADD_FAILURE() << "returned " << Serve(std::string(kServed) + kFindThread + R"(
      set_tid_address(a pointer)
      clone(CLONE_PARENT|CLONE_VM, NULL, function) = 41
      getppid() = 40
      write(3, "{\"stage1_pid\":40,\"stage2_pid\":41}\n")
      exit(0)
    )");
  };
  test::ExpectExit(test::RunInChild(body), 0, "");
}

// With a copy of the memory, where one process can play both parts.
TEST(ServeNetlink, LeadsASessionAndHasItsNameInTheInitProcess) {
  EXPECT_EQ(Serve("memory is copied\n" + std::string(kServed) + R"(
    pipe2(O_CLOEXEC) = [5, 6]
    prctl(PR_GET_TID_ADDRESS) = EINVAL
    get_robust_list() = ENOSYS
    clone(CLONE_PARENT, NULL) = 0
    close(6)
    read(5, 1) = "r"
    close(5)
    setsid() = 44
    prctl(PR_SET_NAME, "runc:[2:INIT]")
  )"),
            "success");
}

// A process that shares memory would stay in the old time namespace, or be refused.
TEST(ServeNetlink, GivesAnInitProcessInANewTimeNamespaceItsOwnMemory) {
  EXPECT_EQ(Serve(R"(
    read(3, 16) = "\<4:24>\<2:62000>\<2:0>\<8:0>"
    read(3, 8) = "\<2:8>\<2:27281>\<4:0x80>"
    unshare(CLONE_NEWTIME)
    setresuid(0)
    setresgid(0)
    getppid() = 41
    pipe2(O_CLOEXEC) = EPERM
  )"),
            "failed to create a pipe for the init process: Operation not permitted");
}

TEST(ServeNetlink, NeedsTheNumberOfItsPipe) {
  const ScriptedKernel kernel("");
  Log log("FATAL: ");
  EXPECT_ERROR(ServeNetlink({nullptr, "3x", nullptr, nullptr, nullptr}, log),
               "invalid _LIBCONTAINER_INITPIPE \"3x\": not a decimal number");
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
    getpid() = 42
    poll(4, POLLOUT, 0) = POLLOUT
    write(4, "{\"level\":\"debug\", \"msg\": \"nsexec[42]: => nsexec container setup\"}\n")
    sched_getaffinity() = "\<8:3>"
    getpid() = 42
    poll(4, POLLOUT, 0) = POLLOUT
    write(4, "{\"level\":\"debug\", \"msg\": \"nsexec[42]: affinity: 0x3\"}\n")
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
    return "getpid() = 42\npoll(4, POLLOUT, 0) = POLLOUT\nwrite(4, \"{\\\"level\\\":\\\"debug\\\", "
           "\\\"msg\\\": \\\"nsexec[42]: affinity: 0x" +
           mask + "\\\"}\\n\")";
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
