// SPDX-License-Identifier: Apache-2.0

#include "text.h"

#include <cstdint>
#include <gtest/gtest.h>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>

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
  EXPECT_EQ(Write(std::numeric_limits<std::int64_t>::max()), "9223372036854775807");
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

TEST(FixedText, ClearsToNothing) {
  FixedText<5> text;
  text.Append("abcdef");
  text.Clear();
  EXPECT_EQ(text.view(), "");
  EXPECT_STREQ(text.c_str(), "");
  EXPECT_EQ(text.room(), 5U);
  text.Append("abcde");
  EXPECT_EQ(text.view(), "abcde");
}

TEST(FixedText, KnowsItsRoom) {
  FixedText<5> text;
  EXPECT_EQ(text.room(), 5U);
  text.AppendAll("ab", 'c');
  EXPECT_EQ(text.size(), 3U);
  EXPECT_EQ(text.room(), 2U);
  text.Append("def");
  EXPECT_EQ(text.room(), 0U);
}

// Its address is the array's.
TEST(FixedText, IsNotCopied) {
  EXPECT_FALSE(std::is_copy_constructible_v<FixedText<8>>);
  EXPECT_FALSE(std::is_copy_assignable_v<FixedText<8>>);
}

TEST(Text, IsTheSameForEveryCapacity) {
  FixedText<3> small;
  FixedText<8> large;
  for (Text* const text : {static_cast<Text*>(&small), static_cast<Text*>(&large)}) {
    text->AppendAll("abc", 'd', 5);
  }
  EXPECT_EQ(small.view(), "...");
  EXPECT_EQ(large.view(), "abcd5");
}

TEST(Text, TakesPiecesAsAList) {
  const Piece pieces[] = {"a", 'b', -12, std::string_view("cd")};
  FixedText<16> text;
  text.Append(pieces, 3);
  EXPECT_EQ(text.view(), "ab-12");
  text.Append(pieces, 0);
  EXPECT_EQ(text.view(), "ab-12");
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

std::string Escape(std::string_view text) {
  FixedText<4096> line;
  AppendEscaped(line, text, kJsonSpecial, 0);
  return std::string(line.view());
}

TEST(AppendEscaped, LeavesWhatNeedsNoEscape) {
  EXPECT_EQ(Escape("plain /text 'of' {7}: ok"), "plain /text 'of' {7}: ok");
}

TEST(AppendEscaped, EscapesQuotesAndBackslashes) { EXPECT_EQ(Escape(R"(a"b\c)"), R"(a\"b\\c)"); }

TEST(AppendEscaped, EscapesEveryControlCharacter) {
  EXPECT_EQ(Escape({"\0\x01\t\r\x1f", 5}), R"(\u0000\u0001\u0009\u000d\u001f)");
  EXPECT_EQ(Escape("a\nb"), R"(a\nb)");
  EXPECT_EQ(Escape("\x7f"), R"(\u007f)");
}

TEST(AppendEscaped, PassesBytesAboveDel) {
  EXPECT_EQ(Escape("\x80\xc3\xa4\xff"), "\x80\xc3\xa4\xff");
}

TEST(AppendEscaped, KeepsTheReserveAndCutsNoEscape) {
  for (std::size_t reserve = 0; reserve < 8; ++reserve) {
    FixedText<32> line;
    AppendEscaped(line, std::string(64, '\x01'), kJsonSpecial, reserve);
    EXPECT_LE(line.size() + reserve, 32U);
    EXPECT_EQ(line.size() % 6, 3U) << "escapes, and dots: " << line.view();
    EXPECT_TRUE(line.view().ends_with("..."));
    EXPECT_GE(line.size(), 15U);
  }
}

// Whatever comes next, there is room for its escape and for the dots.
TEST(AppendEscaped, FillsTheLineUpToThat) {
  for (const std::size_t fits : {std::size_t{23}, std::size_t{24}, std::size_t{32}}) {
    FixedText<32> line;
    AppendEscaped(line, std::string(fits, 'x'), kJsonSpecial, 0);
    EXPECT_EQ(line.view(), fits < 25 ? std::string(fits, 'x') : std::string(24, 'x') + "...")
        << fits;
  }
}

TEST(AppendEscaped, EscapesControlCharactersOnStandardError) {
  FixedText<64> line;
  AppendEscaped(line, "a\n\"b\\\x1b[0m", {}, 0);
  EXPECT_EQ(line.view(), "a\\n\"b\\\\u001b[0m");
}

}  // namespace
}  // namespace nsenter
