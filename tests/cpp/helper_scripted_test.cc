// SPDX-License-Identifier: Apache-2.0

#include "helper.h"

#include "child.h"
#include "expect.h"
#include "scripted_kernel.h"

#include <gtest/gtest.h>
#include <string>

namespace nsenter {
namespace {

using test::ScriptedKernel;

Bootstrap WithMaps() {
  Bootstrap bootstrap;
  bootstrap.clone_flags = CLONE_NEWUSER;
  bootstrap.uid_map = ParseIdMap("UIDMAP", "0 1000 10\n").value();
  bootstrap.gid_map = ParseIdMap("GIDMAP", "0 2000 20\n").value();
  return bootstrap;
}

std::string Start(const std::string& pid) {
  return R"(
    openat(AT_FDCWD, "/proc/self", O_PATH|O_DIRECTORY|O_CLOEXEC) = 3
    fstatfs(3) = PROC_SUPER_MAGIC
    socketpair() = [5, 6]
    getpid() = 42
    prctl(PR_GET_TID_ADDRESS) = EINVAL
    get_robust_list() = ENOSYS
    clone(CLONE_PARENT, NULL) = )" +
         pid + "\n";
}

/// Starts a helper, which has the maps written if that succeeds.
std::string StartAndWrite(const std::string& script, int log_fd = -1) {
  const ScriptedKernel kernel(script);
  const Result<OwnProc> proc = OwnProc::Open();
  const Bootstrap bootstrap = WithMaps();
  Log log("FATAL: ");
  if (log_fd >= 0) log.SendTo(log_fd);
  const Result<Helper> helper = Helper::Start(bootstrap, proc.value(), Memory::kCopied, log);
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
    close(5)
    write(6, "w")
    read(6, 1) = "d"
    close(6)
    close(3)
  )"),
            "success");
}

TEST(Helper, HasReportedItsOwnFailure) {
  EXPECT_EQ(StartAndWrite(Start("43") + R"(
    close(5)
    write(6, "w")
    read(6, 1) = "f"
    close(6)
    close(3)
  )"),
            "reported");
}

TEST(Helper, IsFoundToHaveEnded) {
  EXPECT_EQ(StartAndWrite(Start("43") + R"(
    close(5)
    write(6, "w") = EPIPE
    read(6, 1) = ""
    close(6)
    close(3)
  )"),
            "the helper ended before it had written the id maps");
}

TEST(Helper, IsTakenAtItsWordOnly) {
  EXPECT_EQ(StartAndWrite(Start("43") + R"(
    close(5)
    write(6, "w")
    read(6, 1) = "F"
    close(6)
    close(3)
  )"),
            "the helper gave an unknown answer");
}

TEST(Helper, SaysWhatFailed) {
  EXPECT_EQ(StartAndWrite(Start("43") + R"(
    close(5)
    write(6, "w") = EPERM
    close(6)
    close(3)
  )"),
            "failed to ask the helper for the id maps: Operation not permitted");
  EXPECT_EQ(StartAndWrite(Start("43") + R"(
    close(5)
    write(6, "w")
    read(6, 1) = EPERM
    close(6)
    close(3)
  )"),
            "failed to read the helper's answer: Operation not permitted");
  EXPECT_EQ(StartAndWrite(Start("EPERM") + R"(
    close(6)
    close(5)
    close(3)
  )"),
            "failed to create the helper: Operation not permitted");
  EXPECT_EQ(StartAndWrite(R"(
    openat(AT_FDCWD, "/proc/self", O_PATH|O_DIRECTORY|O_CLOEXEC) = 3
    fstatfs(3) = PROC_SUPER_MAGIC
    socketpair() = EPERM
    close(3)
  )"),
            "failed to create a socket for the helper: Operation not permitted");
}

// The helper's own side, which ends in exit.

void ExpectHelper(const std::string& script, int status) {
  test::ExpectExit(
      test::RunInChild([&] { ADD_FAILURE() << "returned " << StartAndWrite(Start("0") + script); }),
      status, "");
}

TEST(HelperProcess, ClosesTheOtherEndAndWritesBothMaps) {
  ExpectHelper(R"(
    close(6)
    read(5, 1) = "w"
    openat(3, "uid_map", O_WRONLY|O_CLOEXEC) = 4
    write(4, "0 1000 10\n")
    close(4)
    openat(3, "gid_map", O_WRONLY|O_CLOEXEC) = 4
    write(4, "0 2000 20\n")
    close(4)
    write(5, "d")
    exit(0)
  )",
               0);
}

TEST(HelperProcess, EndsSilentlyWithTheLaunchedProcess) {
  ExpectHelper(R"(
    close(6)
    read(5, 1) = ""
    poll(5, 0, 0) = POLLHUP
    write(5, "f") = EPIPE
    exit(1)
  )",
               1);
}

TEST(HelperProcess, TakesTheLaunchedProcessAtItsWordOnly) {
  ExpectHelper(R"(
    close(6)
    read(5, 1) = "F"
    poll(5, 0, 0) = 0
    poll(2, POLLOUT, 300) = POLLOUT
    write(2, "FATAL: the launched process made an unknown request\n")
    write(5, "f")
    exit(1)
  )",
               1);
}

TEST(HelperProcess, EndsSilentlyIfNobodyHearsThatItIsDone) {
  ExpectHelper(R"(
    close(6)
    read(5, 1) = "w"
    openat(3, "uid_map", O_WRONLY|O_CLOEXEC) = 4
    write(4, "0 1000 10\n")
    close(4)
    openat(3, "gid_map", O_WRONLY|O_CLOEXEC) = 4
    write(4, "0 2000 20\n")
    close(4)
    write(5, "d") = EPIPE
    poll(5, 0, 0) = POLLHUP
    write(5, "f") = EPIPE
    exit(1)
  )",
               1);
}

TEST(HelperProcess, SaysWhyBeforeItAnswers) {
  ExpectHelper(R"(
    close(6)
    read(5, 1) = "w"
    openat(3, "uid_map", O_WRONLY|O_CLOEXEC) = EPERM
    poll(5, 0, 0) = 0
    poll(2, POLLOUT, 300) = POLLOUT
    write(2, "FATAL: failed to open uid_map: Operation not permitted\n")
    write(5, "f")
    exit(1)
  )",
               1);
}

TEST(HelperProcess, SaysNothingIfTheLaunchedProcessHasEndedMeanwhile) {
  ExpectHelper(R"(
    close(6)
    read(5, 1) = "w"
    openat(3, "uid_map", O_WRONLY|O_CLOEXEC) = ESRCH
    poll(5, 0, 0) = POLLHUP
    write(5, "f") = EPIPE
    exit(1)
  )",
               1);
}

TEST(HelperProcess, WritesNothingWithoutARequest) {
  ExpectHelper(R"(
    close(6)
    read(5, 1) = EPERM
    poll(5, 0, 0) = 0
    poll(2, POLLOUT, 300) = POLLOUT
    write(2, "FATAL: failed to read the launched process's request: Operation not permitted\n")
    write(5, "f")
    exit(1)
  )",
               1);
}

// What ended the launched process it has said itself, whatever poll says of it now.
TEST(HelperProcess, SaysNothingOfAnEndThatItHasSeen) {
  ExpectHelper(R"(
    close(6)
    read(5, 1) = ""
    poll(5, 0, 0) = EPERM
    write(5, "f") = EPIPE
    exit(1)
  )",
               1);
  ExpectHelper(R"(
    close(6)
    read(5, 1) = "w"
    openat(3, "uid_map", O_WRONLY|O_CLOEXEC) = 4
    write(4, "0 1000 10\n")
    close(4)
    openat(3, "gid_map", O_WRONLY|O_CLOEXEC) = 4
    write(4, "0 2000 20\n")
    close(4)
    write(5, "d") = EPIPE
    poll(5, 0, 0) = EPERM
    write(5, "f") = EPIPE
    exit(1)
  )",
               1);
}

TEST(HelperProcess, TakesNothingButAHangUpForAnEnd) {
  for (const std::string events : {"EPERM", "0", "POLLERR"}) {
    ExpectHelper(R"(
    close(6)
    read(5, 1) = "w"
    openat(3, "uid_map", O_WRONLY|O_CLOEXEC) = EPERM
    poll(5, 0, 0) = )" +
                     events + R"(
    poll(2, POLLOUT, 300) = POLLOUT
    write(2, "FATAL: failed to open uid_map: Operation not permitted\n")
    write(5, "f")
    exit(1)
  )",
                 1);
  }
}

TEST(HelperProcess, LogsWhatItHasDone) {
  const std::string script = Start("0") + R"(
    close(6)
    read(5, 1) = "w"
    openat(3, "uid_map", O_WRONLY|O_CLOEXEC) = 4
    write(4, "0 1000 10\n")
    close(4)
    openat(3, "gid_map", O_WRONLY|O_CLOEXEC) = 4
    write(4, "0 2000 20\n")
    close(4)
    getpid() = 43
    poll(7, POLLOUT, 0) = POLLOUT
    write(7, "{\"level\":\"debug\", \"msg\": \"nsexec-1[43]: wrote the id maps of process 42\"}\n")
    write(5, "d")
    exit(0)
  )";
  test::ExpectExit(test::RunInChild([&] { ADD_FAILURE() << StartAndWrite(script, 7); }), 0, "");
}

}  // namespace
}  // namespace nsenter
