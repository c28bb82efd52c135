// SPDX-License-Identifier: Apache-2.0

#include "reply.h"

#include "expect.h"
#include "scripted_kernel.h"

#include <gtest/gtest.h>

namespace nsenter {
namespace {

using test::ScriptedKernel;

TEST(WriteNetlinkReply, IsOneLine) {
  const ScriptedKernel kernel(R"(write(3, "{\"stage1_pid\":41,\"stage2_pid\":4194304}\n"))");
  EXPECT_SUCCESS(WriteNetlinkReply(3, 41, 4194304));
}

TEST(WriteNetlinkReply, HasRoomForTheLargestNumbers) {
  const ScriptedKernel kernel(
      R"(write(3, "{\"stage1_pid\":2147483647,\"stage2_pid\":2147483647}\n"))");
  EXPECT_SUCCESS(WriteNetlinkReply(3, 2147483647, 2147483647));
}

TEST(WriteNetlinkReply, GoesOnAfterAShortWrite) {
  const ScriptedKernel kernel(R"(
    write(3, "{\"stage1_pid\":1,\"stage2_pid\":2}\n") = 1
    write(3, "\"stage1_pid\":1,\"stage2_pid\":2}\n") = 29
    write(3, "}\n") = 1
    write(3, "\n") = 1
  )");
  EXPECT_SUCCESS(WriteNetlinkReply(3, 1, 2));
}

TEST(WriteNetlinkReply, SaysThatItFailed) {
  const ScriptedKernel kernel(R"(
    write(3, "{\"stage1_pid\":1,\"stage2_pid\":2}\n") = 30
    write(3, "}\n") = EPERM
  )");
  EXPECT_ERROR(WriteNetlinkReply(3, 1, 2),
               "failed to write the reply to INITPIPE: Operation not permitted");
}

TEST(WriteNetlinkReply, DoesNotTryForEver) {
  const ScriptedKernel kernel(R"(write(3, "{\"stage1_pid\":1,\"stage2_pid\":2}\n") = 0)");
  EXPECT_ERROR(WriteNetlinkReply(3, 1, 2),
               "failed to write the reply to INITPIPE: it takes nothing");
}

TEST(WriteClassicReply, HasTheSpacesOf2015) {
  const ScriptedKernel kernel(R"(write(7, "{ \"pid\" : 42 }\n"))");
  EXPECT_SUCCESS(WriteClassicReply(7, 42));
}

}  // namespace
}  // namespace nsenter
