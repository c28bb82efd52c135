// SPDX-License-Identifier: Apache-2.0

#include "own_proc.h"

#include "expect.h"
#include "scripted_kernel.h"

#include <gtest/gtest.h>

namespace nsenter {
namespace {

using test::ScriptedKernel;

constexpr std::string_view kOpened = R"(
    openat(AT_FDCWD, "/proc/self", O_PATH|O_DIRECTORY|O_CLOEXEC) = 3
    fstatfs(3) = PROC_SUPER_MAGIC
)";

TEST(OwnProc, WritesInOneCall) {
  const ScriptedKernel kernel(std::string(kOpened) + R"(
    openat(3, "oom_score_adj", O_WRONLY|O_CLOEXEC) = 4
    write(4, "-500")
    close(4)
    close(3)
  )");
  EXPECT_SUCCESS(OwnProc::Open().value().Write("oom_score_adj", "-500"));
}

TEST(OwnProc, TakesAnyDescriptor) {
  const ScriptedKernel kernel(R"(
    openat(AT_FDCWD, "/proc/self", O_PATH|O_DIRECTORY|O_CLOEXEC) = 0
    fstatfs(0) = PROC_SUPER_MAGIC
    openat(0, "oom_score_adj", O_WRONLY|O_CLOEXEC) = 4
    write(4, "-500")
    close(4)
    close(0)
    openat(AT_FDCWD, "/proc/self", O_PATH|O_DIRECTORY|O_CLOEXEC) = 3
    fstatfs(3) = PROC_SUPER_MAGIC
    openat(3, "oom_score_adj", O_WRONLY|O_CLOEXEC) = 0
    write(0, "-500")
    close(0)
    close(3)
  )");
  EXPECT_SUCCESS(OwnProc::Open().value().Write("oom_score_adj", "-500"));
  EXPECT_SUCCESS(OwnProc::Open().value().Write("oom_score_adj", "-500"));
}

TEST(OwnProc, IsNotOpenedWhereItIsNoProcfs) {
  const ScriptedKernel kernel(R"(
    openat(AT_FDCWD, "/proc/self", O_PATH|O_DIRECTORY|O_CLOEXEC) = EPERM
    openat(AT_FDCWD, "/proc/self", O_PATH|O_DIRECTORY|O_CLOEXEC) = 3
    fstatfs(3) = 16914836
    close(3)
    openat(AT_FDCWD, "/proc/self", O_PATH|O_DIRECTORY|O_CLOEXEC) = 3
    fstatfs(3) = EPERM
    close(3)
  )");
  EXPECT_ERROR(OwnProc::Open(), "failed to open /proc/self: Operation not permitted");
  EXPECT_ERROR(OwnProc::Open(), "/proc/self does not lie on procfs");
  EXPECT_ERROR(OwnProc::Open(),
               "failed to check that /proc/self lies on procfs: Operation not permitted");
}

TEST(OwnProc, SaysWhatCouldNotBeWrittenWhere) {
  const ScriptedKernel kernel(std::string(kOpened) + R"(
    openat(3, "oom_score_adj", O_WRONLY|O_CLOEXEC) = EPERM
    openat(3, "oom_score_adj", O_WRONLY|O_CLOEXEC) = 4
    write(4, "-500") = EPERM
    close(4)
    openat(3, "oom_score_adj", O_WRONLY|O_CLOEXEC) = 4
    write(4, "-500") = 3
    close(4)
    openat(3, "oom_score_adj", O_WRONLY|O_CLOEXEC) = 4
    write(4, "-500") = 0
    close(4)
    close(3)
  )");
  const Result<OwnProc> proc = OwnProc::Open();
  EXPECT_ERROR(proc.value().Write("oom_score_adj", "-500"),
               "failed to open oom_score_adj: Operation not permitted");
  EXPECT_ERROR(proc.value().Write("oom_score_adj", "-500"),
               "failed to write \"-500\" to oom_score_adj: Operation not permitted");
  EXPECT_ERROR(proc.value().Write("oom_score_adj", "-500"),
               "wrote only 3 of 4 bytes to oom_score_adj");
  EXPECT_ERROR(proc.value().Write("oom_score_adj", "-500"),
               "wrote only 0 of 4 bytes to oom_score_adj");
}

TEST(ProcShowsOurPidNamespace, OnlyIfSelfIsOurPid) {
  const auto shows = [](const char* script) {
    const ScriptedKernel kernel(script);
    return ProcShowsOurPidNamespace();
  };
  EXPECT_TRUE(shows("readlink(\"/proc/self\") = \"42\"\ngetpid() = 42"));
  EXPECT_TRUE(shows("readlink(\"/proc/self\") = \"7\"\ngetpid() = 7"));
  EXPECT_FALSE(shows("readlink(\"/proc/self\") = \"421\"\ngetpid() = 42"));
  EXPECT_FALSE(shows("readlink(\"/proc/self\") = \"4\"\ngetpid() = 42"));
  EXPECT_FALSE(shows("readlink(\"/proc/self\") = EPERM\ngetpid() = 42"));
}

}  // namespace
}  // namespace nsenter
