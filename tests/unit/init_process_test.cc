// SPDX-License-Identifier: Apache-2.0

#include "init_process.h"

#include "child.h"
#include "expect.h"

#include <cstdlib>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

namespace nsenter {
namespace {

TEST(StartSession, MakesTheProcessItsLeader) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    EXPECT_SUCCESS(StartSession());
    EXPECT_EQ(getsid(0), getpid());
    EXPECT_ERROR(StartSession(), "failed to start a session: Operation not permitted");
  }));
}

TEST(TakeInitName, ChangesTheNameOfTheProcess) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    EXPECT_SUCCESS(TakeInitName());
    EXPECT_EQ(test::ReadFile("/proc/self/comm"), "runc:[2:INIT]\n");
  }));
}

/// Has a process take a new terminal that it has open as `number`.
void ExpectConsoleTaken(int number) {
  SCOPED_TRACE("as fd " + std::to_string(number));
  const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  ASSERT_GE(master, 0);
  ASSERT_EQ(unlockpt(master), 0);
  char path[64];
  ASSERT_EQ(ptsname_r(master, path, sizeof(path)), 0);
  const test::Outcome outcome = test::RunInChild([&] {
    const int saved_output = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 60);
    const int opened = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (opened != number) {
      dup3(opened, number, O_CLOEXEC);
      close(opened);
    }
    setsid();
    const Status taken = TakeConsole(number);
    struct stat terminal = {};
    int open_terminals = stat(path, &terminal) == 0 ? 0 : -1;
    for (int fd = 0; fd < 3; ++fd) {
      struct stat status = {};
      if (fstat(fd, &status) == 0 && status.st_rdev == terminal.st_rdev &&
          fcntl(fd, F_GETFD) == 0) {
        ++open_terminals;
      }
    }
    dup2(saved_output, STDOUT_FILENO);  // where failures are said
    EXPECT_SUCCESS(taken);
    EXPECT_EQ(open_terminals, 3);
    EXPECT_NE(open("/dev/tty", O_RDWR | O_CLOEXEC), -1) << "it is the controlling terminal";
  });
  close(master);
  test::ExpectSilentSuccess(outcome);
}

TEST(TakeConsole, PutsItOnStdio) {
  for (const int number : {3, 10, 50}) ExpectConsoleTaken(number);
}

TEST(TakeConsole, RefusesWhatIsNoTerminal) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    const int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    EXPECT_ERROR(
        TakeConsole(fd),
        "failed to make the console the controlling terminal: Inappropriate ioctl for device");
  }));
}

}  // namespace
}  // namespace nsenter
