// SPDX-License-Identifier: Apache-2.0

#include "clone.h"

#include "child.h"
#include "expect.h"
#include "scripted_kernel.h"
#include "sys.h"

#include <cerrno>
#include <gtest/gtest.h>
#include <string>

namespace nsenter {
namespace {

using test::ScriptedKernel;

constexpr const char* kFound = R"(
    prctl(PR_GET_TID_ADDRESS)
    get_robust_list()
    gettid() = 42
)";

// The kernel stores no thread id there: that may not be the place where libc has it.
TEST(CloneCopy, HasTheKernelClearTheWordItClearsHere) {
  const ScriptedKernel kernel(std::string(kFound) +
                              "clone(CLONE_PARENT|CLONE_CHILD_CLEARTID|SIGCHLD, tid) = 43");
  EXPECT_EQ(CloneCopy(Kinship::kSibling, "x").value(), 43);
}

TEST(CloneCopy, IsOursWhereWeShallReapIt) {
  const ScriptedKernel kernel(std::string(kFound) +
                              "clone(CLONE_CHILD_CLEARTID|SIGCHLD, tid) = 43");
  EXPECT_EQ(CloneCopy(Kinship::kChild, "x").value(), 43);
}

TEST(CloneCopy, RestoresItsThreadOnlyInTheChild) {
  ScriptedKernel kernel(std::string(kFound) + R"(
    clone(CLONE_PARENT|CLONE_CHILD_CLEARTID|SIGCHLD, tid) = 0
    gettid() = 43
    set_robust_list(robust_list, 4)
  )");
  kernel.memory().tid = 42;
  kernel.memory().cached_id = &kernel.memory().tid;
  EXPECT_EQ(CloneCopy(Kinship::kSibling, "x").value(), 0);
  EXPECT_EQ(kernel.memory().tid, 43);
}

TEST(CloneCopy, ClearsNothingWhereTheKernelDoesNotTell) {
  const ScriptedKernel kernel(R"(
    prctl(PR_GET_TID_ADDRESS) = EINVAL
    get_robust_list() = ENOSYS
    gettid() = 42
    clone(CLONE_PARENT|SIGCHLD, NULL) = 0
  )");
  EXPECT_EQ(CloneCopy(Kinship::kSibling, "x").value(), 0);
}

TEST(CloneCopy, SaysWhatCouldNotBeCreated) {
  const ScriptedKernel kernel(std::string(kFound) +
                              "clone(CLONE_PARENT|CLONE_CHILD_CLEARTID|SIGCHLD, tid) = EPERM");
  EXPECT_ERROR(CloneCopy(Kinship::kSibling, "the helper"),
               "failed to create the helper: Operation not permitted");
}

int Leave(void* argument) { sys::Exit(*static_cast<int*>(argument)); }

TEST(CloneSharingMemory, TellsThePidOrTheError) {
  const ScriptedKernel kernel(R"(
    clone(CLONE_PARENT|CLONE_VM|SIGCHLD, NULL, function) = 44
    clone(CLONE_VM|SIGCHLD, NULL, function) = EPERM
  )");
  EXPECT_EQ(CloneSharingMemory(Kinship::kSibling, Leave, nullptr, nullptr), 44);
  EXPECT_EQ(CloneSharingMemory(Kinship::kChild, Leave, nullptr, nullptr), -EPERM);
}

#ifdef __GLIBC__  // musl's clone(3) refuses it
TEST(CloneSharingMemory, HasTheKernelClearAWord) {
  ScriptedKernel kernel(
      "clone(CLONE_PARENT|CLONE_VM|CLONE_CHILD_CLEARTID|SIGCHLD, tid, function) = 44");
  EXPECT_EQ(CloneSharingMemory(Kinship::kSibling, Leave, nullptr, &kernel.memory().tid), 44);
}
#endif

TEST(CloneSharingMemory, RunsTheFunctionWithItsArgument) {
  test::ExpectExit(
      test::RunInChild([] {
        const ScriptedKernel kernel("clone(CLONE_VM|SIGCHLD, NULL, function) = 0\nexit(7)");
        int status = 7;
        (void)CloneSharingMemory(Kinship::kChild, Leave, &status, nullptr);
        ADD_FAILURE() << "has returned";
      }),
      7, "");
}

}  // namespace
}  // namespace nsenter
