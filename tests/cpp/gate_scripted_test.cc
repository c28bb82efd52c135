// SPDX-License-Identifier: Apache-2.0

#include "gate.h"

#include "expect.h"
#include "scripted_kernel.h"

#include <gtest/gtest.h>

namespace nsenter {
namespace {

using test::ScriptedKernel;

TEST(Gate, IsAPipeOfWhichEachKeepsOneEnd) {
  const ScriptedKernel kernel(R"(
    pipe2(O_CLOEXEC) = [5, 6]
    close(6)
    read(5, 1) = "r"
    close(5)
    pipe2(O_CLOEXEC) = [5, 6]
    close(5)
    write(6, "r")
    close(6)
  )");
  {
    Result<Gate> gate = Gate::Make();
    gate.value().KeepWaitingEnd();
    EXPECT_EQ(gate.value().Wait().value(), 'r');
  }
  Result<Gate> gate = Gate::Make();
  gate.value().KeepOpeningEnd();
  EXPECT_SUCCESS(gate.value().Open('r'));
}

TEST(Gate, SaysThatThereIsNoPipe) {
  const ScriptedKernel kernel("pipe2(O_CLOEXEC) = EPERM");
  EXPECT_ERROR(Gate::Make(),
               "failed to create a pipe for the init process: Operation not permitted");
}

// What ended it is its own to say.
TEST(Gate, TellsTheEndOfTheOtherProcessFromAnError) {
  const ScriptedKernel kernel(R"(
    pipe2(O_CLOEXEC) = [5, 6]
    read(5, 1) = ""
    read(5, 1) = EPERM
    write(6, "r") = EPIPE
    write(6, "r") = EPERM
    close(6)
    close(5)
  )");
  const Result<Gate> made = Gate::Make();
  const Gate& gate = made.value();
  EXPECT_EQ(gate.Wait().value(), '\0');
  EXPECT_ERROR(gate.Wait(), "failed to wait at the gate: Operation not permitted");
  EXPECT_SUCCESS(gate.Open('r'));
  EXPECT_ERROR(gate.Open('r'), "failed to open the gate: Operation not permitted");
}

}  // namespace
}  // namespace nsenter
