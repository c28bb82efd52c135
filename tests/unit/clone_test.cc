// SPDX-License-Identifier: Apache-2.0

#include "clone.h"

#include "child.h"
#include "expect.h"
#include "sys.h"

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace nsenter {
namespace {

/// Runs `check` in a sibling.
void ExpectInSibling(void (*check)()) {
  const test::Outcome outcome = test::RunInChild([=] {
    const Result<pid_t> pid = CloneCopy(Kinship::kSibling, "a sibling");
    ASSERT_EQ(test::Describe(pid), "success");
    if (pid.value() == 0) check();
  });
  test::ExpectSilentSuccess(outcome);
  EXPECT_EQ(outcome.siblings.size(), 1U) << "is a child of its own parent only";
}

void ExpectLibcsThreadIdToBeRight() {
  pthread_attr_t attributes;
  EXPECT_EQ(pthread_getattr_np(pthread_self(), &attributes), 0) << "asks the kernel by thread id";
  pthread_attr_destroy(&attributes);
  clockid_t clock = 0;
  EXPECT_EQ(pthread_getcpuclockid(pthread_self(), &clock), 0);
  timespec time = {};
  EXPECT_EQ(clock_gettime(clock, &time), 0) << "the clock of a thread with that id";
}

TEST(CloneCopy, LeavesLibcsThreadIdRight) { ExpectInSibling(ExpectLibcsThreadIdToBeRight); }

#ifndef NSEXEC_EMULATED  // there are no filters
TEST(CloneCopy, LeavesLibcsThreadIdRightIfTheKernelDoesNotTellItsAddress) {
  const test::Outcome outcome = test::RunInChild([] {
    test::HideThreadIdAddress();
    int* address = nullptr;
    ASSERT_EQ(sys::ThreadIdAddress(&address), -EINVAL);
    const Result<pid_t> pid = CloneCopy(Kinship::kSibling, "a sibling");
    ASSERT_EQ(test::Describe(pid), "success");
    if (pid.value() == 0) ExpectLibcsThreadIdToBeRight();
  });
  test::ExpectSilentSuccess(outcome);
}
#endif

TEST(CloneCopy, CanRaiseASignalInItself) {
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

TEST(CloneCopy, HasTheSameRobustListAndTidAddress) {
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

TEST(CloneCopy, TellsThePidAndCopiesMemory) {
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  const test::Outcome outcome = test::RunInChild([&] {
    volatile int number = 1;
    const pid_t parent = getppid();
    const Result<pid_t> pid = CloneCopy(Kinship::kSibling, "a sibling");
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

TEST(CloneCopy, IsOursIfSoAsked) {
  const test::Outcome outcome = test::RunInChild([] {
    const pid_t parent = getpid();
    const Result<pid_t> pid = CloneCopy(Kinship::kChild, "a child");
    ASSERT_EQ(test::Describe(pid), "success");
    if (pid.value() == 0) {
      EXPECT_EQ(getppid(), parent);
      ExpectLibcsThreadIdToBeRight();
      return;
    }
    int status = -1;
    EXPECT_EQ(waitpid(pid.value(), &status, 0), pid.value()) << "SIGCHLD is how it ends";
    EXPECT_EQ(status, 0);
  });
  test::ExpectSilentSuccess(outcome);
  EXPECT_TRUE(outcome.siblings.empty());
}

// Valgrind knows no such processes.
#ifndef NSEXEC_EMULATED

TEST(CloneSharingMemory, SharesItAndEnds) {
  if (machine::HasSanitizer()) return;  // then it is not done
  for (const Kinship kinship : {Kinship::kSibling, Kinship::kChild}) {
    test::ExpectSilentSuccess(test::RunInChild([=] {
      int ends[2];
      ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
      static volatile pid_t seen = 0;
      static volatile pid_t parent = 0;
      const auto look = [](void* argument) -> int {
        seen = getpid();
        parent = getppid();
        *static_cast<int*>(argument) = 7;
        sys::Exit(0);
      };
      int number = 0;
      const pid_t pid = CloneSharingMemory(kinship, look, &number, nullptr);
      ASSERT_GT(pid, 0);
      close(ends[1]);
      char byte = 0;
      EXPECT_EQ(read(ends[0], &byte, 1), 0) << "waits for its end";
      EXPECT_EQ(number, 7);
      EXPECT_EQ(seen, pid);
      EXPECT_EQ(parent, kinship == Kinship::kChild ? getpid() : getppid());
      if (kinship == Kinship::kChild) {
        EXPECT_EQ(waitpid(pid, nullptr, 0), pid);
      }
    }));
  }
}

TEST(CloneSharingMemory, SaysThatItIsRefused) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    test::ForbidSharingMemory();
    const auto exit = [](void*) -> int { sys::Exit(0); };
    EXPECT_EQ(CloneSharingMemory(Kinship::kSibling, exit, nullptr, nullptr), -EPERM);
    const Result<pid_t> copy = CloneCopy(Kinship::kSibling, "a sibling");
    EXPECT_EQ(test::Describe(copy), "success") << "a copy is not";
  }));
}

#endif

TEST(CloneCopy, CanCloneAgain) {
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
