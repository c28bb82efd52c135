// SPDX-License-Identifier: Apache-2.0

#include "fd.h"

#include "expect.h"
#include "scripted_kernel.h"

#include <cerrno>
#include <gtest/gtest.h>
#include <type_traits>
#include <unistd.h>

namespace nsenter {
namespace {

using test::ScriptedKernel;

template <typename Fd>
constexpr bool kCanBeClosed = requires(const Fd& fd) { close(fd); };

static_assert(kCanBeClosed<int>);
static_assert(!kCanBeClosed<UniqueFd>);
static_assert(!std::is_copy_constructible_v<UniqueFd>);
static_assert(!std::is_copy_assignable_v<UniqueFd>);
static_assert(!std::is_convertible_v<int, UniqueFd>);
static_assert(!std::is_convertible_v<UniqueFd, int>);

TEST(UniqueFd, ClosesWhatItHolds) {
  const ScriptedKernel kernel("close(5)");
  const UniqueFd fd(5);
  EXPECT_TRUE(fd.valid());
  EXPECT_EQ(fd.get(), 5);
}

TEST(UniqueFd, HoldsZeroToo) {
  const ScriptedKernel kernel("close(0)");
  EXPECT_TRUE(UniqueFd(0).valid());
}

TEST(UniqueFd, ClosesNothingThatItDoesNotHold) {
  const ScriptedKernel kernel("");
  EXPECT_FALSE(UniqueFd().valid());
  EXPECT_EQ(UniqueFd().get(), -1);
}

TEST(UniqueFd, MovesWithoutClosing) {
  const ScriptedKernel kernel(R"(
    close(6)
    close(5)
  )");
  UniqueFd from(5);
  UniqueFd through(std::move(from));
  UniqueFd to(6);
  to = std::move(through);
  EXPECT_EQ(to.get(), 5);
  UniqueFd& itself = to;
  to = std::move(itself);
  EXPECT_EQ(to.get(), 5);
}

TEST(CheckFd, OwnsTheDescriptorOrNamesTheError) {
  const ScriptedKernel kernel("close(0)\nclose(5)");
  EXPECT_EQ(CheckFd(0, "x").value().get(), 0);
  EXPECT_EQ(CheckFd(5, "x").value().get(), 5);
  EXPECT_ERROR(CheckFd(-EPERM, "failed to open ", 'x'),
               "failed to open x: Operation not permitted");
}

TEST(UniqueFd, GivesUpWhatItReleases) {
  const ScriptedKernel kernel("");
  UniqueFd fd(5);
  EXPECT_EQ(fd.Release(), 5);
  EXPECT_FALSE(fd.valid());
}

TEST(UniqueFd, ClosesTheOldOnReset) {
  const ScriptedKernel kernel(R"(
    close(5)
    close(6)
  )");
  UniqueFd fd(5);
  fd.Reset(6);
  EXPECT_EQ(fd.get(), 6);
  fd.Reset();
  EXPECT_FALSE(fd.valid());
}

}  // namespace
}  // namespace nsenter
