// SPDX-License-Identifier: Apache-2.0

#include "clone.h"

#include "expect.h"
#include "scripted_kernel.h"

#include <gtest/gtest.h>
#include <string>

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
    prctl(PR_GET_TID_ADDRESS) = EPERM
    get_robust_list() = EPERM
    clone(CLONE_PARENT, NULL) = 0
  )");
  kernel.memory().tid = 42;
  EXPECT_EQ(CloneSibling("x").value(), 0);
}

/// What RestoreInSharedMemory comes to, with these calls.
std::string RestoreInSharedMemory(const std::string& calls) {
  ScriptedKernel kernel("prctl(PR_GET_TID_ADDRESS)\nget_robust_list()\ngettid() = 42\n" + calls);
  kernel.memory().tid = 42;
  return test::Describe(ThreadState::Find().RestoreInSharedMemory());
}

TEST(ThreadState, RestoresWhatACloneWithOurMemoryHasLost) {
  EXPECT_EQ(RestoreInSharedMemory(R"(
    set_robust_list(robust_list, 4)
    set_tid_address(tid)
    rseq()
  )"),
            "success");
}

TEST(ThreadState, SaysWhatCouldNotBeRestored) {
  EXPECT_EQ(RestoreInSharedMemory(R"(
    set_robust_list(robust_list, 4) = EPERM
    set_tid_address(tid) = EPERM
  )"),
            "failed to set the address of the thread id: Operation not permitted");
  EXPECT_EQ(RestoreInSharedMemory(R"(
    set_robust_list(robust_list, 4)
    set_tid_address(tid)
    rseq() = EPERM
  )"),
            "failed to register restartable sequences: Operation not permitted");
}

TEST(ThreadState, RestoresNothingThatTheKernelDoesNotTell) {
  const ScriptedKernel kernel(R"(
    prctl(PR_GET_TID_ADDRESS) = EPERM
    get_robust_list() = EPERM
    rseq()
  )");
  EXPECT_SUCCESS(ThreadState::Find().RestoreInSharedMemory());
}

#endif

TEST(CloneSibling, SaysWhatCouldNotBeCreated) {
  ScriptedKernel kernel(R"(
    prctl(PR_GET_TID_ADDRESS)
    get_robust_list()
    gettid() = 42
    clone(CLONE_PARENT|CLONE_CHILD_SETTID|CLONE_CHILD_CLEARTID, tid) = EPERM
  )");
  kernel.memory().tid = 42;
  EXPECT_ERROR(CloneSibling("the helper"), "failed to create the helper: Operation not permitted");
}

}  // namespace
}  // namespace nsenter
