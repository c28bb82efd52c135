// SPDX-License-Identifier: Apache-2.0

#include "nsexec.h"

#include "child.h"
#include "message.h"

#include <array>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <set>
#include <string>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace nsenter {
namespace {

constexpr int kInitPipe = 30;
constexpr int kLogPipe = 31;

struct Flow {
  test::Outcome outcome;
  std::string reply;
  std::string log;
};

std::string ReadAll(int fd) {
  std::string text;
  char byte = 0;
  while (read(fd, &byte, 1) == 1) text += byte;
  return text;
}

std::set<int> OpenFds() {
  std::set<int> fds;
  DIR* const folder = opendir("/proc/self/fd");
  while (const dirent* const entry = readdir(folder)) {
    const int fd = std::atoi(entry->d_name);
    if (entry->d_name[0] != '.' && fd != dirfd(folder)) fds.insert(fd);
  }
  closedir(folder);
  return fds;
}

/// Calls nsexec with `message` on INITPIPE; the init process goes on with `as_init`.
Flow RunNsexec(
    const std::string& message, const std::function<void()>& as_init,
    const std::function<void()>& before = [] {}) {
  int ends[2];
  int log[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  EXPECT_EQ(pipe2(log, O_CLOEXEC), 0);
  EXPECT_EQ(write(ends[0], message.data(), message.size()), static_cast<ssize_t>(message.size()));
  Flow flow;
  flow.outcome = test::RunInChild([&] {
    dup2(ends[1], kInitPipe);
    dup2(log[1], kLogPipe);
    for (const int fd : {ends[0], ends[1], log[0], log[1]}) close(fd);
    clearenv();
    setenv("_LIBCONTAINER_INITPIPE", std::to_string(kInitPipe).c_str(), 1);
    setenv("_LIBCONTAINER_LOGPIPE", std::to_string(kLogPipe).c_str(), 1);
    before();
    const std::set<int> open_before = OpenFds();
    nsexec();
    EXPECT_EQ(OpenFds(), open_before);
    as_init();
  });
  close(ends[1]);
  close(log[1]);
  flow.reply = ReadAll(ends[0]);
  flow.log = ReadAll(log[0]);
  close(ends[0]);
  close(log[0]);
  return flow;
}

const std::string kNothing = test::Message("");
[[maybe_unused]] const std::string kNewUserNamespace = test::Message(
    test::NumberAttribute(27281, CLONE_NEWUSER) + test::TextAttribute(27283, "0 100000 10\n") +
    test::TextAttribute(27284, "0 100000 10\n"));

TEST(Nsexec, ReturnsInASoundProcess) {
  NEEDS_ROOT();
  int result[2];
  ASSERT_EQ(pipe(result), 0);
  const Flow flow = RunNsexec(kNothing, [&] {
    // NOLINTBEGIN(misc-const-correctness): their addresses are given away
    pthread_attr_t attributes;
    EXPECT_EQ(pthread_getattr_np(pthread_self(), &attributes), 0);
    pthread_attr_destroy(&attributes);
    EXPECT_EQ(getsid(0), getpid());
    EXPECT_EQ(test::ReadFile("/proc/self/comm"), "runc:[2:INIT]\n");
    struct sigaction sigpipe = {};
    EXPECT_EQ(sigaction(SIGPIPE, nullptr, &sigpipe), 0);
    EXPECT_EQ(sigpipe.sa_handler, SIG_DFL);
    sigset_t mask;
    EXPECT_EQ(sigprocmask(SIG_SETMASK, nullptr, &mask), 0);
    EXPECT_EQ(sigisemptyset(&mask), 1);
    // NOLINTEND(misc-const-correctness)
    const pid_t pid = getpid();
    EXPECT_EQ(write(result[1], &pid, sizeof(pid)), static_cast<ssize_t>(sizeof(pid)));
  });
  test::ExpectSilentSuccess(flow.outcome);
  EXPECT_EQ(flow.outcome.siblings.size(), 1U) << "the init process, and no other";
  close(result[1]);
  pid_t init = 0;  // NOLINT(misc-const-correctness): read writes it
  EXPECT_EQ(read(result[0], &init, sizeof(init)), static_cast<ssize_t>(sizeof(init)));
  close(result[0]);
  EXPECT_EQ(flow.reply,
            "{\"stage1_pid\":2147483647,\"stage2_pid\":" + std::to_string(init) + "}\n");
  EXPECT_NE(flow.log.find("=> nsexec container setup\"}\n"), std::string::npos) << flow.log;
  const std::string created = "]: created init process " + std::to_string(init) + "\"}\n";
  EXPECT_NE(flow.log.find(created), std::string::npos) << flow.log;
  EXPECT_NE(flow.log.find("<= nsexec container setup\"}\n"), std::string::npos) << flow.log;
}

TEST(Nsexec, LeavesNothingAfterABrokenMessage) {
  const std::string message = "no message at all";
  // Not std::bit_cast, which libstdc++ 10 does not have.
  const auto type = __builtin_bit_cast(std::uint16_t, std::array{message[4], message[5]});
  const Flow flow = RunNsexec(message, [] { ADD_FAILURE() << "has returned"; });
  test::ExpectExit(flow.outcome, 1, "");
  EXPECT_TRUE(flow.outcome.siblings.empty());
  EXPECT_EQ(flow.reply, "");
  const std::string end =
      "]: the bootstrap message has type " + std::to_string(type) + ", not 62000\"}\n";
  EXPECT_TRUE(flow.log.ends_with(end)) << flow.log;
}

/// A launch whose parent has gone once it has sent its message. `before` is run in the process
/// first.
test::Outcome RunWithoutParent(void (*before)() = [] {}) {
  const test::Outcome outcome = test::RunInChild([=] {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    ASSERT_EQ(write(ends[0], kNothing.data(), kNothing.size()), 16);
    close(ends[0]);
    clearenv();
    setenv("_LIBCONTAINER_INITPIPE", std::to_string(ends[1]).c_str(), 1);
    before();
    nsexec();
    ADD_FAILURE() << "has returned";
  });
  test::ExpectExit(outcome, 1, "FATAL: failed to write the reply to INITPIPE: Broken pipe\n");
  return outcome;
}

TEST(Nsexec, EndsTheInitProcessIfTheParentHasGone) {
  NEEDS_ROOT();
  const test::Outcome outcome = RunWithoutParent();
  ASSERT_EQ(outcome.siblings.size(), 1U);
  EXPECT_EQ(WEXITSTATUS(outcome.siblings[0]), 1);
}

TEST(Nsexec, JoinsTheNamespacesOfAProcessInTheClassicProtocol) {
  NEEDS_ROOT();
  const std::string pid = std::to_string(getpid());
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const test::Outcome outcome = test::RunInChild([&] {
    const int pipe = dup(ends[1]);
    clearenv();
    setenv("_LIBCONTAINER_INITPID", pid.c_str(), 1);
    setenv("_LIBCONTAINER_INITPIPE", std::to_string(pipe).c_str(), 1);
    nsexec();
    EXPECT_EQ(getsid(0), getpid());
  });
  close(ends[1]);
  test::ExpectSilentSuccess(outcome);
  EXPECT_EQ(outcome.siblings.size(), 1U);
  const std::string reply = ReadAll(ends[0]);
  close(ends[0]);
  EXPECT_TRUE(reply.starts_with("{ \"pid\" : ")) << reply;
  EXPECT_TRUE(reply.ends_with(" }\n")) << reply;
}

// A process with threads goes on in a copy that has one.

#ifndef NSEXEC_EMULATED  // valgrind calls lost what a thread has that never ends

/// As a library may have it that was preloaded.
void StartThread() {
  std::thread([] {
    for (;;) pause();
  }).detach();
}

TEST(Nsexec, GoesOnInAWorkingCopyWhereThereAreThreads) {
  NEEDS_ROOT();
  for (const std::string& message : {kNothing, kNewUserNamespace}) {
    const Flow flow = RunNsexec(
        message,
        [] {
          pthread_attr_t attributes;
          EXPECT_EQ(pthread_getattr_np(pthread_self(), &attributes), 0);
          pthread_attr_destroy(&attributes);
          EXPECT_EQ(getsid(0), getpid());
          EXPECT_EQ(unshare(CLONE_THREAD), 0) << "has one thread";
        },
        StartThread);
    test::ExpectSilentSuccess(flow.outcome);
    EXPECT_EQ(flow.outcome.siblings.size(), 2U) << "the init process and the copy; no helper";
    // The copy is in stage1_pid.
    const std::string goes_on = "there are other threads: process ";
    const std::size_t at = flow.log.find(goes_on);
    ASSERT_NE(at, std::string::npos) << flow.log;
    const std::string copy = std::to_string(std::atoi(flow.log.c_str() + at + goes_on.size()));
    EXPECT_TRUE(flow.reply.starts_with("{\"stage1_pid\":" + copy + ",\"stage2_pid\":"))
        << flow.reply;
  }
}

TEST(Nsexec, SaysOnceWhatFailsInAWorkingCopy) {
  NEEDS_ROOT();
  const test::Outcome outcome = RunWithoutParent(StartThread);
  ASSERT_EQ(outcome.siblings.size(), 2U) << "the copy and the init process";
  for (const int status : outcome.siblings) EXPECT_EQ(WEXITSTATUS(status), 1);
}

#endif

}  // namespace
}  // namespace nsenter
