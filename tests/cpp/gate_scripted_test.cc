// SPDX-License-Identifier: Apache-2.0

#include "gate.h"

#include "expect.h"
#include "scripted_kernel.h"

#include <gtest/gtest.h>

namespace nsenter {
namespace {

using test::ScriptedKernel;

TEST(Gate, IsAPipeOfWhichEachKeepsOneEnd) {
  ScriptedKernel kernel(R"(
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

TEST(Gate, LeavesStdioFree) {
  ScriptedKernel kernel(R"(
    pipe2(O_CLOEXEC) = [0, 2]
    fcntl(0, F_DUPFD_CLOEXEC, 3) = 5
    close(0)
    fcntl(2, F_DUPFD_CLOEXEC, 3) = 6
    close(2)
    close(6)
    close(5)
  )");
  EXPECT_SUCCESS(Gate::Make());
}

TEST(Gate, ClosesBothEndsIfStdioCannotBeLeftFree) {
  ScriptedKernel kernel(R"(
    pipe2(O_CLOEXEC) = [5, 0]
    fcntl(0, F_DUPFD_CLOEXEC, 3) = EMFILE
    close(0)
    close(5)
  )");
  EXPECT_ERROR(Gate::Make(),
               "failed to move a pipe away from standard input and output: Too many open files");
}

TEST(Gate, SaysThatThereIsNoPipe) {
  ScriptedKernel kernel("pipe2(O_CLOEXEC) = EMFILE");
  EXPECT_ERROR(Gate::Make(), "failed to create a pipe for the init process: Too many open files");
}

TEST(Gate, TellsTheEndOfTheOtherProcessFromAnError) {
  ScriptedKernel kernel(R"(
    pipe2(O_CLOEXEC) = [5, 6]
    read(5, 1) = ""
    read(5, 1) = EIO
    write(6, "r") = EPIPE
    write(6, "r") = EIO
    close(6)
    close(5)
  )");
  const Result<Gate> made = Gate::Make();
  const Gate& gate = made.value();
  EXPECT_EQ(gate.Wait().value(), '\0');
  EXPECT_ERROR(gate.Wait(), "failed to wait at the gate: Input/output error");
  EXPECT_ERROR(gate.Open('r'), "reported");
  EXPECT_ERROR(gate.Open('r'), "failed to open the gate: Input/output error");
}

}  // namespace
}  // namespace nsenter
