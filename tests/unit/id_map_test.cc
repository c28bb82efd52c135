// SPDX-License-Identifier: Apache-2.0

#include "id_map.h"

#include <gtest/gtest.h>
#include <string>
#include <unistd.h>
#include <vector>

namespace nsenter {
namespace {

std::string Lines(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += std::to_string(i) + " 1000 1\n";
  return text;
}

/// The error's text, "" if there is none.
std::string ErrorOf(std::string_view text) {
  const Result<IdMap> map = ParseIdMap("UIDMAP", text);
  return map.ok() ? "" : std::string(map.error().text());
}

TEST(ParseIdMap, TakesAnyBlanksAndNoLastLineEnd) {
  for (const std::string_view text :
       {"0 100000 65536\n", "0 100000 65536", "  0\t100000   65536 \n",
        "         0     100000      65536\n"}) {
    const Result<IdMap> map = ParseIdMap("UIDMAP", text);
    ASSERT_TRUE(map.ok()) << text;
    EXPECT_EQ(map.value().text, text);
    EXPECT_EQ(map.value().lines, 1U);
    EXPECT_TRUE(map.value().maps_zero);
    EXPECT_FALSE(map.value().maps_one_id);
  }
}

TEST(ParseIdMap, OfNothingIsNoMap) {
  const Result<IdMap> map = ParseIdMap("UIDMAP", "");
  ASSERT_TRUE(map.ok());
  EXPECT_EQ(map.value().lines, 0U);
  EXPECT_FALSE(map.value().maps_zero);
  EXPECT_FALSE(map.value().MapsOnly(0));
}

TEST(ParseIdMap, FindsZeroInAnyLine) {
  EXPECT_TRUE(ParseIdMap("UIDMAP", "1 1 1\n0 5 1\n").value().maps_zero);
  EXPECT_FALSE(ParseIdMap("UIDMAP", "1 0 1\n").value().maps_zero);
}

TEST(ParseIdMap, FindsASingleId) {
  const Result<IdMap> map = ParseIdMap("UIDMAP", "0 1000 1\n");
  ASSERT_TRUE(map.ok());
  EXPECT_TRUE(map.value().MapsOnly(1000));
  EXPECT_FALSE(map.value().MapsOnly(0));
  EXPECT_FALSE(ParseIdMap("UIDMAP", "0 1000 2\n").value().MapsOnly(1000));
  EXPECT_FALSE(ParseIdMap("UIDMAP", "0 1000 1\n1 1001 1\n").value().MapsOnly(1000));
  EXPECT_FALSE(ParseIdMap("UIDMAP", "1 1001 1\n0 1000 1\n").value().MapsOnly(1000));
}

TEST(ParseIdMap, RefusesWhatIsNoMap) {
  for (const std::string line :
       {"", " ", "0", "0 0", "0 0 1 1", "0 0 0", "x 0 1", "0 -1 1", "0 +1 1", "0 0x1 1", "0,0,1",
        "0 0 1\r", "/ 0 1", "1/ 0 1", "1: 0 1", "0 0 4294967296", "0 4294967296 1",
        "99999999999 0 1", "0 0 00000000001"}) {
    EXPECT_EQ(ErrorOf(line + "\n"),
              "UIDMAP line 1 is not \"inside outside count\": \"" + line + '"');
    EXPECT_EQ(ErrorOf("0 1 2\n" + line + "\n"),
              "UIDMAP line 2 is not \"inside outside count\": \"" + line + '"');
  }
}

TEST(ParseIdMap, TakesIdsUpTo32Bits) {
  EXPECT_EQ(ErrorOf("0 4294967295 4294967295\n"), "");
  EXPECT_TRUE(ParseIdMap("UIDMAP", "0 4294967295 1\n").value().MapsOnly(4294967295U));
}

TEST(ParseIdMap, TakesNoMoreLinesThanTheKernel) {
  EXPECT_EQ(ErrorOf(Lines(340)), "");
  EXPECT_EQ(ErrorOf(Lines(341)), "UIDMAP has 341 lines, the kernel takes 340");
}

TEST(ParseIdMap, TakesLessThanAPage) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::string line = "0 1 1\n";
  EXPECT_EQ(ErrorOf(std::string(page - 1 - line.size(), ' ') + line), "");
  EXPECT_EQ(ErrorOf(std::string(page - line.size(), ' ') + line),
            "UIDMAP is " + std::to_string(page) +
                " bytes long, the kernel takes less than a page of " + std::to_string(page));
}

TEST(TakeWord, TakesOneAfterTheOther) {
  std::string_view text = "  12\t3\n\n45 ";
  std::vector<std::string> words;
  for (std::string_view word = TakeWord(text); !word.empty(); word = TakeWord(text)) {
    words.emplace_back(word);
  }
  EXPECT_EQ(words, (std::vector<std::string>{"12", "3", "45"}));
  EXPECT_EQ(TakeWord(text), "");
}

}  // namespace
}  // namespace nsenter
