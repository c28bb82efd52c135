// SPDX-License-Identifier: Apache-2.0

#include "vectors.h"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

namespace nsenter::test {
namespace {

TEST(Vectors, HaveLinesAndAMessage) {
  const auto vectors = ParseVectors("a.vectors", R"(# a comment

[first-1]
about: one:two
hex: 0a 0b0C # a header
fill: 3 ff # three bytes
hex: 00 # the end
parsed: uid-map 0 1 2\n
parsed: setgroup 1
[second]
)");
  ASSERT_EQ(vectors.size(), 2U);
  EXPECT_EQ(vectors[0].name, "first-1");
  EXPECT_EQ(vectors[0].message, std::string("\x0a\x0b\x0c\xff\xff\xff\0", 7));
  EXPECT_EQ(vectors[0].Only("about"), "one:two");
  EXPECT_EQ(vectors[0].All("parsed"), (std::vector<std::string>{"uid-map 0 1 2\\n", "setgroup 1"}));
  EXPECT_EQ(vectors[0].Only("fatal"), "");
  EXPECT_EQ(vectors[1].name, "second");
  EXPECT_EQ(vectors[1].message, "");
}

TEST(Vectors, BrokenLinesAreReported) {
  EXPECT_NONFATAL_FAILURE(ParseVectors("a.vectors", "about: before any vector\n"), "a.vectors:1");
  EXPECT_NONFATAL_FAILURE(ParseVectors("a.vectors", "[UPPER]\n"), "a.vectors:1");
  EXPECT_NONFATAL_FAILURE(ParseVectors("a.vectors", "[x]\nno colon\n"), "a.vectors:2");
  EXPECT_NONFATAL_FAILURE(ParseVectors("a.vectors", "[x]\nhex: 00\n"), "a.vectors:2");
  EXPECT_NONFATAL_FAILURE(ParseVectors("a.vectors", "[x]\nhex: 0 # odd\n"), "a.vectors:2");
  EXPECT_NONFATAL_FAILURE(ParseVectors("a.vectors", "[x]\nhex: 0g # no digit\n"), "a.vectors:2");
  EXPECT_NONFATAL_FAILURE(ParseVectors("a.vectors", "[x]\nfill: 3 # no byte\n"), "a.vectors:2");
}

std::string Swapped(std::string message) {
  SwapByteOrder(message);
  return message;
}

TEST(Vectors, HaveTheNumbersOfOtherMachinesTheOtherWayRound) {
  const std::string header("\x2c\0\0\0\x30\xf2\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a", 16);
  const std::string swapped("\0\0\0\x2c\xf2\x30\x02\x01\x06\x05\x04\x03\x0a\x09\x08\x07", 16);
  EXPECT_EQ(Swapped(header), swapped);
  // Type 27281 is 0x6a91: flags; 27285: a boolean; 27286: a text, whose bytes stay.
  EXPECT_EQ(
      Swapped(header + std::string("\x08\0\x91\x6a\x11\x22\x33\x44", 8) +
              std::string("\x06\0\x95\x6a\x01\0??", 8) + std::string("\x07\0\x96\x6a-1\0?\x05", 9)),
      swapped + std::string("\0\x08\x6a\x91\x44\x33\x22\x11", 8) +
          std::string("\0\x06\x6a\x95\0\x01??", 8) + std::string("\0\x07\x6a\x96-1\0?\x05", 9));
}

TEST(Vectors, KeepWhatIsBehindALengthThatDoesNotFit) {
  const std::string header(16, '\0');
  EXPECT_EQ(Swapped("\x01\x02\x03"), "\x01\x02\x03");
  EXPECT_EQ(Swapped(header + std::string("\x03\0\x91\x6a\x08\0\x91\x6a", 8)),
            header + std::string("\0\x03\x6a\x91\x08\0\x91\x6a", 8));
  EXPECT_EQ(Swapped(header + std::string("\x09\0\x91\x6a\x11\x22\x33\x44", 8)),
            header + std::string("\0\x09\x6a\x91\x11\x22\x33\x44", 8));
}

}  // namespace
}  // namespace nsenter::test
