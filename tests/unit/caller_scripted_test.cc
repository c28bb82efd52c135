// SPDX-License-Identifier: Apache-2.0

#include "caller.h"

#include "expect.h"
#include "scripted_kernel.h"

#include <gtest/gtest.h>

namespace nsenter {
namespace {

using test::ScriptedKernel;

TEST(IsPrivilegedProgram, IsNotTrueOfThis) {
  const ScriptedKernel kernel("");
  EXPECT_FALSE(IsPrivilegedProgram());
}

TEST(ExplainPrivileges, FindsNoIdsThatDiffer) {
  const ScriptedKernel kernel("");
  EXPECT_EQ(ExplainPrivileges().text(),
            "refused: the program runs with privileges that its caller does not have: the program "
            "has capabilities of its own");
}

TEST(HasThreads, IsFalseWithOne) {
  const ScriptedKernel kernel(R"(
    unshare(CLONE_THREAD) = EINVAL
    unshare(CLONE_THREAD)
  )");
  EXPECT_FALSE(HasThreads());
}

TEST(HasThreads, IsTrueWithMore) {
  // Five times: an old kernel says so as well if somebody reads our /proc files meanwhile.
  const ScriptedKernel kernel(R"(
    unshare(CLONE_THREAD) = EINVAL
    unshare(CLONE_THREAD) = EINVAL
    unshare(CLONE_THREAD) = EINVAL
    unshare(CLONE_THREAD) = EINVAL
    unshare(CLONE_THREAD) = EINVAL
  )");
  EXPECT_TRUE(HasThreads());
}

TEST(HasThreads, DoesNotTakeAFilterForThreads) {
  const ScriptedKernel kernel("unshare(CLONE_THREAD) = EPERM");
  EXPECT_FALSE(HasThreads());
}

TEST(RefuseCaller, TakesAParentInOurPidNamespace) {
  const ScriptedKernel kernel("gettid() = 42\ngetppid() = 41");
  EXPECT_SUCCESS(RefuseCaller());
}

TEST(RefuseCaller, RefusesAParentInAnother) {
  const ScriptedKernel kernel("gettid() = 42\ngetppid() = 0");
  EXPECT_ERROR(RefuseCaller(),
               "the parent of this process is not in its pid namespace, it could not reap the init "
               "process");
}

TEST(RefuseCaller, RefusesToBeLoaded) {
  const ScriptedKernel kernel("the code is being loaded\ngettid() = 42");
  EXPECT_ERROR(RefuseCaller(),
               "refused: a running program loads this code as a library (dlopen), and libc would "
               "wait for ever for the thread that does so");
}

}  // namespace
}  // namespace nsenter
