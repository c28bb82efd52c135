// SPDX-License-Identifier: Apache-2.0

#include "netlink.h"

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
  const Result<Next> next = ServeNetlink({nullptr, "3", nullptr, nullptr, nullptr}, log);
  if (!next.ok()) return test::Describe(next);
  return next.value() == Next::kGoOn ? "go on" : "leave";
}

std::string UntilClone(const std::string& init) {
  return R"(
    read(3, 16) = "\x10\x00\x00\x00\x30\xf2\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    setresuid(0)
    setresgid(0)
    getppid() = 41
    pipe2(O_CLOEXEC) = [5, 6]
    prctl(PR_GET_TID_ADDRESS) = EINVAL
    get_robust_list() = ENOSYS
    clone(CLONE_PARENT, NULL) = )" +
         init + "\n";
}

TEST(ServeNetlink, RepliesBeforeItOpensTheGate) {
  EXPECT_EQ(Serve(UntilClone("44") + R"(
    close(5)
    write(3, "{\"stage1_pid\":41,\"stage2_pid\":44}\n")
    write(6, "r")
    close(6)
  )"),
            "leave");
}

TEST(ServeNetlink, LeavesTheGateClosedIfTheReplyFails) {
  EXPECT_EQ(Serve(UntilClone("44") + R"(
    close(5)
    write(3, "{\"stage1_pid\":41,\"stage2_pid\":44}\n") = EPIPE
    close(6)
  )"),
            "failed to write the reply to INITPIPE: Broken pipe");
}

// From the reply on it is the parent's.
TEST(ServeNetlink, LeavesAnInitProcessThatHasEnded) {
  EXPECT_EQ(Serve(UntilClone("44") + R"(
    close(5)
    write(3, "{\"stage1_pid\":41,\"stage2_pid\":44}\n")
    write(6, "r") = EPIPE
    close(6)
  )"),
            "leave");
}

TEST(ServeNetlink, GoesOnInTheInitProcessAfterTheReply) {
  EXPECT_EQ(Serve(UntilClone("0") + R"(
    close(6)
    read(5, 1) = "r"
    setsid() = 44
    prctl(PR_SET_NAME, "runc:[2:INIT]")
    close(5)
  )"),
            "go on");
}

TEST(ServeNetlink, EndsTheInitProcessSilentlyWithTheLaunchedOne) {
  EXPECT_EQ(Serve(UntilClone("0") + R"(
    close(6)
    read(5, 1) = ""
    close(5)
  )"),
            "reported");
}

TEST(ServeNetlink, DoesNothingOfAMessageThatIsBroken) {
  EXPECT_EQ(Serve(R"(
    read(3, 16) = "\x12\x00\x00\x00\x30\xf2\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
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
    sched_getaffinity() = "\x03\x00\x00\x00\x00\x00\x00\x00"
    getpid() = 42
    poll(4, POLLOUT, 0) = POLLOUT
    write(4, "{\"level\":\"debug\", \"msg\": \"nsexec[42]: affinity: 0x3\"}\n")
    read(3, 16) = EIO
  )",
                  log),
            "failed to read the bootstrap message: Input/output error");
}

TEST(ServeNetlink, LogsTheFirst64CpusAndDoesWithoutAnAnswer) {
  const auto affinity = [](const std::string& answer, const std::string& line) {
    Log log("FATAL: ");
    log.SendTo(4);
    EXPECT_EQ(Serve(R"(
      getpid() = 42
      poll(4, POLLOUT, 0) = 0
      sched_getaffinity() = )" +
                        answer + "\n" + line + "\nread(3, 16) = EIO",
                    log),
              "failed to read the bootstrap message: Input/output error");
  };
  const auto line = [](const std::string& mask) {
    return "getpid() = 42\npoll(4, POLLOUT, 0) = POLLOUT\nwrite(4, \"{\\\"level\\\":\\\"debug\\\", "
           "\\\"msg\\\": \\\"nsexec[42]: affinity: 0x" +
           mask + "\\\"}\\n\")";
  };
  affinity("EINVAL", "");
  affinity(R"("\x00\x00\x00\x00\x00\x00\x00\x00\x01")", line("0"));
  affinity(R"("\x10\x00\x00\x00\x0f\x00\x00\x70\x01")", line("7000000f00000010"));
}

TEST(ServeNetlink, FindsOutNoAffinityThatTheLevelWouldDrop) {
  Log log("FATAL: ");
  log.SendTo(4);
  log.SetLevel(4);
  EXPECT_EQ(Serve("read(3, 16) = EIO", log),
            "failed to read the bootstrap message: Input/output error");
}

}  // namespace
}  // namespace nsenter
