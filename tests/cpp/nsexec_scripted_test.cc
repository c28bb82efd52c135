// SPDX-License-Identifier: Apache-2.0

#include "nsexec.h"

#include "child.h"
#include "scripted_kernel.h"

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

constexpr const char* kOneThread = "unshare(CLONE_THREAD)\n";

TEST(Nsexec, MakesNoSystemCallIfNothingIsAsked) {
  ExpectNsexec({}, "", -1);
  ExpectNsexec({{"_LIBCONTAINER_INITPIPE", ""}, kLogPipe, {"_LIBCONTAINER_LOGLEVEL", "x"}}, "", -1);
}

TEST(Nsexec, DoesNothingTheSecondTime) {
  const auto body = [] {
    clearenv();
    const ScriptedKernel kernel("");
    nsexec();
    setenv("_LIBCONTAINER_INITPIPE", "3", 1);
    nsexec();
  };
  test::ExpectSilentSuccess(test::RunInChild(body));
}

// Whoever the parent is.
TEST(Nsexec, LeavesADocumentAndSigpipeAlone) {
  ExpectNsexec({kInitPipe}, std::string("sigaction(SIGPIPE, SIG_IGN)\n") + kOneThread + R"(
    recv(3, 6, MSG_PEEK) = "{\"args"
    sigaction(SIGPIPE, SIG_DFL)
  )",
               -1);
}

TEST(Nsexec, RefusesThreadsBeforeABadVariable) {
  ExpectNsexec({{"_LIBCONTAINER_INITPIPE", "x"}, {"_LIBCONTAINER_LOGPIPE", "x"}}, R"(
    sigaction(SIGPIPE, SIG_IGN)
    unshare(CLONE_THREAD) = EINVAL
    unshare(CLONE_THREAD) = EINVAL
    unshare(CLONE_THREAD) = EINVAL
    unshare(CLONE_THREAD) = EINVAL
    unshare(CLONE_THREAD) = EINVAL
    poll(2, POLLOUT, 300) = POLLOUT
    write(2, "FATAL: the process has more than one thread, it cannot change its namespaces\n")
    exit(1)
  )",
               1);
}

TEST(Nsexec, SaysOnTheLogPipeWhatItRefuses) {
  ExpectNsexec({kInitPipe, kLogPipe}, R"(
    sigaction(SIGPIPE, SIG_IGN)
    fcntl(4, F_GETFL) = O_WRONLY
    unshare(CLONE_THREAD)
    recv(3, 6, MSG_PEEK) = ""
    getppid() = 0
    getpid() = 42
    poll(4, POLLOUT, 300) = POLLOUT
    write(4, "{\"level\":\"fatal\", \"msg\": \"nsexec[42]: the parent of this process is not in its pid namespace, it could not reap the init process\"}\n")
    exit(1)
  )",
               1);
}

TEST(Nsexec, SaysOnStandardErrorThatTheLogPipeIsNone) {
  ExpectNsexec(
      {kInitPipe, kLogPipe},
      std::string("sigaction(SIGPIPE, SIG_IGN)\nfcntl(4, F_GETFL) = EPERM\n") + kOneThread + R"(
    fcntl(4, F_GETFL) = EPERM
    poll(2, POLLOUT, 300) = POLLOUT
    write(2, "FATAL: invalid _LIBCONTAINER_LOGPIPE \"4\": Operation not permitted\n")
    exit(1)
  )",
      1);
}

TEST(Nsexec, UsesALogPipeThatIsFoundAtTheSecondLook) {
  ExpectNsexec(
      {{"_LIBCONTAINER_INITPIPE", "x"}, kLogPipe},
      std::string("sigaction(SIGPIPE, SIG_IGN)\nfcntl(4, F_GETFL) = EIO\n") + kOneThread + R"(
    fcntl(4, F_GETFL) = O_WRONLY
    getpid() = 42
    poll(4, POLLOUT, 300) = POLLOUT
    write(4, "{\"level\":\"fatal\", \"msg\": \"nsexec[42]: invalid _LIBCONTAINER_INITPIPE \\\"x\\\": not a decimal number\"}\n")
    exit(1)
  )",
      1);
}

TEST(Nsexec, RefusesAnOlderReleaseBeforeItsLogLevel) {
  ExpectNsexec({kInitPipe, {"_LIBCONTAINER_LOGLEVEL", "debug"}, {"_LIBCONTAINER_STATEDIR", "5"}},
               std::string("sigaction(SIGPIPE, SIG_IGN)\n") + kOneThread + R"(
    poll(2, POLLOUT, 300) = POLLOUT
    write(2, "FATAL: the parent is runc 1.1 or older (_LIBCONTAINER_STATEDIR is set, _LIBCONTAINER_SYNCPIPE is not), this nsexec serves 1.2.0 and newer\n")
    exit(1)
  )",
               1);
}

TEST(Nsexec, NamesALogLevelThatIsNone) {
  ExpectNsexec({kInitPipe, {"_LIBCONTAINER_LOGLEVEL", "-1"}},
               std::string("sigaction(SIGPIPE, SIG_IGN)\n") + kOneThread + R"(
    recv(3, 6, MSG_PEEK) = ""
    getppid() = 41
    poll(2, POLLOUT, 300) = POLLOUT
    write(2, "FATAL: invalid _LIBCONTAINER_LOGLEVEL \"-1\": not a decimal number\n")
    exit(1)
  )",
               1);
}

TEST(Nsexec, DropsFatalLinesToo) {
  ExpectNsexec({kInitPipe, {"_LIBCONTAINER_LOGLEVEL", "0"}},
               std::string("sigaction(SIGPIPE, SIG_IGN)\n") + kOneThread + R"(
    recv(3, 6, MSG_PEEK) = ""
    getppid() = 41
    read(3, 16) = ""
    exit(1)
  )",
               1);
}

TEST(Nsexec, DropsRefusalsToo) {
  ExpectNsexec({{"_LIBCONTAINER_INITPIPE", "x"}, {"_LIBCONTAINER_LOGLEVEL", "0"}},
               std::string("sigaction(SIGPIPE, SIG_IGN)\n") + kOneThread + "exit(1)", 1);
}

TEST(Nsexec, UsesNoLogPipeInTheClassicProtocol) {
  ExpectNsexec({{"_LIBCONTAINER_INITPID", "0"}, kInitPipe, kLogPipe},
               std::string("sigaction(SIGPIPE, SIG_IGN)\n") + kOneThread + R"(
    getppid() = 41
    poll(2, POLLOUT, 300) = POLLOUT
    write(2, "nsenter: invalid _LIBCONTAINER_INITPID \"0\": not a process\n")
    exit(1)
  )",
               1);
}

// One line is promised, and who reads it takes it for one.
TEST(Nsexec, KeepsItsErrorOnOneLine) {
  ExpectNsexec({{"_LIBCONTAINER_INITPID", "1\n2"}},
               std::string("sigaction(SIGPIPE, SIG_IGN)\n") + kOneThread + R"(
    getppid() = 41
    poll(2, POLLOUT, 300) = POLLOUT
    write(2, "nsenter: invalid _LIBCONTAINER_INITPID \"1\\n2\": not a decimal number\n")
    exit(1)
  )",
               1);
}

constexpr const char* kServed = R"(
    recv(3, 6, MSG_PEEK) = "\<4:16>\<2:62000>"
    getppid() = 41
    read(3, 16) = "\<4:16>\<2:62000>\<2:0>\<8:0>"
    setresuid(0)
    setresgid(0)
    getppid() = 41
)";

TEST(Nsexec, ExitsInTheLaunchedProcess) {
  ExpectNsexec({kInitPipe},
               std::string("sigaction(SIGPIPE, SIG_IGN)\n") + kOneThread + kServed + R"(
    prctl(PR_GET_TID_ADDRESS) = EINVAL
    get_robust_list() = ENOSYS
    set_tid_address(a pointer)
    clone(CLONE_PARENT|CLONE_VM, NULL, function) = 44
    write(3, "{\"stage1_pid\":41,\"stage2_pid\":44}\n")
    exit(0)
  )",
               0);
}

// With a copy of the memory, where one process can play both parts.
constexpr const char* kCopied = R"(
    memory is copied
    pipe2(O_CLOEXEC) = [5, 6]
    prctl(PR_GET_TID_ADDRESS) = EINVAL
    get_robust_list() = ENOSYS
    clone(CLONE_PARENT, NULL) = 0
    close(6)
)";

TEST(Nsexec, ReturnsInTheInitProcessWithSigpipeAsItWas) {
  ExpectNsexec({kInitPipe},
               std::string("sigaction(SIGPIPE, SIG_IGN)\n") + kOneThread + kServed + kCopied + R"(
    read(5, 1) = "r"
    close(5)
    setsid() = 44
    prctl(PR_SET_NAME, "runc:[2:INIT]")
    sigaction(SIGPIPE, SIG_DFL)
  )",
               -1);
}

TEST(Nsexec, EndsTheInitProcessWithoutAWordIfTheLaunchedOneHasEnded) {
  ExpectNsexec({kInitPipe},
               std::string("sigaction(SIGPIPE, SIG_IGN)\n") + kOneThread + kServed + kCopied + R"(
    read(5, 1) = ""
    close(5)
    exit(1)
  )",
               1);
}

}  // namespace
}  // namespace nsenter
