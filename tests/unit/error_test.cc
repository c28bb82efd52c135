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

TEST(Error, HasNeitherTextNorCodeOfItsOwnOnceReported) {
  (void)Error::WithCode(ENOENT, "x");
  EXPECT_EQ(Error::AlreadyReported().text(), "");
  EXPECT_EQ(Error::AlreadyReported().code(), 0);
}

TEST(Error, CanSayTheTextOfAnother) {
  const Error inner = Error::WithCode(EPERM, "inner");
  const Error outer = Error::Of("outer: ", inner.text());
  EXPECT_EQ(outer.text(), "outer: inner");
  EXPECT_EQ(outer.code(), 0);
}

TEST(Error, StaysWhatItIsWhereItIsCopied) {
  const Status status = Error::WithCode(EPERM, "x");
  const Result<int> result = status.error();
  const Status again = result.error();
  EXPECT_EQ(again.error().text(), "x");
  EXPECT_EQ(again.error().code(), EPERM);
}

// There is one text. Where nothing is optimised, who asks for one that is there no more is told.
TEST(ErrorDeathTest, TrapsWhereTheTextIsAnothersByNow) {
  const Error first = Error::Of("first");
  EXPECT_EQ(first.text(), "first");
  const Error second = Error::Of("second");
  EXPECT_EQ(second.text(), "second");
#ifdef NSENTER_COUNT_ERRORS
  EXPECT_DEATH((void)first.text(), "");
#else
  EXPECT_EQ(first.text(), "second");
#endif
}

TEST(Check, PassesTheNumberOrNamesTheError) {
  EXPECT_EQ(Check(7, "x").value(), 7);
  EXPECT_EQ(Check(0, "x").value(), 0);
  const Result<int> refused = Check(-EPERM, "failed to open ", 7);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().text(), "failed to open 7");
  EXPECT_EQ(refused.error().code(), EPERM);
}

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
