// SPDX-License-Identifier: Apache-2.0

#include "log.h"

#include "scripted_kernel.h"

#include <cerrno>
#include <gtest/gtest.h>

namespace nsenter {
namespace {

using test::ScriptedKernel;

Log LogTo(int fd) {
  Log log("FATAL: ");
  log.SendTo(fd);
  return log;
}

TEST(Log, WritesALineInOneWrite) {
  const ScriptedKernel kernel(R"(
    getpid() = 42
    poll(4, POLLOUT, 0) = POLLOUT
    write(4, "{\"level\":\"debug\", \"msg\": \"nsexec[42]: text 7\"}\n")
  )");
  LogTo(4).Debug("text ", 7);
}

TEST(Log, WritesToAnyDescriptor) {
  const ScriptedKernel kernel(R"(
    getpid() = 42
    poll(0, POLLOUT, 0) = POLLOUT
    write(0, "{\"level\":\"debug\", \"msg\": \"nsexec[42]: x\"}\n")
    getpid() = 42
    poll(0, POLLOUT, 300) = POLLOUT
    write(0, "{\"level\":\"fatal\", \"msg\": \"nsexec[42]: x\"}\n")
  )");
  LogTo(0).Debug("x");
  LogTo(0).Fatal(Error::Of("x"));
}

TEST(Log, NamesTheProcess) {
  const ScriptedKernel kernel(R"(
    getpid() = 42
    poll(4, POLLOUT, 0) = POLLOUT
    write(4, "{\"level\":\"debug\", \"msg\": \"nsexec-0[42]: x\"}\n")
    getpid() = 43
    poll(4, POLLOUT, 0) = POLLOUT
    write(4, "{\"level\":\"debug\", \"msg\": \"nsexec-1[43]: x\"}\n")
    getpid() = 44
    poll(4, POLLOUT, 0) = POLLOUT
    write(4, "{\"level\":\"debug\", \"msg\": \"nsexec-2[44]: x\"}\n")
  )");
  Log log = LogTo(4);
  for (const ProcessTag tag : {ProcessTag::kLaunched, ProcessTag::kHelper, ProcessTag::kInit}) {
    log.SetProcess(tag);
    log.Debug("x");
  }
}

TEST(Log, AddsStrerrorToAFatalLine) {
  const ScriptedKernel kernel(R"(
    getpid() = 42
    poll(4, POLLOUT, 300) = POLLOUT
    write(4, "{\"level\":\"fatal\", \"msg\": \"nsexec[42]: failed to x: Operation not permitted\"}\n")
    getpid() = 42
    poll(4, POLLOUT, 300) = POLLOUT
    write(4, "{\"level\":\"fatal\", \"msg\": \"nsexec[42]: invalid \\\"x\\\"\"}\n")
  )");
  LogTo(4).Fatal(Error::WithCode(EPERM, "failed to x"));
  LogTo(4).Fatal(Error::Of("invalid \"x\""));
}

TEST(Log, SaysFatalErrorsOnStandardErrorWithoutAPipe) {
  const ScriptedKernel kernel(R"(
    poll(2, POLLOUT, 300) = POLLOUT
    write(2, "FATAL: failed to x: Operation not permitted\n")
    poll(2, POLLOUT, 300) = POLLOUT
    write(2, "nsenter: x\n")
  )");
  Log("FATAL: ").Debug("not said");
  Log("FATAL: ").Fatal(Error::WithCode(EPERM, "failed to x"));
  Log("nsenter: ").Fatal(Error::Of("x"));
}

TEST(Log, WritesUnaskedWherePollTakesNoDescriptor) {
  const ScriptedKernel kernel(R"(
    poll(2, POLLOUT, 300) = EINVAL
    write(2, "FATAL: x\n")
    poll(2, POLLOUT, 300) = EIO
  )");
  Log("FATAL: ").Fatal(Error::Of("x"));
  Log("FATAL: ").Fatal(Error::Of("x"));
}

TEST(Log, SaysNothingTwice) {
  const ScriptedKernel kernel("");
  LogTo(4).Fatal(Error::AlreadyReported());
  Log("FATAL: ").Fatal(Error::AlreadyReported());
}

TEST(Log, DropsWhatIsAboveTheLevel) {
  const ScriptedKernel kernel(R"(
    getpid() = 42
    poll(4, POLLOUT, 300) = POLLOUT
    write(4, "{\"level\":\"fatal\", \"msg\": \"nsexec[42]: x\"}\n")
  )");
  Log log = LogTo(4);
  EXPECT_TRUE(log.SaysDebug());
  log.SetLevel(4);
  EXPECT_FALSE(log.SaysDebug());
  log.Debug("not said");
  log.SetLevel(1);
  log.Fatal(Error::Of("x"));
  log.SetLevel(0);
  log.Fatal(Error::Of("not said"));
}

TEST(Log, DoesNotWriteToAFullPipe) {
  const ScriptedKernel kernel(R"(
    getpid() = 42
    poll(4, POLLOUT, 0) = 0
    getpid() = 42
    poll(4, POLLOUT, 300) = 0
    getpid() = 42
    poll(4, POLLOUT, 300) = ENOMEM
  )");
  LogTo(4).Debug("x");
  LogTo(4).Fatal(Error::Of("x"));
  LogTo(4).Fatal(Error::Of("x"));
}

TEST(Log, GoesOnAfterAShortWriteAndNotAfterAnError) {
  const ScriptedKernel kernel(R"(
    poll(2, POLLOUT, 300) = POLLOUT
    write(2, "FATAL: x\n") = 6
    poll(2, POLLOUT, 300) = POLLOUT
    write(2, " x\n") = EPIPE
    poll(2, POLLOUT, 300) = POLLOUT
    write(2, "FATAL: x\n") = 1
    poll(2, POLLOUT, 300) = POLLOUT
    write(2, "ATAL: x\n")
    poll(2, POLLOUT, 300) = POLLOUT
    write(2, "FATAL: x\n") = 0
  )");
  for (int i = 0; i < 3; ++i) Log("FATAL: ").Fatal(Error::Of("x"));
}

}  // namespace
}  // namespace nsenter
