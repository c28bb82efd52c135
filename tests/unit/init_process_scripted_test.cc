// SPDX-License-Identifier: Apache-2.0

#include "init_process.h"

#include "expect.h"
#include "scripted_kernel.h"

#include <gtest/gtest.h>

namespace nsenter {
namespace {

using test::ScriptedKernel;

TEST(StartSession, MakesOne) {
  const ScriptedKernel kernel("setsid() = 42\nsetsid() = EPERM");
  EXPECT_SUCCESS(StartSession());
  EXPECT_ERROR(StartSession(), "failed to start a session: Operation not permitted");
}

TEST(TakeInitName, IsTheNameThatProgramsLookFor) {
  const ScriptedKernel kernel(R"(
    prctl(PR_SET_NAME, "runc:[2:INIT]")
    prctl(PR_SET_NAME, "runc:[2:INIT]") = EPERM
  )");
  EXPECT_SUCCESS(TakeInitName());
  EXPECT_ERROR(TakeInitName(), "failed to take the name runc:[2:INIT]: Operation not permitted");
}

TEST(TakeConsole, PutsItOnStdio) {
  const ScriptedKernel kernel(R"(
    ioctl(5, TIOCSCTTY)
    dup3(5, 0) = 0
    dup3(5, 1) = 1
    dup3(5, 2) = 2
  )");
  EXPECT_SUCCESS(TakeConsole(5));
}

TEST(TakeConsole, SaysWhatFailed) {
  const ScriptedKernel kernel(R"(
    ioctl(5, TIOCSCTTY) = EPERM
    ioctl(5, TIOCSCTTY)
    dup3(5, 0) = 0
    dup3(5, 1) = EPERM
  )");
  EXPECT_ERROR(TakeConsole(5),
               "failed to make the console the controlling terminal: Operation not permitted");
  EXPECT_ERROR(TakeConsole(5), "failed to put the console on fd 1: Operation not permitted");
}

}  // namespace
}  // namespace nsenter
