// SPDX-License-Identifier: Apache-2.0

#include "text.h"

#include <cstdint>
#include <gtest/gtest.h>
#include <limits>
#include <string>
#include <string_view>

namespace nsenter {
namespace {

template <typename Piece>
std::string Write(Piece piece) {
  FixedText<64> text;
  text.Append(piece);
  return std::string(text.view());
}

TEST(FixedText, IsEmptyAtFirst) {
  const FixedText<8> text;
  EXPECT_EQ(text.view(), "");
  EXPECT_STREQ(text.c_str(), "");
}

TEST(FixedText, WritesTheLimitsOfEveryInteger) {
  EXPECT_EQ(Write(0), "0");
  EXPECT_EQ(Write(-1), "-1");
  EXPECT_EQ(Write(std::numeric_limits<std::int16_t>::min()), "-32768");
  EXPECT_EQ(Write(std::numeric_limits<std::uint16_t>::max()), "65535");
  EXPECT_EQ(Write(std::numeric_limits<int>::min()), "-2147483648");
  EXPECT_EQ(Write(std::numeric_limits<std::uint32_t>::max()), "4294967295");
  EXPECT_EQ(Write(std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
  EXPECT_EQ(Write(std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
}

TEST(FixedText, TakesACharacterAsSuch) { EXPECT_EQ(Write('7'), "7"); }

TEST(FixedText, TakesAllThatFits) {
  FixedText<5> text;
  text.AppendAll("ab", 'c', 45);
  EXPECT_EQ(text.view(), "abc45");
}

TEST(FixedText, EndsInDotsWhatWasCut) {
  FixedText<5> text;
  text.AppendAll("abcd", "ef");
  EXPECT_EQ(text.view(), "ab...");
  text.Append("more");
  EXPECT_EQ(text.view(), "ab...");
  text.Append("");
  EXPECT_EQ(text.view(), "ab...");
  EXPECT_STREQ(text.c_str(), "ab...");
}

TEST(FixedText, NothingIsCutByNothing) {
  FixedText<3> text;
  text.AppendAll("abc", "", std::string_view());
  EXPECT_EQ(text.view(), "abc");
}

TEST(FixedText, CopiesAreIndependent) {
  FixedText<8> text;
  text.Append("one");
  FixedText<8> copy(text);
  text.Clear();
  EXPECT_EQ(copy.view(), "one");
  copy.Append("two");
  text = copy;
  copy.Clear();
  EXPECT_EQ(text.view(), "onetwo");
  const FixedText<8>& itself = text;
  text = itself;
  EXPECT_EQ(text.view(), "onetwo");
}

TEST(StartsWith, ComparesTheFront) {
  EXPECT_TRUE(StartsWith("/proc/1", "/proc/"));
  EXPECT_TRUE(StartsWith("a", "a"));
  EXPECT_TRUE(StartsWith("", ""));
  EXPECT_TRUE(StartsWith("a", ""));
  EXPECT_FALSE(StartsWith("a", "ab"));
  EXPECT_FALSE(StartsWith("ba", "a"));
  EXPECT_FALSE(StartsWith(std::string_view("ab", 1), "ab")) << "though it goes on like that";
}

TEST(Equal, ComparesTheWhole) {
  EXPECT_TRUE(Equal("", ""));
  EXPECT_TRUE(Equal("ab", "ab"));
  EXPECT_FALSE(Equal("ab", "ac"));
  EXPECT_FALSE(Equal("ab", "a"));
  EXPECT_FALSE(Equal("a", "ab"));
}

TEST(Find, TakesTheFirst) {
  EXPECT_EQ(Find("abcb", 'b'), 1U);
  EXPECT_EQ(Find("abc", 'c'), 2U);
  EXPECT_EQ(Find("abc", 'd'), std::string_view::npos);
  EXPECT_EQ(Find(std::string_view("abc", 2), 'c'), std::string_view::npos) << "behind the end";
  EXPECT_EQ(Find("", 'a'), std::string_view::npos);
}

TEST(From, IsEmptyBehindTheEnd) {
  EXPECT_EQ(From("abc", 1), "bc");
  EXPECT_EQ(From("abc", 2), "c");
  EXPECT_EQ(From("abc", 3), "");
  EXPECT_EQ(From("abc", 4), "");
  EXPECT_EQ(From("abc", std::string_view::npos), "");
}

TEST(First, IsAllThereIsAtMost) {
  EXPECT_EQ(First("abc", 0), "");
  EXPECT_EQ(First("abc", 2), "ab");
  EXPECT_EQ(First("abc", 3), "abc");
  EXPECT_EQ(First("abc", std::string_view::npos), "abc");
}

}  // namespace
}  // namespace nsenter
