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

TEST(RefuseUnfitProcess, TakesOneThreadWhoseParentIsInOurPidNamespace) {
  const ScriptedKernel kernel(R"(
    unshare(CLONE_THREAD) = EINVAL
    unshare(CLONE_THREAD)
    getppid() = 41
  )");
  EXPECT_SUCCESS(RefuseUnfitProcess());
}

TEST(RefuseUnfitProcess, RefusesThreadsFirst) {
  // Five times: an old kernel says so as well if somebody reads our /proc files meanwhile.
  const ScriptedKernel kernel(R"(
    unshare(CLONE_THREAD) = EINVAL
    unshare(CLONE_THREAD) = EINVAL
    unshare(CLONE_THREAD) = EINVAL
    unshare(CLONE_THREAD) = EINVAL
    unshare(CLONE_THREAD) = EINVAL
  )");
  EXPECT_ERROR(RefuseUnfitProcess(),
               "the process has more than one thread, it cannot change its namespaces");
}

TEST(RefuseUnfitProcess, DoesNotTakeAFilterForThreads) {
  const ScriptedKernel kernel(R"(
    unshare(CLONE_THREAD) = EPERM
    getppid() = 41
  )");
  EXPECT_SUCCESS(RefuseUnfitProcess());
}

TEST(RefuseUnfitProcess, RefusesAParentInAnotherPidNamespace) {
  const ScriptedKernel kernel(R"(
    unshare(CLONE_THREAD)
    getppid() = 0
  )");
  EXPECT_ERROR(RefuseUnfitProcess(),
               "the parent of this process is not in its pid namespace, it could not reap the init "
               "process");
}

}  // namespace
}  // namespace nsenter
