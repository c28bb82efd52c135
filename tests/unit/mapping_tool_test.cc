// SPDX-License-Identifier: Apache-2.0

#include "mapping_tool.h"

#include "child.h"
#include "expect.h"

#include <csignal>
#include <gtest/gtest.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace nsenter {
namespace {

using test::TemporaryFolder;

/// Runs a script as the tool; the result is what it said and what was said of it.
std::string RunScript(const std::string& script, const std::string& map = "0 1000 1\n",
                      const std::string& interpreter = "/bin/sh") {
  const TemporaryFolder folder;
  const std::string path = folder.WriteProgram("tool", "#!" + interpreter + "\n" + script + "\n");
  const test::Outcome outcome = test::RunInChild([&] {
    // The one is how the helper runs it, the other can be inherited from the parent.
    (void)std::signal(SIGPIPE, SIG_IGN);
    (void)std::signal(SIGCHLD, SIG_IGN);
    // The one that is blocked is so before.
    sigset_t before;
    sigemptyset(&before);
    sigaddset(&before, SIGUSR2);
    (void)sigprocmask(SIG_BLOCK, &before, nullptr);
    BlockedSignals signals;
    EXPECT_SUCCESS(signals.Block());
    std::string status = test::Describe(RunMappingTool(path, 42, map, signals)) + "\n";
    const std::size_t name = status.find(path);
    if (name != std::string::npos) status.replace(name, path.size(), "TOOL");
    EXPECT_EQ(write(STDOUT_FILENO, status.data(), status.size()),
              static_cast<ssize_t>(status.size()));
  });
  EXPECT_EQ(outcome.status, 0);
  return outcome.output;
}

TEST(MappingTool, GetsTheMapAsArguments) {
  EXPECT_EQ(RunScript("echo $#: \"$@\"", "         0       1000          1\n1 100000 65536"),
            "7: 42 0 1000 1 1 100000 65536\nsuccess\n");
}

TEST(MappingTool, GetsTheLargestMap) {
  std::string map;
  for (int i = 0; i < 340; ++i) map += "4294967295 4294967295 4294967295\n";
  EXPECT_EQ(RunScript("echo $#; for last; do :; done; echo $last", map),
            "1021\n4294967295\nsuccess\n");
}

TEST(MappingTool, GetsAnEmptyEnvironment) {
  setenv("NSENTER_TEST", "here", 1);
  EXPECT_EQ(RunScript("wc -c </proc/$$/environ"), "0\nsuccess\n");
}

TEST(MappingTool, GetsNoDescriptorButStdio) {
  const int inherited = dup2(STDIN_FILENO, 50);
  ASSERT_EQ(inherited, 50);
  // The shell itself has the script open, and had the folder.
  EXPECT_EQ(RunScript("for fd in /proc/$$/fd/*; do\n"
                      "  [ ! -e \"$fd\" ] || [ \"$fd\" -ef \"$0\" ] || echo \"${fd##*/}\"\n"
                      "done"),
            "0\n1\n2\nsuccess\n");
  close(inherited);
}

// Whatever else the parent ignores is left as it is.
TEST(MappingTool, GetsTheDefaultDispositionOfWhatWeIgnore) {
  const std::string output = RunScript("grep SigIgn /proc/$$/status; exit 3");
  const std::string label = "SigIgn:\t";
  ASSERT_EQ(output.substr(0, label.size()), label);
  std::size_t digits = 0;
  const unsigned long long ignored = std::stoull(output.substr(label.size()), &digits, 16);
  for (const int signal : {SIGPIPE, SIGCHLD}) {
    EXPECT_EQ(ignored >> static_cast<unsigned>(signal - 1) & 1U, 0U) << "signal " << signal;
  }
  EXPECT_EQ(output.substr(label.size() + digits), "\nTOOL exited with status 3\n");
}

TEST(MappingTool, HasBlockedWhatWasSoBefore) {
  // A shell may unblock them.
  const std::string output = RunScript(
      "BEGIN { while ((getline line < \"/proc/self/status\") > 0) if (line ~ /SigBlk/) print line "
      "}",
      "0 1000 1\n", "/usr/bin/awk -f");
  const std::string label = "SigBlk:\t";
  ASSERT_EQ(output.substr(0, label.size()), label);
  EXPECT_EQ(std::stoull(output.substr(label.size()), nullptr, 16), 1ULL << (SIGUSR2 - 1U));
}

TEST(MappingTool, IsSaidToHaveFailed) {
  EXPECT_EQ(RunScript("exit 1"), "TOOL exited with status 1\n");
  EXPECT_EQ(RunScript("exit 255"), "TOOL exited with status 255\n");
  EXPECT_EQ(RunScript("kill -9 $$"), "TOOL was killed by signal 9\n");
  EXPECT_EQ(RunScript("echo why >&2; exit 1"), "why\nTOOL exited with status 1\n");
}

TEST(MappingTool, IsSaidToBeMissing) {
  const BlockedSignals signals;  // none: nothing is blocked before
  if (!test::VforkSharesMemory()) {
    EXPECT_ERROR(RunMappingTool("/nothing/newuidmap", 42, "0 0 1\n", signals),
                 "/nothing/newuidmap exited with status 1");
    return;
  }
  EXPECT_ERROR(RunMappingTool("/nothing/newuidmap", 42, "0 0 1\n", signals),
               "failed to execute /nothing/newuidmap: No such file or directory");
  EXPECT_ERROR(RunMappingTool("/etc/passwd", 42, "0 0 1\n", signals),
               "failed to execute /etc/passwd: Permission denied");
  EXPECT_ERROR(RunMappingTool("/", 42, "0 0 1\n", signals),
               "failed to execute /: Permission denied");
}

}  // namespace
}  // namespace nsenter
