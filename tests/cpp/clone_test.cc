// SPDX-License-Identifier: Apache-2.0

#include "clone.h"

#include "child.h"
#include "expect.h"
#include "sys.h"

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <gtest/gtest.h>
#include <iterator>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
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

/// Makes the kernel one without CONFIG_CHECKPOINT_RESTORE, as far as this process can tell. False
/// if it has no filters.
bool HideThreadIdAddress() {
  constexpr unsigned kNumber = offsetof(seccomp_data, nr);
  // The half of a 64-bit argument that holds the number.
  constexpr unsigned kLowHalf = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0;
  constexpr unsigned kArgument = offsetof(seccomp_data, args) + kLowHalf;
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kNumber),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kArgument),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_GET_TID_ADDRESS, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {std::size(filter), filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

TEST(CloneCopy, LeavesLibcsThreadIdRightIfTheKernelDoesNotTellItsAddress) {
  const test::Outcome can_hide = test::RunInChild([] { _exit(HideThreadIdAddress() ? 0 : 1); });
  NEEDS(can_hide.status == 0, "a kernel with seccomp filters");
  const test::Outcome outcome = test::RunInChild([] {
    ASSERT_TRUE(HideThreadIdAddress());
    int* address = nullptr;
    ASSERT_EQ(sys::ThreadIdAddress(&address), -EINVAL);
    const Result<pid_t> pid = CloneCopy(Kinship::kSibling, "a sibling");
    ASSERT_EQ(test::Describe(pid), "success");
    if (pid.value() == 0) ExpectLibcsThreadIdToBeRight();
  });
  test::ExpectSilentSuccess(outcome);
}

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
