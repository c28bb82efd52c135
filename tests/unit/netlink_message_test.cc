// SPDX-License-Identifier: Apache-2.0

#include "netlink_message.h"

#include "expect.h"
#include "message.h"
#include "vectors.h"

#include <algorithm>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <gtest/gtest.h>
#include <string>
#include <string_view>
#include <vector>

namespace nsenter {
namespace {

using test::Attribute;
using test::Bytes;
using test::Header;
using test::Message;
using test::Text;

// Messages are put together here only where a test is about sizes; all others are in
// tests/conformance/vectors.

/// Parses a copy of exactly this size on the heap: AddressSanitizer sees each byte beyond it.
Result<Bootstrap> ParseAlone(std::string_view message, std::vector<char>& ret_copy) {
  ret_copy.assign(message.begin(), message.end());
  ret_copy.shrink_to_fit();
  return ParseMessage({ret_copy.data(), ret_copy.size()});
}

std::string Escape(std::string_view text) {
  std::string escaped;
  for (const char c : text) escaped += c == '\n' ? std::string("\\n") : std::string(1, c);
  return escaped;
}

/// The fields of a bootstrap as a vector's `parsed` lines have them.
std::vector<std::string> Fields(const Bootstrap& bootstrap) {
  std::vector<std::string> fields;
  const auto add = [&](const char* name, std::string_view value) {
    if (!value.empty()) fields.push_back(std::string(name) + " " + Escape(value));
  };
  char flags[16];
  (void)std::snprintf(flags, sizeof(flags), "%x", static_cast<unsigned>(bootstrap.clone_flags));
  if (bootstrap.clone_flags != 0) add("clone-flags", flags);
  for (std::size_t i = 0; i < bootstrap.join_count; ++i) {
    add("namespace",
        std::string(bootstrap.joins[i].type.name) + " " + std::string(bootstrap.joins[i].path));
  }
  add("uid-map", bootstrap.uid_map.text);
  add("gid-map", bootstrap.gid_map.text);
  add("oom-score-adj", bootstrap.oom_score_adj);
  add("time-offsets", bootstrap.time_offsets);
  add("uid-map-tool", bootstrap.uid_map_tool);
  add("gid-map-tool", bootstrap.gid_map_tool);
  if (bootstrap.setgroups) add("setgroup", "1");
  if (bootstrap.rootless_euid) add("rootless-euid", "1");
  return fields;
}

/// The `parsed` lines of a vector, flags as Fields writes them; sorted, as their order has no
/// meaning but among namespaces, which sorting by name keeps apart only if each is there once.
std::vector<std::string> Expected(const test::Vector& vector) {
  std::vector<std::string> fields;
  for (std::string line : vector.All("parsed")) {
    constexpr std::string_view kFlags = "clone-flags ";
    if (line.starts_with(kFlags)) {
      char flags[16];
      const unsigned long value = std::stoul(line.substr(kFlags.size()), nullptr, 16);
      (void)std::snprintf(flags, sizeof(flags), "%lx", value);
      line = std::string(kFlags) + flags;
    }
    fields.push_back(line);
  }
  return fields;
}

/// Those that begin with "namespace ", or all others, sorted.
std::vector<std::string> Select(const std::vector<std::string>& fields, bool namespaces) {
  std::vector<std::string> selected;
  for (const std::string& field : fields) {
    if (field.starts_with("namespace ") == namespaces) selected.push_back(field);
  }
  if (!namespaces) std::sort(selected.begin(), selected.end());
  return selected;
}

void ExpectParsed(const test::Vector& vector) {
  SCOPED_TRACE(vector.name);
  const std::string wanted = vector.Only("parse");
  if (wanted == "none") return;
  std::vector<char> copy;
  const Result<Bootstrap> bootstrap = ParseAlone(vector.message, copy);
  const std::string error = vector.Only("parse-error");
  if (!error.empty()) {
    EXPECT_ERROR(bootstrap, error);
    return;
  }
  ASSERT_EQ(test::Describe(bootstrap), "success");
  const std::vector<std::string> expected = Expected(vector);
  EXPECT_EQ(wanted.empty(), !expected.empty()) << "neither parsed nor parse: ok, or both";
  const std::vector<std::string> fields = Fields(bootstrap.value());
  EXPECT_EQ(Select(fields, true), Select(expected, true));
  EXPECT_EQ(Select(fields, false), Select(expected, false));
}

std::vector<test::Vector> Messages() {
  std::vector<test::Vector> messages;
  for (test::Vector& vector : test::ReadVectors(NSEXEC_VECTORS_DIR)) {
    if (!vector.message.empty()) messages.push_back(std::move(vector));
  }
  EXPECT_FALSE(messages.empty());
  return messages;
}

TEST(ParseMessage, SaysWhatEachVectorExpects) {
  for (const test::Vector& vector : Messages()) ExpectParsed(vector);
}

// What is larger, 60,000 bytes and more, consists of a long fill, and to parse it once for each of
// its bytes takes too long: that is left to the fuzzer.
constexpr std::size_t kSmall = 8192;
constexpr std::size_t kAllBits = 1024;

TEST(ParseMessage, RefusesEveryTruncation) {
  std::vector<char> copy;
  for (const test::Vector& vector : Messages()) {
    if (vector.Only("parse") == "none" || vector.message.size() > kSmall) continue;
    for (std::size_t size = 0; size < vector.message.size(); ++size) {
      EXPECT_FALSE(ParseAlone(vector.message.substr(0, size), copy).ok())
          << vector.name << " after " << size << " bytes";
    }
  }
}

// What the header says is made to fit, so that the attributes are looked at.
TEST(ParseMessage, ReadsNothingBeyondAShorterMessage) {
  std::vector<char> copy;
  for (const test::Vector& vector : Messages()) {
    if (vector.message.size() > kSmall) continue;
    for (std::size_t size = 16; size < vector.message.size(); ++size) {
      const std::string message =
          Bytes(static_cast<std::uint32_t>(size)) + vector.message.substr(4, size - 4);
      (void)ParseAlone(message, copy).ok();
    }
  }
}

TEST(ParseMessage, SurvivesEveryFlippedBit) {
  std::vector<char> copy;
  for (const test::Vector& vector : Messages()) {
    if (vector.message.size() > kSmall) continue;
    // Of thousands of bytes one bit each, the next one of the next:
    // nsenter/bootstrap/agree_test.go, which is quicker, gives this parser all of them.
    const std::size_t step = vector.message.size() > kAllBits ? 9 : 1;
    for (std::size_t bit = 0; bit < 8 * vector.message.size(); bit += step) {
      std::string message = vector.message;
      message[bit / 8] = static_cast<char>(message[bit / 8] ^ (1 << (bit % 8)));
      const Result<Bootstrap> bootstrap = ParseAlone(message, copy);
      EXPECT_NE(test::Describe(bootstrap), "") << vector.name << " bit " << bit;
    }
  }
}

TEST(ParseMessage, TakesAnyOrderAndTheLastOfDuplicates) {
  const std::string message =
      Message(Attribute(27286, Text("1")) + Attribute(27281, Bytes(std::uint32_t{0x40000000})) +
              Attribute(27282, Text("net:/a,uts:/b")) + Attribute(27286, Text("2")) +
              Attribute(27282, Text("ipc:/c")));
  const Result<Bootstrap> bootstrap = ParseMessage(message);
  ASSERT_EQ(test::Describe(bootstrap), "success");
  EXPECT_EQ(
      Fields(bootstrap.value()),
      (std::vector<std::string>{"clone-flags 40000000", "namespace ipc /c", "oom-score-adj 2"}));
}

TEST(ParseMessage, NeedsAWholeHeader) {
  for (const std::size_t size : {0U, 1U, 6U, 15U}) {
    EXPECT_ERROR(ParseMessage(Message("").substr(0, size)), "the bootstrap message has no header");
  }
}

TEST(ParseMessage, TellsTimeOffsetsFromTheMountSourcesOfRunc11) {
  const auto parse = [](const std::string& value) {
    const std::string message = Message(Attribute(27290, value));
    return test::Describe(ParseMessage(message));
  };
  EXPECT_EQ(parse(Text("")), "success");
  EXPECT_EQ(parse(Text("monotonic 1 0\n")), "success");
  for (const std::string& value : {Text("/"), Text("") + Text(""), Text("") + Text("/a")}) {
    EXPECT_EQ(parse(value),
              "the parent is runc 1.1 (attribute 27290 is its MOUNT_SOURCES), this nsexec serves "
              "1.2.0 and newer");
  }
}

TEST(ParseMessage, OfNothingAsksForNothing) {
  const Result<Bootstrap> bootstrap = ParseMessage(Message(""));
  ASSERT_EQ(test::Describe(bootstrap), "success");
  EXPECT_TRUE(Fields(bootstrap.value()).empty());
}

TEST(ParseMessage, TakesTheLargestMessageOfRealParents) {
  // Ten attributes of 64 KiB, none of which is used.
  const std::string map(65531 - 1, ' ');
  std::string attributes;
  for (int i = 0; i < 10; ++i) attributes += Attribute(27283, Text(map));
  EXPECT_SUCCESS(ParseMessage(Message(attributes)));
}

TEST(ParseMessage, TakesBooleansOfAnySize) {
  const auto setgroups = [](const std::string& value) {
    const std::string message = Message(Attribute(27285, value));
    const Result<Bootstrap> bootstrap = ParseMessage(message);
    return bootstrap.ok() ? std::to_string(static_cast<int>(bootstrap.value().setgroups))
                          : test::Describe(bootstrap);
  };
  EXPECT_EQ(setgroups(Bytes(std::uint8_t{1})), "1");
  EXPECT_EQ(setgroups(Bytes(std::uint16_t{1})), "1");
  EXPECT_EQ(setgroups(Bytes(std::uint32_t{1})), "1");
  EXPECT_EQ(setgroups(Bytes(std::uint8_t{0})), "0");
  EXPECT_EQ(setgroups(Bytes(std::uint32_t{0})), "0");
  EXPECT_EQ(setgroups(""), "SETGROUP is a boolean of 0 bytes, not 1, 2 or 4");
  EXPECT_EQ(setgroups("abc"), "SETGROUP is a boolean of 3 bytes, not 1, 2 or 4");
  EXPECT_EQ(setgroups("abcdefgh"), "SETGROUP is a boolean of 8 bytes, not 1, 2 or 4");
}

TEST(ParseMessage, TakesPathsUpToTheKernelsLimit) {
  const auto join = [](std::size_t size) {
    const std::string message =
        Message(Attribute(27282, Text("net:/" + std::string(size - 1, 'x'))));
    return test::Describe(ParseMessage(message));
  };
  EXPECT_EQ(join(PATH_MAX - 1), "success");
  EXPECT_EQ(join(PATH_MAX),
            "NS_PATHS has a path of 4096 bytes for the net namespace, at most 4095 are possible");
}

TEST(ParseMessage, TakesTheOomScoresOfTheKernel) {
  const auto parse = [](const std::string& text) {
    const std::string message = Message(Attribute(27286, Text(text)));
    return test::Describe(ParseMessage(message));
  };
  for (const char* const text : {"", "0", "1000", "-1000"}) EXPECT_EQ(parse(text), "success");
  for (const std::string text : {"1001", "-1001", "-", "--1", "+1", " 1", "1 ", "1\n", "0x10",
                                 "4294967296", "99999999999999999999"}) {
    EXPECT_EQ(parse(text), "OOM_SCORE_ADJ is no number from -1000 to 1000: \"" + text + "\"");
  }
  // The kernel would read it as octal.
  EXPECT_NE(parse("010"), "success");
}

TEST(ParseMessageHeader, ChecksTypeAndLength) {
  const auto header = [](std::uint32_t size, std::uint16_t type) {
    return Header(size, type, '\xff');
  };
  EXPECT_EQ(ParseMessageHeader(header(16, 62000)).value(), 16U);
  EXPECT_EQ(ParseMessageHeader(header(16U << 20U, 62000)).value(), 16U << 20U);
  EXPECT_ERROR(ParseMessageHeader(header(16, 61999)),
               "the bootstrap message has type 61999, not 62000");
  EXPECT_ERROR(ParseMessageHeader(header(0, 62000)),
               "the bootstrap message has length 0, less than its header of 16");
  EXPECT_ERROR(ParseMessageHeader(header(15, 62000)),
               "the bootstrap message has length 15, less than its header of 16");
  EXPECT_ERROR(ParseMessageHeader(header((16U << 20U) + 1, 62000)),
               "the bootstrap message has length 16777217, more than 16777216");
  EXPECT_ERROR(ParseMessageHeader(header(UINT32_MAX, 62000)),
               "the bootstrap message has length 4294967295, more than 16777216");
}

TEST(HasBootstrapType, NeedsSixBytes) {
  const std::string message = Message("");
  const std::string_view header = message;
  EXPECT_TRUE(HasBootstrapType(header));
  EXPECT_TRUE(HasBootstrapType(header.substr(0, 6)));
  EXPECT_FALSE(HasBootstrapType(header.substr(0, 5))) << "though the sixth is right";
  EXPECT_FALSE(HasBootstrapType(""));
  EXPECT_FALSE(HasBootstrapType("{\"args"));
}

TEST(ParseMessage, ForgetsTheNamespacesThatALaterListReplaces) {
  const std::string message =
      Message(Attribute(27282, Text("ipc:/a,net:/b,user:/c")) + Attribute(27282, Text("uts:/d")));
  const Result<Bootstrap> parsed = ParseMessage(message);
  EXPECT_SUCCESS(parsed);
  EXPECT_TRUE(parsed.value().Joins(CLONE_NEWUTS));
  for (const int type : {CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWUSER}) {
    EXPECT_FALSE(parsed.value().Joins(type)) << type;
  }
}

TEST(ParseMessage, TakesTheKernelsRangeOfOomScores) {
  const auto parse = [](const std::string& score) {
    const std::string message = Message(Attribute(27286, Text(score)));  // read until the end
    const Result<Bootstrap> parsed = ParseMessage(message);
    return parsed.ok() ? "set to " + std::string(parsed.value().oom_score_adj)
                       : test::Describe(parsed);
  };
  for (const std::string score : {"0", "-0", "9", "10", "999", "1000", "-1", "-1000"}) {
    EXPECT_EQ(parse(score), "set to " + score);
  }
  EXPECT_EQ(parse(""), "set to ");
  for (const std::string score : {"-", "00", "01", "-01", "1001", "-1001", "10000", "1/",
                                  "1:", "+1", " 1", "1 ", "--1", "18446744073709551617"}) {
    EXPECT_EQ(parse(score), "OOM_SCORE_ADJ is no number from -1000 to 1000: \"" + score + '"');
  }
}

}  // namespace
}  // namespace nsenter
