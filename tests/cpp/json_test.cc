// SPDX-License-Identifier: Apache-2.0

#include "json.h"

#include <gtest/gtest.h>
#include <string>

namespace nsenter {
namespace {

std::string Escape(std::string_view text) {
  FixedText<4096> line;
  AppendJsonEscaped(line, text, 0);
  return std::string(line.view());
}

TEST(AppendJsonEscaped, LeavesWhatNeedsNoEscape) {
  EXPECT_EQ(Escape("plain /text 'of' {7}: ok"), "plain /text 'of' {7}: ok");
}

TEST(AppendJsonEscaped, EscapesQuotesAndBackslashes) {
  EXPECT_EQ(Escape(R"(a"b\c)"), R"(a\"b\\c)");
}

TEST(AppendJsonEscaped, EscapesEveryControlCharacter) {
  EXPECT_EQ(Escape({"\0\x01\t\r\x1f", 5}), R"(\u0000\u0001\u0009\u000d\u001f)");
  EXPECT_EQ(Escape("a\nb"), R"(a\nb)");
  EXPECT_EQ(Escape("\x7f"), R"(\u007f)");
}

TEST(AppendJsonEscaped, PassesBytesAboveDel) {
  EXPECT_EQ(Escape("\x80\xc3\xa4\xff"), "\x80\xc3\xa4\xff");
}

TEST(AppendJsonEscaped, KeepsTheReserveAndCutsNoEscape) {
  for (std::size_t reserve = 0; reserve < 8; ++reserve) {
    FixedText<32> line;
    AppendJsonEscaped(line, std::string(64, '\x01'), reserve);
    EXPECT_LE(line.size() + reserve, 32U);
    EXPECT_EQ(line.size() % 6, 3U) << "escapes, and dots: " << line.view();
    EXPECT_TRUE(line.view().ends_with("..."));
    EXPECT_GE(line.size(), 15U);
  }
}

// Whatever comes next, there is room for its escape and for the dots.
TEST(AppendJsonEscaped, FillsTheLineUpToThat) {
  for (const std::size_t fits : {std::size_t{23}, std::size_t{24}, std::size_t{32}}) {
    FixedText<32> line;
    AppendJsonEscaped(line, std::string(fits, 'x'), 0);
    EXPECT_EQ(line.view(), fits < 25 ? std::string(fits, 'x') : std::string(24, 'x') + "...")
        << fits;
  }
}

TEST(AppendEscaped, EscapesControlCharactersOnStandardError) {
  FixedText<64> line;
  AppendEscaped(line, "a\n\"b\\\x1b[0m", kNothingSpecial, 0);
  EXPECT_EQ(line.view(), "a\\n\"b\\\\u001b[0m");
}

}  // namespace
}  // namespace nsenter
