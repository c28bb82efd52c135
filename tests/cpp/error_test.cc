// SPDX-License-Identifier: Apache-2.0

#include "error.h"

#include <cerrno>
#include <gtest/gtest.h>
#include <string>

namespace nsenter {
namespace {

Status Fail(bool fails) {
  if (fails) return Error::WithCode(ENOENT, "failed to open ", "x");
  return {};
}

Result<int> Double(int number) {
  if (number < 0) return Error::Of("negative: ", number);
  return 2 * number;
}

Status CallBoth(bool fails, int number, int& ret_result) {
  RETURN_IF_ERROR(Fail(fails));
  ASSIGN_OR_RETURN(ret_result, Double(number));
  return {};
}

TEST(Error, HoldsItsTextAndNoCode) {
  const Error error = Error::Of("invalid ", "NAME", " \"", 7, '"');
  EXPECT_EQ(error.text(), "invalid NAME \"7\"");
  EXPECT_EQ(error.code(), 0);
  EXPECT_FALSE(error.reported());
}

TEST(Error, TakesTheCodeEitherWay) {
  EXPECT_EQ(Error::WithCode(-EPERM, "x").code(), EPERM);
  EXPECT_EQ(Error::WithCode(EPERM, "x").code(), EPERM);
}

TEST(Error, CutsALongText) {
  const Error error = Error::Of(std::string(2000, 'x'));
  EXPECT_EQ(error.text(), std::string(997, 'x') + "...");
}

TEST(Error, CanHaveBeenReported) { EXPECT_TRUE(Error::AlreadyReported().reported()); }

TEST(Status, IsSuccessByDefault) {
  EXPECT_TRUE(Status().ok());
  EXPECT_FALSE(Status(Error::Of("x")).ok());
}

TEST(Macros, HandErrorsUpAndValuesOn) {
  int result = 0;
  EXPECT_TRUE(CallBoth(false, 21, result).ok());
  EXPECT_EQ(result, 42);
  const Status first = CallBoth(true, 21, result);
  ASSERT_FALSE(first.ok());
  EXPECT_EQ(first.error().text(), "failed to open x");
  EXPECT_EQ(first.error().code(), ENOENT);
  const Status second = CallBoth(false, -1, result);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().text(), "negative: -1");
}

}  // namespace
}  // namespace nsenter
