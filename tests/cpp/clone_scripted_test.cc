// SPDX-License-Identifier: Apache-2.0

#include "clone.h"

#include "expect.h"
#include "scripted_kernel.h"

#include <gtest/gtest.h>

namespace nsenter {
namespace {

using test::ScriptedKernel;

#ifdef __GLIBC__  // elsewhere the cached thread id is not where the kernel was told to look

TEST(CloneSibling, StoresTheThreadIdWhereLibcCachesIt) {
  ScriptedKernel kernel(R"(
    prctl(PR_GET_TID_ADDRESS)
    get_robust_list()
    gettid() = 42
    clone(CLONE_PARENT|CLONE_CHILD_SETTID|CLONE_CHILD_CLEARTID, tid) = 43
  )");
  kernel.memory().tid = 42;
  EXPECT_EQ(CloneSibling("x").value(), 43);
}

TEST(CloneSibling, RestoresTheRobustListInTheChild) {
  ScriptedKernel kernel(R"(
    prctl(PR_GET_TID_ADDRESS)
    get_robust_list()
    gettid() = 42
    clone(CLONE_PARENT|CLONE_CHILD_SETTID|CLONE_CHILD_CLEARTID, tid) = 0
    set_robust_list(robust_list, 4)
  )");
  kernel.memory().tid = 42;
  EXPECT_EQ(CloneSibling("x").value(), 0);
}

TEST(CloneSibling, WritesNothingToAnAddressThatDoesNotHoldTheThreadId) {
  ScriptedKernel kernel(R"(
    prctl(PR_GET_TID_ADDRESS)
    get_robust_list()
    gettid() = 42
    clone(CLONE_PARENT, NULL) = 0
    set_robust_list(robust_list, 4)
    set_tid_address(tid)
  )");
  kernel.memory().tid = 7;
  EXPECT_EQ(CloneSibling("x").value(), 0);
}

TEST(CloneSibling, FindsTheThreadIdBeforeTheRobustListIfTheKernelDoesNotTell) {
  ScriptedKernel kernel(R"(
    prctl(PR_GET_TID_ADDRESS) = EINVAL
    get_robust_list()
    gettid() = 42
    clone(CLONE_PARENT|CLONE_CHILD_SETTID|CLONE_CHILD_CLEARTID, tid) = 0
    set_robust_list(robust_list, 4)
  )");
  kernel.memory().tid = 42;
  EXPECT_EQ(CloneSibling("x").value(), 0);
}

TEST(CloneSibling, WritesNothingBeforeARobustListThatLiesElsewhere) {
  ScriptedKernel kernel(R"(
    prctl(PR_GET_TID_ADDRESS) = EINVAL
    get_robust_list()
    gettid() = 42
    clone(CLONE_PARENT, NULL) = 0
    set_robust_list(robust_list, 4)
  )");
  kernel.memory().tid = 7;
  EXPECT_EQ(CloneSibling("x").value(), 0);
}

TEST(CloneSibling, DoesWithoutWhatTheKernelDoesNotTell) {
  ScriptedKernel kernel(R"(
    prctl(PR_GET_TID_ADDRESS) = EINVAL
    get_robust_list() = ENOSYS
    clone(CLONE_PARENT, NULL) = 0
  )");
  kernel.memory().tid = 42;
  EXPECT_EQ(CloneSibling("x").value(), 0);
}

#endif

TEST(CloneSibling, SaysWhatCouldNotBeCreated) {
  ScriptedKernel kernel(R"(
    prctl(PR_GET_TID_ADDRESS)
    get_robust_list()
    gettid() = 42
    clone(CLONE_PARENT|CLONE_CHILD_SETTID|CLONE_CHILD_CLEARTID, tid) = EAGAIN
  )");
  kernel.memory().tid = 42;
  EXPECT_ERROR(CloneSibling("the helper"),
               "failed to create the helper: Resource temporarily unavailable");
}

}  // namespace
}  // namespace nsenter
