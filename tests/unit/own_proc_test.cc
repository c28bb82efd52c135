// SPDX-License-Identifier: Apache-2.0

#include "own_proc.h"

#include "child.h"
#include "expect.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

namespace nsenter {
namespace {

TEST(OwnProc, WritesToTheFileOfTheProcess) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    const Result<OwnProc> proc = OwnProc::Open();
    ASSERT_EQ(test::Describe(proc), "success");
    EXPECT_SUCCESS(proc.value().Write("oom_score_adj", "1000"));
    EXPECT_EQ(test::ReadFile("/proc/self/oom_score_adj"), "1000\n");
    EXPECT_ERROR(proc.value().Write("oom_score_adj", "1001"),
                 "failed to write \"1001\" to oom_score_adj: Invalid argument");
    EXPECT_ERROR(proc.value().OpenForWriting("missing"),
                 "failed to open missing: No such file or directory");
  }));
}

TEST(OwnProc, BelongsToWhoOpenedItInAnotherProcessToo) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    const Result<OwnProc> proc = OwnProc::Open();
    const std::string own = "/proc/" + std::to_string(getpid()) + "/oom_score_adj";
    if (fork() == 0) {
      EXPECT_SUCCESS(proc.value().Write("oom_score_adj", "999"));
      EXPECT_EQ(test::ReadFile(own), "999\n");
    }
  }));
}

TEST(OwnProc, RefusesWhatIsNoProcfs) {
  NEEDS_ROOT();
  test::ExpectSilentSuccess(test::RunInChild([] {
    ASSERT_EQ(unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(mount("", "/", "", MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(mount("none", "/proc", "tmpfs", 0, nullptr), 0);
    EXPECT_ERROR(OwnProc::Open(), "failed to open /proc/self: No such file or directory");
    ASSERT_EQ(mkdir("/proc/self", 0755), 0);
    EXPECT_ERROR(OwnProc::Open(), "/proc/self does not lie on procfs");
    EXPECT_FALSE(ProcShowsOurPidNamespace());
  }));
}

TEST(ProcShowsOurPidNamespace, IsTrueHereAndFalseInANewOne) {
  NEEDS_ROOT();
  test::ExpectSilentSuccess(test::RunInChild([] {
    EXPECT_TRUE(ProcShowsOurPidNamespace());
    ASSERT_EQ(unshare(CLONE_NEWPID), 0);
    EXPECT_TRUE(ProcShowsOurPidNamespace());
    if (fork() == 0) {
      EXPECT_FALSE(ProcShowsOurPidNamespace());
    }
  }));
}

}  // namespace
}  // namespace nsenter
