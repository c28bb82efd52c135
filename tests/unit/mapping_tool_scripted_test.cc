// SPDX-License-Identifier: Apache-2.0

#include "mapping_tool.h"

#include "child.h"
#include "expect.h"
#include "scripted_kernel.h"

#include <gtest/gtest.h>
#include <string>

namespace nsenter {
namespace {

using test::ScriptedKernel;

constexpr const char* kReady = R"(
  readlink("/proc/self") = "41"
  getpid() = 41
  sigaction(SIGCHLD, SIG_DFL)
)";

std::string RunTool(const std::string& script) {
  const ScriptedKernel kernel("sigprocmask(all)\n" + script);
  BlockedSignals signals;
  EXPECT_SUCCESS(signals.Block());
  return test::Describe(
      RunMappingTool("/bin/newuidmap", 42, "0 1000 1\n1 100000 65536\n", signals));
}

// In the tool's process everything ends with execve, so this is what it is like when that fails.
TEST(RunMappingTool, ExecutesItWithTheMapAndNothingElse) {
  test::ExpectExit(test::RunInChild([] {
                     RunTool(std::string(kReady) + R"(
          clone(CLONE_VM|CLONE_VFORK|SIGCHLD, NULL, function) = 0
          sigaction(SIGPIPE, SIG_DFL)
          close_range(3)
          sigprocmask(before)
          execve("/bin/newuidmap", ["/bin/newuidmap", "42", "0", "1000", "1", "1", "100000", "65536"], []) = ENOENT
          exit(1)
        )");
                   }),
                   1, "");
}

TEST(RunMappingTool, DoesNotExecuteItWithDescriptorsOfOurs) {
  test::ExpectExit(test::RunInChild([] {
                     RunTool(std::string(kReady) + R"(
                       clone(CLONE_VM|CLONE_VFORK|SIGCHLD, NULL, function) = 0
                       sigaction(SIGPIPE, SIG_DFL)
                       close_range(3) = EPERM
                       exit(1)
                     )");
                   }),
                   1, "");
}

TEST(RunMappingTool, DoesNotExecuteItWithWhatWeIgnoreOrBlock) {
  test::ExpectExit(test::RunInChild([] {
                     RunTool(std::string(kReady) + R"(
                       clone(CLONE_VM|CLONE_VFORK|SIGCHLD, NULL, function) = 0
                       sigaction(SIGPIPE, SIG_DFL) = EPERM
                       exit(1)
                     )");
                   }),
                   1, "");
  test::ExpectExit(test::RunInChild([] {
                     RunTool(std::string(kReady) + R"(
                       clone(CLONE_VM|CLONE_VFORK|SIGCHLD, NULL, function) = 0
                       sigaction(SIGPIPE, SIG_DFL)
                       close_range(3)
                       sigprocmask(before) = EPERM
                       exit(1)
                     )");
                   }),
                   1, "");
}

TEST(RunMappingTool, LooksUpNoPidInTheProcOfSomebodyElse) {
  EXPECT_EQ(RunTool(R"(
    readlink("/proc/self") = "1"
    getpid() = 41
  )"),
            "failed to run /bin/newuidmap: /proc does not show our pid namespace");
}

TEST(RunMappingTool, WaitsForIt) {
  EXPECT_EQ(RunTool(std::string(kReady) +
                    "clone(CLONE_VM|CLONE_VFORK|SIGCHLD, NULL, function) = 50\nwaitpid(50) = 0"),
            "success");
}

TEST(RunMappingTool, SaysHowItEnded) {
  EXPECT_EQ(
      RunTool(std::string(kReady) +
              "clone(CLONE_VM|CLONE_VFORK|SIGCHLD, NULL, function) = 50\nwaitpid(50) = 0x0300"),
      "/bin/newuidmap exited with status 3");
  EXPECT_EQ(
      RunTool(std::string(kReady) +
              "clone(CLONE_VM|CLONE_VFORK|SIGCHLD, NULL, function) = 50\nwaitpid(50) = 0x0009"),
      "/bin/newuidmap was killed by signal 9");
  EXPECT_EQ(
      RunTool(std::string(kReady) +
              "clone(CLONE_VM|CLONE_VFORK|SIGCHLD, NULL, function) = 50\nwaitpid(50) = 0x008b"),
      "/bin/newuidmap was killed by signal 11");
}

TEST(RunMappingTool, SaysWhatFailed) {
  EXPECT_EQ(RunTool("readlink(\"/proc/self\") = \"41\"\ngetpid() = 41\n"
                    "sigaction(SIGCHLD, SIG_DFL) = EPERM"),
            "failed to stop ignoring SIGCHLD for /bin/newuidmap: Operation not permitted");
  EXPECT_EQ(
      RunTool(std::string(kReady) + "clone(CLONE_VM|CLONE_VFORK|SIGCHLD, NULL, function) = EPERM"),
      "failed to create a process for /bin/newuidmap: Operation not permitted");
  EXPECT_EQ(
      RunTool(std::string(kReady) +
              "clone(CLONE_VM|CLONE_VFORK|SIGCHLD, NULL, function) = 50\nwaitpid(50) = EPERM"),
      "failed to wait for /bin/newuidmap: Operation not permitted");
}

}  // namespace
}  // namespace nsenter
