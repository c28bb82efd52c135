// SPDX-License-Identifier: Apache-2.0

#include "message_reader.h"

#include "expect.h"
#include "scripted_kernel.h"

#include <gtest/gtest.h>

namespace nsenter {
namespace {

using test::ScriptedKernel;

TEST(MessageReader, ReadsAMessageAndNothingBehindIt) {
  const ScriptedKernel kernel(R"(
    read(3, 16) = "\<4:20>\<2:62000>\<2:0>\<8:0>"
    read(3, 4) = "rest"
  )");
  MessageReader reader;
  ASSERT_EQ(test::Describe(reader.ReadFrom(3)), "success");
  EXPECT_EQ(reader.attributes(), "rest");
}

TEST(MessageReader, TakesAMessageWithoutAttributes) {
  const ScriptedKernel kernel(R"(read(3, 16) = "\<4:16>\<2:62000>\<2:0>\<8:0>")");
  MessageReader reader;
  EXPECT_EQ(reader.attributes(), "") << "before it has read anything";
  ASSERT_EQ(test::Describe(reader.ReadFrom(3)), "success");
  EXPECT_EQ(reader.attributes(), "");
}

TEST(MessageReader, PutsPiecesTogether) {
  const ScriptedKernel kernel(R"(
    read(3, 16) = "\<4:20>"
    read(3, 12) = "\<2:62000>\<2:0>\<7:0>"
    read(3, 1) = "\x00"
    read(3, 4) = "re"
    read(3, 2) = "st"
  )");
  MessageReader reader;
  ASSERT_EQ(test::Describe(reader.ReadFrom(3)), "success");
  EXPECT_EQ(reader.attributes(), "rest");
}

TEST(MessageReader, ReadsNoMessageWithoutHeader) {
  const ScriptedKernel kernel(R"(
    read(3, 16) = "\x14\x00"
    read(3, 14) = ""
  )");
  EXPECT_ERROR(MessageReader().ReadFrom(3), "the bootstrap message ended after 2 of 16 bytes");
}

TEST(MessageReader, ReadsNothingBehindABrokenHeader) {
  const ScriptedKernel kernel(R"(
    read(3, 16) = "\<4:20>\<2:62001>\<2:0>\<8:0>"
  )");
  EXPECT_ERROR(MessageReader().ReadFrom(3), "the bootstrap message has type 62001, not 62000");
}

TEST(MessageReader, SaysWhereAMessageEnded) {
  const ScriptedKernel kernel(R"(
    read(3, 16) = "\<4:20>\<2:62000>\<2:0>\<8:0>"
    read(3, 4) = "res"
    read(3, 1) = ""
    read(3, 16) = EPERM
  )");
  EXPECT_ERROR(MessageReader().ReadFrom(3), "the bootstrap message ended after 19 of 20 bytes");
  EXPECT_ERROR(MessageReader().ReadFrom(3),
               "failed to read the bootstrap message: Operation not permitted");
}

TEST(MessageReader, MapsMemoryForALongMessage) {
  const ScriptedKernel kernel(R"(
    read(3, 16) = "\<4:2049>\<2:62000>\<2:0>\<8:0>"
    mmap(2049)
    read(3, 2033) = "abc"
    read(3, 2030) = EPERM
    munmap(2049)
    read(3, 16) = "\<4:2049>\<2:62000>\<2:0>\<8:0>"
    mmap(2049) = EPERM
  )");
  {
    MessageReader reader;
    EXPECT_ERROR(reader.ReadFrom(3),
                 "failed to read the bootstrap message: Operation not permitted");
  }
  EXPECT_ERROR(MessageReader().ReadFrom(3),
               "failed to map 2049 bytes for the bootstrap message: Operation not permitted");
}

TEST(MessageReader, MapsNoMemoryForAMessageThatJustFits) {
  const ScriptedKernel kernel(R"(
    read(3, 16) = "\<4:2048>\<2:62000>\<2:0>\<8:0>"
    read(3, 2032) = ""
  )");
  EXPECT_ERROR(MessageReader().ReadFrom(3), "the bootstrap message ended after 16 of 2048 bytes");
}

}  // namespace
}  // namespace nsenter
