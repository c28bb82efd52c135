// SPDX-License-Identifier: Apache-2.0

#include "caller.h"

#include "child.h"
#include "expect.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <semaphore>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace nsenter {
namespace {

TEST(HasThreads, IsFalseWithASingleThread) {
  test::ExpectSilentSuccess(test::RunInChild([] { EXPECT_FALSE(HasThreads()); }));
}

TEST(HasThreads, IsTrueWithTwo) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    std::binary_semaphore end(0);
    std::thread other([&] { end.acquire(); });
    EXPECT_TRUE(HasThreads());
    end.release();
    other.join();
  }));
}

TEST(RefuseCaller, RefusesTheInitOfAPidNamespace) {
  NEEDS_ROOT();
  test::ExpectSilentSuccess(test::RunInChild([] {
    EXPECT_SUCCESS(RefuseCaller());
    ASSERT_EQ(unshare(CLONE_NEWPID), 0);
    if (fork() == 0) {
      EXPECT_ERROR(RefuseCaller(),
                   "the parent of this process is not in its pid namespace, it could not reap the "
                   "init process");
    }
  }));
}

}  // namespace
}  // namespace nsenter
