// SPDX-License-Identifier: Apache-2.0

#include "classic.h"

#include "child.h"
#include "expect.h"
#include "scripted_kernel.h"
#include "scripts.h"
#include "working_copy.h"

#include <gtest/gtest.h>
#include <string>

namespace nsenter {
namespace {

using test::ScriptedKernel;

std::string Serve(const std::string& script, const char* console = nullptr, const char* pid = "77",
                  const char* pipe = "3") {
  const ScriptedKernel kernel(script);
  Log log("nsenter: ");
  WorkingCopy copy;
  return test::Describe(ServeClassic({pid, pipe, console, nullptr, nullptr}, copy, log));
}

constexpr const char* kPipeIsOpen = R"(
    fcntl(3, F_GETFL) = O_WRONLY
    gettid() = 42
    getppid() = 41
    unshare(CLONE_THREAD)
)";

constexpr const char* kJoined = R"(
    pidfd_open(77) = 8
    setns(8, CLONE_NEWIPC|CLONE_NEWNS|CLONE_NEWNET|CLONE_NEWPID|CLONE_NEWUTS)
    close(8)
)";

constexpr const char* kNoPidfd = R"(
    pidfd_open(77) = ENOSYS
    readlink("/proc/self") = "42"
    getpid() = 42
)";

/// In the launched process once there is an init process, which must exit with `status`.
void ExpectToLeave(const std::string& script, const char* console, int status) {
  const auto body = [&] { ADD_FAILURE() << "returned " << Serve(script, console); };
  test::ExpectExit(test::RunInChild(body), status, "");
}

std::string Share() { return test::ClonesSharingInit("44") + "sigprocmask(before)\n"; }

TEST(ServeClassic, JoinsClonesAndReplies) {
  ExpectToLeave(kPipeIsOpen + std::string(kJoined) + Share() + R"(
    write(3, "{ \"pid\" : 44 }\n")
    exit(0)
  )",
                nullptr, 0);
}

TEST(ServeClassic, SaysThatTheReplyFails) {
  ExpectToLeave(kPipeIsOpen + std::string(kJoined) + Share() + R"(
    write(3, "{ \"pid\" : 44 }\n") = EPIPE
    says "nsenter: failed to write the reply to INITPIPE: Broken pipe"
    exit(1)
  )",
                nullptr, 1);
}

/// With a copy of the memory, where one process can play both parts.
std::string Copy(const std::string& pid) {
  return test::ClonesCopiedInit(pid) + (pid == "0" ? "" : "sigprocmask(before)\n");
}

TEST(ServeClassic, LeadsASessionInTheInitProcess) {
  EXPECT_EQ(Serve("memory is copied\n" + std::string(kPipeIsOpen) + kJoined + Copy("0") +
                  test::kCopiedInitGoesOn),
            "success");
}

// One namespace after the other.

constexpr const char* kFolder =
    R"(openat(AT_FDCWD, "/proc/77/ns", O_PATH|O_DIRECTORY|O_CLOEXEC) = 9)";

TEST(ServeClassic, JoinsInTheOrderOf2015) {
  EXPECT_EQ(Serve(kPipeIsOpen + std::string(kNoPidfd) + kFolder + R"(
    openat(9, "ipc", O_RDONLY|O_CLOEXEC) = 10
    openat(9, "uts", O_RDONLY|O_CLOEXEC) = 11
    openat(9, "net", O_RDONLY|O_CLOEXEC) = 12
    openat(9, "pid", O_RDONLY|O_CLOEXEC) = 13
    openat(9, "mnt", O_RDONLY|O_CLOEXEC) = 14
    setns(10, CLONE_NEWIPC)
    setns(11, CLONE_NEWUTS)
    setns(12, CLONE_NEWNET)
    setns(13, CLONE_NEWPID)
    setns(14, CLONE_NEWNS) = EPERM
    close(14)
    close(13)
    close(12)
    close(11)
    close(10)
    close(9)
  )"),
            "failed to join mnt namespace of process 77: Operation not permitted");
}

TEST(ServeClassic, SkipsWhatTheKernelDoesNotHave) {
  EXPECT_EQ(Serve(kPipeIsOpen + std::string(kNoPidfd) + kFolder + R"(
    openat(9, "ipc", O_RDONLY|O_CLOEXEC) = ENOENT
    fstatat(9, "ipc", AT_SYMLINK_NOFOLLOW) = ENOENT
    fstatat(9, "mnt", AT_SYMLINK_NOFOLLOW) = [4, 9]
    openat(9, "uts", O_RDONLY|O_CLOEXEC) = 11
    openat(9, "net", O_RDONLY|O_CLOEXEC) = 12
    openat(9, "pid", O_RDONLY|O_CLOEXEC) = 13
    openat(9, "mnt", O_RDONLY|O_CLOEXEC) = 14
    setns(11, CLONE_NEWUTS)
    setns(12, CLONE_NEWNET)
    setns(13, CLONE_NEWPID)
    setns(14, CLONE_NEWNS)
    close(14)
    close(13)
    close(12)
    close(11)
    close(9)
    pipe2(O_CLOEXEC) = EPERM
  )"),
            "failed to create a pipe from the launched process to the init process: Operation not "
            "permitted");
}

TEST(ServeClassic, FindsThatTheProcessHasEnded) {
  EXPECT_EQ(Serve(kPipeIsOpen + std::string(kNoPidfd) +
                  "openat(AT_FDCWD, \"/proc/77/ns\", O_PATH|O_DIRECTORY|O_CLOEXEC) = ENOENT"),
            "failed to open /proc/77/ns: No such file or directory");
  for (const std::string looks : {"fstatat(9, \"ipc\", AT_SYMLINK_NOFOLLOW) = [4, 9]\n",
                                  "fstatat(9, \"ipc\", AT_SYMLINK_NOFOLLOW) = ENOENT\n"
                                  "fstatat(9, \"mnt\", AT_SYMLINK_NOFOLLOW) = ENOENT\n"}) {
    EXPECT_EQ(Serve(kPipeIsOpen + std::string(kNoPidfd) + kFolder +
                    "\nopenat(9, \"ipc\", O_RDONLY|O_CLOEXEC) = ENOENT\n" + looks + "close(9)"),
              "failed to open ipc namespace of process 77: it has ended");
  }
}

TEST(ServeClassic, TrustsNoProcOfSomebodyElse) {
  EXPECT_EQ(Serve(kPipeIsOpen + std::string(R"(
    pidfd_open(77) = ENOSYS
    readlink("/proc/self") = "43"
    getpid() = 42
  )")),
            "failed to find process 77: /proc does not show our pid namespace");
}

// The console.

constexpr const char* kConsole = R"(
    openat(AT_FDCWD, "/dev/pts/9", O_RDWR|O_CLOEXEC|O_NOCTTY) = 7
    ioctl(7, TCGETS)
)";

const char* const kConsoleChannel = "pipe2(O_CLOEXEC) = [20, 21]\n";

TEST(ServeClassic, OpensTheConsoleBeforeItJoins) {
  EXPECT_EQ(Serve(kPipeIsOpen + std::string(R"(
    openat(AT_FDCWD, "/dev/pts/9", O_RDWR|O_CLOEXEC|O_NOCTTY) = ENOENT
  )"),
                  "/dev/pts/9"),
            "failed to open console \"/dev/pts/9\": No such file or directory");
  EXPECT_EQ(Serve(kPipeIsOpen + std::string(R"(
    openat(AT_FDCWD, "/dev/pts/9", O_RDWR|O_CLOEXEC|O_NOCTTY) = 7
    ioctl(7, TCGETS) = EPERM
    close(7)
  )"),
                  "/dev/pts/9"),
            "failed to use console \"/dev/pts/9\": Operation not permitted");
}

TEST(ServeClassic, NeedsAPipeToWaitForTheConsole) {
  EXPECT_EQ(Serve(kPipeIsOpen + std::string(kConsole) + kJoined + R"(
    pipe2(O_CLOEXEC) = EPERM
    close(7)
  )",
                  "/dev/pts/9"),
            "failed to create a pipe from the init process to the launched process: Operation not "
            "permitted");
}

TEST(ServeClassic, RepliesOnceTheInitProcessHasTheConsole) {
  ExpectToLeave(kPipeIsOpen + std::string(kConsole) + kJoined + kConsoleChannel + Copy("44") + R"(
    close(21)
    read(20, 1) = "c"
    write(3, "{ \"pid\" : 44 }\n")
    write(6, "r")
    exit(0)
  )",
                "/dev/pts/9", 0);
}

TEST(ServeClassic, DoesNotReplyIfTheInitProcessHasFailed) {
  const std::string start =
      kPipeIsOpen + std::string(kConsole) + kJoined + kConsoleChannel + Copy("44") + "close(21)\n";
  ExpectToLeave(start + "read(20, 1) = \"f\"\nexit(1)\n", "/dev/pts/9", 1);
  ExpectToLeave(start + R"(
    read(20, 1) = ""
    says "nsenter: the init process ended before it had the console"
    exit(1)
  )",
                "/dev/pts/9", 1);
  ExpectToLeave(start + R"(
    read(20, 1) = EPERM
    says "nsenter: failed to wait for the init process: Operation not permitted"
    exit(1)
  )",
                "/dev/pts/9", 1);
}

TEST(ServeClassic, GivesItsVerdictOnTheConsole) {
  const std::string start = kPipeIsOpen + std::string(kConsole) + kJoined + kConsoleChannel +
                            Copy("0") + "close(6)\nsetsid() = 44\n";
  EXPECT_EQ(Serve(start + R"(
    ioctl(7, TIOCSCTTY)
    dup3(7, 0)
    dup3(7, 1)
    dup3(7, 2)
    write(21, "c")
    read(5, 1) = "r"
    sigtimedwait(SIGHUP) = EAGAIN
    sigprocmask(before)
    close(5)
    close(21)
    close(20)
    close(7)
  )",
                  "/dev/pts/9"),
            "success");
  EXPECT_EQ(Serve(start + R"(
    ioctl(7, TIOCSCTTY) = EPERM
    says "nsenter: failed to make the console the controlling terminal: Operation not permitted"
    write(21, "f")
    close(5)
    close(21)
    close(20)
    close(7)
  )",
                  "/dev/pts/9"),
            "reported");
  EXPECT_EQ(Serve(start + R"(
    ioctl(7, TIOCSCTTY)
    dup3(7, 0)
    dup3(7, 1)
    dup3(7, 2)
    write(21, "c") = EPERM
    says "nsenter: failed to send a word to the launched process: Operation not permitted"
    write(21, "f")
    close(5)
    close(21)
    close(20)
    close(7)
  )",
                  "/dev/pts/9"),
            "reported");
}

// The caller.

TEST(ServeClassic, RefusesACallerBeforeItOpensAnything) {
  EXPECT_EQ(Serve(R"(
    fcntl(3, F_GETFL) = O_WRONLY
    gettid() = 42
    getppid() = 0
  )",
                  "/dev/pts/9"),
            "the parent of this process is not in its pid namespace, it could not reap the init "
            "process");
}

// The copy's side; working_copy_scripted_test has the other one.
TEST(ServeClassic, GoesOnInAWorkingCopyWhereThereAreThreads) {
  const std::string start = R"(
    fcntl(3, F_GETFL) = O_WRONLY
    gettid() = 42
    getppid() = 41
  )" + test::GoesOnInWorkingCopy() +
                            kJoined + Share();
  ExpectToLeave(start + R"(
    poll(32, 0, 0) = 0
    write(3, "{ \"pid\" : 44 }\n")
    write(31, "r")
    exit(0)
  )",
                nullptr, 0);
  ExpectToLeave(start + R"(
    poll(32, 0, 0) = 0
    write(3, "{ \"pid\" : 44 }\n") = EPIPE
    says "nsenter: failed to write the reply to INITPIPE: Broken pipe"
    write(31, "f")
    exit(1)
  )",
                nullptr, 1);
  // The launched process has been killed: there is no container.
  ExpectToLeave(start + R"(
    poll(32, 0, 0) = POLLHUP
    write(31, "f") = EPIPE
    exit(1)
  )",
                nullptr, 1);
}

// The environment.

TEST(ServeClassic, NamesTheVariableThatIsWrong) {
  EXPECT_EQ(Serve("", nullptr, ""), "invalid _LIBCONTAINER_INITPID \"\": not a decimal number");
  EXPECT_EQ(Serve("", nullptr, "0"), "invalid _LIBCONTAINER_INITPID \"0\": not a process");
  EXPECT_EQ(Serve("", nullptr, "-1"), "invalid _LIBCONTAINER_INITPID \"-1\": not a decimal number");
  EXPECT_EQ(Serve("", nullptr, "7", nullptr), "_LIBCONTAINER_INITPIPE is not set");
  EXPECT_EQ(Serve("", nullptr, "7", ""),
            "invalid _LIBCONTAINER_INITPIPE \"\": not a decimal number");
  EXPECT_EQ(Serve("fcntl(3, F_GETFL) = EPERM"),
            "invalid _LIBCONTAINER_INITPIPE \"3\": Operation not permitted");
  EXPECT_EQ(Serve("fcntl(3, F_GETFL) = O_RDONLY"),
            "invalid _LIBCONTAINER_INITPIPE \"3\": not open for writing");
}

}  // namespace
}  // namespace nsenter
