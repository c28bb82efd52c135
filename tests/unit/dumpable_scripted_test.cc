// SPDX-License-Identifier: Apache-2.0

#include "dumpable.h"

#include "expect.h"
#include "scripted_kernel.h"

#include <functional>
#include <gtest/gtest.h>
#include <string>

namespace nsenter {
namespace {

using test::ScriptedKernel;

Bootstrap Asks(bool joins, bool creates_user) {
  Bootstrap bootstrap;
  bootstrap.join_count = joins ? 1 : 0;
  bootstrap.clone_flags = creates_user ? CLONE_NEWUSER | CLONE_NEWNET : CLONE_NEWNET;
  return bootstrap;
}

/// Hides, and does `next`.
void Hide(bool joins, bool creates_user, const std::string& script,
          const std::function<void(const Dumpable&)>& next) {
  const ScriptedKernel kernel(script);
  const Result<Dumpable> dumpable = Dumpable::Hide(Asks(joins, creates_user));
  ASSERT_EQ(test::Describe(dumpable), "success");
  next(dumpable.value());
}

/// Nothing that comes later changes the flag.
void ExpectNothingElse(const Dumpable& dumpable) {
  EXPECT_FALSE(dumpable.IsOutOfReach());
  EXPECT_SUCCESS(dumpable.HideAgain());
  EXPECT_SUCCESS(dumpable.ShowForMaps());
  EXPECT_SUCCESS(dumpable.HideAfterMaps());
  EXPECT_FALSE(dumpable.StaysRoot());
}

/// All that comes later goes well, and nothing shows it for good.
void ExpectToStayHidden(const Dumpable& dumpable) {
  EXPECT_FALSE(dumpable.IsOutOfReach());
  EXPECT_SUCCESS(dumpable.ShowForMaps());
  EXPECT_SUCCESS(dumpable.HideAfterMaps());
  EXPECT_FALSE(dumpable.StaysRoot());
  EXPECT_SUCCESS(dumpable.HideAgain());
}

TEST(Dumpable, IsLeftAloneAtFirst) {
  const ScriptedKernel kernel("");
  ExpectNothingElse(Dumpable());
}

TEST(Dumpable, IsLeftAloneWhereNothingIsJoinedAndNoUserNamespaceCreated) {
  Hide(false, false, "", ExpectNothingElse);
}

TEST(Dumpable, IsLeftAloneWhereNothingIsJoinedByWhoIsNotRoot) {
  Hide(false, true, "geteuid() = 1000", ExpectNothingElse);
}

// Somebody has a reason for it.
TEST(Dumpable, IsLeftAloneWhereRootWasHiddenBefore) {
  for (const std::string before : {"0", "2"}) {
    Hide(false, true, "geteuid() = 0\nprctl(PR_GET_DUMPABLE) = " + before, ExpectNothingElse);
  }
}

TEST(Dumpable, IsHiddenWhereSomethingIsJoined) {
  Hide(true, false, "prctl(PR_SET_DUMPABLE, 0)\nprctl(PR_SET_DUMPABLE, 0)", ExpectToStayHidden);
}

TEST(Dumpable, IsNotShownForMapsIfItIsRoots) {
  Hide(true, true, "geteuid() = 0\nprctl(PR_SET_DUMPABLE, 0)\nprctl(PR_SET_DUMPABLE, 0)",
       ExpectToStayHidden);
}

TEST(Dumpable, IsShownForMapsIfItIsNotRoots) {
  Hide(true, true, R"(
    geteuid() = 1000
    prctl(PR_SET_DUMPABLE, 0)
    prctl(PR_SET_DUMPABLE, 1)
    prctl(PR_SET_DUMPABLE, 0)
    prctl(PR_SET_DUMPABLE, 0)
    prctl(PR_SET_DUMPABLE, 1) = EPERM
    prctl(PR_SET_DUMPABLE, 0) = EPERM
    prctl(PR_SET_DUMPABLE, 0) = EPERM
  )",
       [](const Dumpable& dumpable) {
         ExpectToStayHidden(dumpable);
         EXPECT_ERROR(dumpable.ShowForMaps(), "failed to become dumpable: Operation not permitted");
         EXPECT_ERROR(dumpable.HideAfterMaps(),
                      "failed to become non-dumpable: Operation not permitted");
         EXPECT_ERROR(dumpable.HideAgain(),
                      "failed to become non-dumpable: Operation not permitted");
       });
}

TEST(Dumpable, IsHiddenWhereRootCreatesUntilItIsRootThere) {
  Hide(false, true, R"(
    geteuid() = 0
    prctl(PR_GET_DUMPABLE) = 1
    prctl(PR_SET_DUMPABLE, 0)
    geteuid() = 0
    geteuid() = 65534
    prctl(PR_SET_DUMPABLE, 1)
    prctl(PR_SET_DUMPABLE, 1) = EPERM
  )",
       [](const Dumpable& dumpable) {
         EXPECT_TRUE(dumpable.IsOutOfReach());
         EXPECT_SUCCESS(dumpable.ShowForMaps());
         EXPECT_SUCCESS(dumpable.HideAfterMaps());
         EXPECT_SUCCESS(dumpable.HideAgain());
         EXPECT_TRUE(dumpable.StaysRoot());
         EXPECT_FALSE(dumpable.StaysRoot());
         EXPECT_SUCCESS(dumpable.Show());
         EXPECT_ERROR(dumpable.Show(), "failed to become dumpable: Operation not permitted");
       });
}

TEST(Dumpable, SaysWhatFailed) {
  const auto hide = [](bool joins, bool creates_user, const char* script) {
    const ScriptedKernel kernel(script);
    return test::Describe(Dumpable::Hide(Asks(joins, creates_user)));
  };
  EXPECT_EQ(hide(true, false, "prctl(PR_SET_DUMPABLE, 0) = EPERM"),
            "failed to become non-dumpable: Operation not permitted");
  EXPECT_EQ(hide(false, true, "geteuid() = 0\nprctl(PR_GET_DUMPABLE) = EPERM"),
            "failed to find out whether we are dumpable: Operation not permitted");
  EXPECT_EQ(hide(false, true,
                 "geteuid() = 0\nprctl(PR_GET_DUMPABLE) = 1\nprctl(PR_SET_DUMPABLE, 0) = EPERM"),
            "failed to become non-dumpable: Operation not permitted");
}

}  // namespace
}  // namespace nsenter
