// SPDX-License-Identifier: Apache-2.0

#include "nsexec.h"

#include "child.h"
#include "scripted_kernel.h"
#include "scripts.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <string>
#include <utility>
#include <vector>

namespace nsenter {
namespace {

using test::ScriptedKernel;
using Variables = std::vector<std::pair<const char*, const char*>>;

/// Calls nsexec with these variables and nothing else in the environment, in a process that must
/// end with `status`; -1: nsexec must return.
void ExpectNsexec(const Variables& variables, const std::string& script, int status) {
  const auto body = [&] {
    clearenv();
    for (const auto& [name, value] : variables) setenv(name, value, 1);
    const ScriptedKernel kernel(script);
    nsexec();
    if (status != -1) ADD_FAILURE() << "nsexec has returned";
  };
  test::ExpectExit(test::RunInChild(body), status == -1 ? 0 : status, "");
}

constexpr std::pair<const char*, const char*> kInitPipe = {"_LIBCONTAINER_INITPIPE", "3"};
constexpr std::pair<const char*, const char*> kLogPipe = {"_LIBCONTAINER_LOGPIPE", "4"};

constexpr const char* kIgnore = "sigaction(SIGPIPE, SIG_IGN)\n";
constexpr const char* kCaller = R"(
    gettid() = 42
    getppid() = 41
)";

TEST(Nsexec, MakesNoSystemCallIfNothingIsAsked) {
  ExpectNsexec({}, "", -1);
  ExpectNsexec({{"_LIBCONTAINER_INITPIPE", ""}, kLogPipe, {"_LIBCONTAINER_LOGLEVEL", "x"}}, "", -1);
}

TEST(Nsexec, DoesNothingTheSecondTime) {
  const auto body = [] {
    clearenv();
    setenv("_LIBCONTAINER_INITPIPE", "3", 1);
    const ScriptedKernel kernel(std::string(kIgnore) + R"(
      recv(3, 6, MSG_PEEK) = "{\"args"
      sigaction(SIGPIPE, SIG_DFL)
    )");
    nsexec();
    nsexec();
  };
  test::ExpectSilentSuccess(test::RunInChild(body));
}

// Nor the first time that something is asked.
TEST(Nsexec, DoesNothingTheSecondTimeEitherIfNothingWasAsked) {
  const auto body = [] {
    clearenv();
    const ScriptedKernel kernel("");
    nsexec();
    setenv("_LIBCONTAINER_INITPIPE", "3", 1);
    nsexec();
  };
  test::ExpectSilentSuccess(test::RunInChild(body));
}

// Whoever the parent is, and however many threads there are.
TEST(Nsexec, LeavesADocumentAndSigpipeAlone) {
  ExpectNsexec({kInitPipe}, std::string(kIgnore) + R"(
    recv(3, 6, MSG_PEEK) = "{\"args"
    sigaction(SIGPIPE, SIG_DFL)
  )",
               -1);
}

TEST(Nsexec, NeedsSigpipeIgnoredAndBack) {
  ExpectNsexec({kInitPipe},
               R"(
    sigaction(SIGPIPE, SIG_IGN) = EPERM
    says "FATAL: failed to ignore SIGPIPE: Operation not permitted"
    exit(1)
  )",
               1);
  ExpectNsexec({kInitPipe}, std::string(kIgnore) + R"(
    recv(3, 6, MSG_PEEK) = "{\"args"
    sigaction(SIGPIPE, SIG_DFL) = EPERM
    says "FATAL: failed to stop ignoring SIGPIPE: Operation not permitted"
    exit(1)
  )",
               1);
}

TEST(Nsexec, SaysOnTheLogPipeWhatItRefuses) {
  ExpectNsexec({kInitPipe, kLogPipe}, std::string(kIgnore) + R"(
    fcntl(4, F_GETFL) = O_WRONLY
    recv(3, 6, MSG_PEEK) = ""
    gettid() = 42
    getppid() = 0
    logs 4 fatal "[42]: the parent of this process is not in its pid namespace, it could not reap the init process"
    exit(1)
  )",
               1);
}

TEST(Nsexec, RefusesToBeLoadedOnlyIfThereIsSomethingToDo) {
  ExpectNsexec({kInitPipe}, std::string(kIgnore) + R"(
    the code is being loaded
    recv(3, 6, MSG_PEEK) = "\<4:16>\<2:62000>"
    gettid() = 42
    says "FATAL: refused: a running program loads this code as a library (dlopen), and libc would wait for ever for the thread that does so"
    exit(1)
  )",
               1);
  ExpectNsexec({kInitPipe}, std::string(kIgnore) + R"(
    the code is being loaded
    recv(3, 6, MSG_PEEK) = "{\"args"
    sigaction(SIGPIPE, SIG_DFL)
  )",
               -1);
}

TEST(Nsexec, SaysOnStandardErrorThatTheLogPipeIsNone) {
  ExpectNsexec({kInitPipe, kLogPipe}, std::string(kIgnore) + R"(
    fcntl(4, F_GETFL) = EPERM
    says "FATAL: invalid _LIBCONTAINER_LOGPIPE \"4\": Operation not permitted"
    exit(1)
  )",
               1);
}

TEST(Nsexec, SaysOnTheLogPipeThatTheInitPipeIsNone) {
  ExpectNsexec({{"_LIBCONTAINER_INITPIPE", "x"}, kLogPipe}, std::string(kIgnore) + R"(
    fcntl(4, F_GETFL) = O_WRONLY
    logs 4 fatal "[42]: invalid _LIBCONTAINER_INITPIPE \\\"x\\\": not a decimal number"
    exit(1)
  )",
               1);
}

TEST(Nsexec, SaysThatTheInitPipeCannotBeLookedAt) {
  ExpectNsexec({kInitPipe}, std::string(kIgnore) + R"(
    recv(3, 6, MSG_PEEK) = EPERM
    says "FATAL: failed to look at _LIBCONTAINER_INITPIPE 3: Operation not permitted"
    exit(1)
  )",
               1);
}

TEST(Nsexec, RefusesAnOlderReleaseBeforeItsLogLevel) {
  ExpectNsexec({kInitPipe, {"_LIBCONTAINER_LOGLEVEL", "debug"}, {"_LIBCONTAINER_STATEDIR", "5"}},
               std::string(kIgnore) + R"(
    says "FATAL: the parent is runc 1.1 or older (_LIBCONTAINER_STATEDIR is set, _LIBCONTAINER_SYNCPIPE is not), this nsexec serves 1.2.0 and newer"
    exit(1)
  )",
               1);
}

TEST(Nsexec, NamesALogLevelThatIsNoneBeforeItLooksAtTheInitPipe) {
  ExpectNsexec({kInitPipe, {"_LIBCONTAINER_LOGLEVEL", "-1"}}, std::string(kIgnore) + R"(
    says "FATAL: invalid _LIBCONTAINER_LOGLEVEL \"-1\": not a decimal number"
    exit(1)
  )",
               1);
}

TEST(Nsexec, DropsFatalLinesToo) {
  ExpectNsexec({kInitPipe, {"_LIBCONTAINER_LOGLEVEL", "0"}},
               std::string(kIgnore) + "recv(3, 6, MSG_PEEK) = \"\"" + kCaller + R"(
    read(3, 16) = ""
    exit(1)
  )",
               1);
}

TEST(Nsexec, DropsRefusalsToo) {
  ExpectNsexec({{"_LIBCONTAINER_INITPIPE", "x"}, {"_LIBCONTAINER_LOGLEVEL", "0"}},
               std::string(kIgnore) + "exit(1)", 1);
}

TEST(Nsexec, UsesNoLogPipeInTheClassicProtocol) {
  ExpectNsexec({{"_LIBCONTAINER_INITPID", "0"}, kInitPipe, kLogPipe}, std::string(kIgnore) + R"(
    says "nsenter: invalid _LIBCONTAINER_INITPID \"0\": not a process"
    exit(1)
  )",
               1);
}

// One line is promised, and readers rely on it.
TEST(Nsexec, KeepsItsErrorOnOneLine) {
  ExpectNsexec({{"_LIBCONTAINER_INITPID", "1\n2"}}, std::string(kIgnore) + R"(
    says "nsenter: invalid _LIBCONTAINER_INITPID \"1\\n2\": not a decimal number"
    exit(1)
  )",
               1);
}

constexpr const char* kServed = R"(
    recv(3, 6, MSG_PEEK) = "\<4:16>\<2:62000>"
    gettid() = 42
    getppid() = 41
    read(3, 16) = "\<4:16>\<2:62000>\<2:0>\<8:0>"
    unshare(CLONE_THREAD)
    setresuid(0)
    setresgid(0)
)";

TEST(Nsexec, ExitsInTheLaunchedProcess) {
  ExpectNsexec({kInitPipe}, kIgnore + std::string(kServed) + test::ClonesSharingInit("44") + R"(
    sigprocmask(before)
    write(3, "{\"stage1_pid\":2147483647,\"stage2_pid\":44}\n")
    exit(0)
  )",
               0);
}

// With a copy of the memory, where one process can play both parts.
std::string Copied() { return "memory is copied\n" + test::ClonesCopiedInit("0"); }

TEST(Nsexec, ReturnsInTheInitProcessWithSigpipeAsItWas) {
  ExpectNsexec({kInitPipe},
               kIgnore + std::string(kServed) + Copied() + test::kCopiedInitGoesOn + R"(
    prctl(PR_SET_NAME, "runc:[2:INIT]")
    sigaction(SIGPIPE, SIG_DFL)
  )",
               -1);
}

TEST(Nsexec, EndsTheInitProcessWithoutAWordIfTheLaunchedOneHasEnded) {
  ExpectNsexec({kInitPipe}, kIgnore + std::string(kServed) + Copied() + R"(
    close(6)
    read(5, 1) = ""
    close(5)
    exit(1)
  )",
               1);
}

// Which leaves none of its descriptors there.
TEST(Nsexec, ReturnsInTheInitProcessOfAWorkingCopy) {
  ExpectNsexec({kInitPipe},
               kIgnore + std::string(R"(
    memory is copied
    recv(3, 6, MSG_PEEK) = "\<4:16>\<2:62000>"
    gettid() = 42
    getppid() = 41
    read(3, 16) = "\<4:16>\<2:62000>\<2:0>\<8:0>"
  )") + test::GoesOnInWorkingCopy() +
                   R"(
    setresuid(0)
    setresgid(0)
    getpid() = 43
  )" + test::ClonesCopiedInit("0") +
                   test::kCopiedInitGoesOn + R"(
    prctl(PR_SET_NAME, "runc:[2:INIT]")
    sigaction(SIGPIPE, SIG_DFL)
    close(32)
    close(31)
    close(30)
  )",
               -1);
}

}  // namespace
}  // namespace nsenter
