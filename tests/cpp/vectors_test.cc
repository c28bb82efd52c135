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

}  // namespace
}  // namespace nsenter::test
