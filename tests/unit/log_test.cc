// SPDX-License-Identifier: Apache-2.0

#include "log.h"

#include "child.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>

namespace nsenter {
namespace {

struct Pipe {
  explicit Pipe(int flags = 0) { EXPECT_EQ(pipe2(fds, O_CLOEXEC | flags), 0); }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close(fds[0]);
    close(fds[1]);
  }
  /// Writes until nothing fits any more, and returns how much that was.
  [[nodiscard]] std::size_t Fill() const {
    // One page, so that Read takes it all, also where a page has 64 KiB.
    EXPECT_GT(fcntl(fds[1], F_SETPIPE_SZ, 1), 0);
    const int flags = fcntl(fds[1], F_GETFL);
    fcntl(fds[1], F_SETFL, flags | O_NONBLOCK);
    std::size_t size = 0;
    while (write(fds[1], "x", 1) == 1) ++size;
    fcntl(fds[1], F_SETFL, flags);
    return size;
  }
  [[nodiscard]] std::string Read() const {
    std::string text(1U << 17U, '\0');
    const ssize_t size = read(fds[0], text.data(), text.size());
    return text.substr(0, static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  }
  int fds[2];
};

TEST(Log, KeepsALineBelowPipeBuf) {
  for (const char filler : {'x', '"', '\n', '\x01', '\xff'}) {
    const Pipe pipe;
    Log log("FATAL: ");
    log.SendTo(pipe.fds[1]);
    log.Fatal(Error::WithCode(EPERM, std::string(5000, filler)));
    const std::string line = pipe.Read();
    EXPECT_LT(line.size(), 4096U);
    EXPECT_TRUE(line.ends_with("\"}\n")) << line;
    EXPECT_EQ(line.find('\n'), line.size() - 1);
  }
}

// However the escapes, of six bytes each, come to lie.
TEST(Log, FillsALineUpToThat) {
  std::size_t longest = 0;
  for (std::size_t shift = 0; shift < 6; ++shift) {
    const Pipe pipe;
    Log log("FATAL: ");
    log.SendTo(pipe.fds[1]);
    log.Fatal(Error::Of(std::string(shift, 'x') + std::string(900, '\x01')));
    longest = std::max(longest, pipe.Read().size());
  }
  EXPECT_EQ(longest, 4095U);
}

TEST(Log, FillsALineOfStandardErrorToo) {
  std::size_t longest = 0;
  for (std::size_t shift = 0; shift < 6; ++shift) {
    const test::Outcome outcome = test::RunInChild(
        [=] { Log("").Fatal(Error::Of(std::string(shift, 'x') + std::string(900, '\x01'))); });
    longest = std::max(longest, outcome.output.size());
    EXPECT_TRUE(outcome.output.ends_with("...\n")) << outcome.output;
  }
  EXPECT_EQ(longest, 4095U);
}

TEST(Log, SaysWhyEvenOfALongText) {
  const Pipe pipe;
  Log log("FATAL: ");
  log.SendTo(pipe.fds[1]);
  log.Fatal(Error::WithCode(EPERM, std::string(5000, 'x')));
  EXPECT_TRUE(pipe.Read().ends_with("x...: Operation not permitted\"}\n"));
}

TEST(Log, ChangesNothingIfThePipeIsFull) {
  for (const int flags : {0, O_NONBLOCK}) {
    test::ExpectSilentSuccess(test::RunInChild([=] {
      const Pipe pipe(flags);
      const std::size_t size = pipe.Fill();
      Log log("FATAL: ");
      log.SendTo(pipe.fds[1]);
      log.Debug("x");
      log.Fatal(Error::Of("x"));
      EXPECT_EQ(pipe.Read(), std::string(size, 'x'));
    }));
  }
}

TEST(Log, WaitsForAReaderThatIsSlow) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    const Pipe pipe;
    const std::size_t size = pipe.Fill();
    const pid_t writer = fork();
    if (writer == 0) {
      Log log("FATAL: ");
      log.SendTo(pipe.fds[1]);
      log.Fatal(Error::Of("late"));
      return;
    }
    EXPECT_EQ(pipe.Read(), std::string(size, 'x'));
    EXPECT_EQ(pipe.Read(),
              "{\"level\":\"fatal\", \"msg\": \"nsexec[" + std::to_string(writer) + "]: late\"}\n");
  }));
}

TEST(Log, ChangesNothingIfThePipeIsClosed) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    (void)std::signal(SIGPIPE, SIG_IGN);
    const Pipe pipe;
    close(pipe.fds[0]);
    Log log("FATAL: ");
    log.SendTo(pipe.fds[1]);
    log.Debug("x");
    log.Fatal(Error::Of("x"));
    close(pipe.fds[1]);
    log.Debug("x");
    log.Fatal(Error::Of("x"));
  }));
}

TEST(Log, SaysFatalErrorsOnStandardError) {
  test::ExpectSilentSuccess(
      test::RunInChild([] { Log("FATAL: ").Fatal(Error::WithCode(ENOENT, "failed to open x")); }),
      "FATAL: failed to open x: No such file or directory\n");
}

}  // namespace
}  // namespace nsenter
