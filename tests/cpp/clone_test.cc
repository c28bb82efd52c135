// SPDX-License-Identifier: Apache-2.0

#include "clone.h"

#include "child.h"
#include "expect.h"
#include "sys.h"

#include <csignal>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace nsenter {
namespace {

/// Runs `check` in a sibling.
void ExpectInSibling(void (*check)()) {
  const test::Outcome outcome = test::RunInChild([=] {
    const Result<pid_t> pid = CloneSibling("a sibling");
    ASSERT_EQ(test::Describe(pid), "success");
    if (pid.value() == 0) check();
  });
  test::ExpectSilentSuccess(outcome);
  EXPECT_EQ(outcome.siblings.size(), 1U) << "is a child of its own parent only";
}

TEST(CloneSibling, LeavesLibcsThreadIdRight) {
  ExpectInSibling([] {
    pthread_attr_t attributes;
    EXPECT_EQ(pthread_getattr_np(pthread_self(), &attributes), 0) << "asks the kernel by thread id";
    pthread_attr_destroy(&attributes);
    clockid_t clock = 0;
    EXPECT_EQ(pthread_getcpuclockid(pthread_self(), &clock), 0);
    timespec time = {};
    EXPECT_EQ(clock_gettime(clock, &time), 0) << "the clock of a thread with that id";
  });
}

TEST(CloneSibling, CanRaiseASignalInItself) {
  ExpectInSibling([] {
    static volatile std::sig_atomic_t sender = 0;
    struct sigaction action = {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = [](int, siginfo_t* info, void*) { sender = info->si_pid; };
    ASSERT_EQ(sigaction(SIGUSR1, &action, nullptr), 0);
    EXPECT_EQ(raise(SIGUSR1), 0);
    EXPECT_EQ(sender, getpid());
  });
}

TEST(CloneSibling, HasTheSameRobustListAndTidAddress) {
  static void* head = nullptr;
  static std::size_t size = 0;
  static int* address = nullptr;
  ASSERT_EQ(sys::RobustList(&head, &size), 0);
  const bool tells_address = sys::ThreadIdAddress(&address) == 0;
  ExpectInSibling([] {
    void* own_head = nullptr;
    std::size_t own_size = 0;
    EXPECT_EQ(sys::RobustList(&own_head, &own_size), 0);
    EXPECT_EQ(own_head, head);
    EXPECT_EQ(own_size, size);
  });
  NEEDS(tells_address,
        "a kernel with CONFIG_CHECKPOINT_RESTORE, which tells the address of the tid");
  ExpectInSibling([] {
    int* own_address = nullptr;
    EXPECT_EQ(sys::ThreadIdAddress(&own_address), 0);
    EXPECT_EQ(own_address, address);
  });
}

TEST(CloneSibling, TellsThePidAndCopiesMemory) {
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  const test::Outcome outcome = test::RunInChild([&] {
    volatile int number = 1;
    const pid_t parent = getppid();
    const Result<pid_t> pid = CloneSibling("a sibling");
    if (pid.value() == 0) {
      number = number + 1;
      const pid_t own = getpid();
      EXPECT_EQ(write(fds[1], &own, sizeof(own)), static_cast<ssize_t>(sizeof(own)));
      EXPECT_EQ(getppid(), parent);
      return;
    }
    pid_t told = 0;
    EXPECT_EQ(read(fds[0], &told, sizeof(told)), static_cast<ssize_t>(sizeof(told)));
    EXPECT_EQ(told, pid.value());
    EXPECT_EQ(number, 1);
  });
  close(fds[0]);
  close(fds[1]);
  test::ExpectSilentSuccess(outcome);
}

TEST(CloneSibling, CanCloneAgain) {
  ExpectInSibling([] {
    const pid_t child = fork();
    if (child == 0) {
      pthread_attr_t attributes;
      const bool sound = pthread_getattr_np(pthread_self(), &attributes) == 0;
      _exit(sound && syscall(SYS_gettid) == gettid() ? 0 : 1);
    }
    int status = -1;
    EXPECT_EQ(sys::Wait(child, &status), child);
    EXPECT_EQ(status, 0);
  });
}

}  // namespace
}  // namespace nsenter
