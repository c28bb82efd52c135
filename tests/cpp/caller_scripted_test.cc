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

TEST(RefuseThreads, TakesOne) {
  const ScriptedKernel kernel(R"(
    unshare(CLONE_THREAD) = EINVAL
    unshare(CLONE_THREAD)
  )");
  EXPECT_SUCCESS(RefuseThreads());
}

TEST(RefuseThreads, RefusesMore) {
  // Five times: an old kernel says so as well if somebody reads our /proc files meanwhile.
  const ScriptedKernel kernel(R"(
    unshare(CLONE_THREAD) = EINVAL
    unshare(CLONE_THREAD) = EINVAL
    unshare(CLONE_THREAD) = EINVAL
    unshare(CLONE_THREAD) = EINVAL
    unshare(CLONE_THREAD) = EINVAL
  )");
  EXPECT_ERROR(RefuseThreads(),
               "the process has more than one thread, it cannot change its namespaces");
}

TEST(RefuseThreads, DoesNotTakeAFilterForThreads) {
  const ScriptedKernel kernel("unshare(CLONE_THREAD) = EPERM");
  EXPECT_SUCCESS(RefuseThreads());
}

TEST(RefuseParentOutside, TakesAParentInOurPidNamespace) {
  const ScriptedKernel kernel("getppid() = 41");
  EXPECT_SUCCESS(RefuseParentOutside());
}

TEST(RefuseParentOutside, RefusesAParentInAnother) {
  const ScriptedKernel kernel("getppid() = 0");
  EXPECT_ERROR(RefuseParentOutside(),
               "the parent of this process is not in its pid namespace, it could not reap the init "
               "process");
}

}  // namespace
}  // namespace nsenter
