// SPDX-License-Identifier: Apache-2.0

#include "hand_over.h"

#include "child.h"
#include "expect.h"
#include "init_process.h"
#include "sys.h"

#include <csignal>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <string>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace nsenter {
namespace {

/// How the init process comes by the memory of the launched one. A copy is made for who takes a
/// console; sharing is done where the machine and the build let it be.
enum class Memory { kShared, kCopied };

/// What does nothing but to let `report` succeed or fail.
Status BecomeInit(Memory memory, const Step<pid_t>& report) {
  Log log("FATAL: ");
  const auto prepare = [] { return StartSession(); };
  HandOver hand_over = {.init = {.takes_console = memory == Memory::kCopied},
                        .report = report,
                        .leave = {},
                        .prepare = {}};
  if (memory == Memory::kCopied) hand_over.prepare = prepare;
  return BecomeInitProcess(hand_over, log);
}

/// Whether memory is shared where that is not a copy by its nature.
bool CanShareMemory() { return ReasonToCopy({}).empty(); }

/// Hands over with a report that succeeds, and runs `check` in the init process.
test::Outcome HandOverTo(Memory memory, const std::function<void(pid_t reported)>& check) {
  return test::RunInChild([&] {
    int fds[2];
    ASSERT_EQ(pipe(fds), 0);
    const auto report = [&](pid_t init) -> Status {
      EXPECT_EQ(write(fds[1], &init, sizeof(init)), static_cast<ssize_t>(sizeof(init)));
      return {};
    };
    EXPECT_SUCCESS(BecomeInit(memory, report));
    pid_t told = 0;
    EXPECT_EQ(read(fds[0], &told, sizeof(told)), static_cast<ssize_t>(sizeof(told)));
    check(told);
  });
}

class HandOverTest : public testing::TestWithParam<Memory> {};

INSTANTIATE_TEST_SUITE_P(Memory, HandOverTest, testing::Values(Memory::kShared, Memory::kCopied),
                         [](const auto& memory) {
                           return memory.param == Memory::kShared ? "Shared" : "Copied";
                         });

TEST_P(HandOverTest, ReportsTheInitProcessWhichGoesOn) {
  const pid_t launched_parent = getpid();
  const test::Outcome outcome = HandOverTo(GetParam(), [&](pid_t reported) {
    EXPECT_EQ(reported, getpid());
    EXPECT_EQ(getppid(), launched_parent) << "has the parent that the launched process had";
  });
  test::ExpectSilentSuccess(outcome);
  EXPECT_EQ(outcome.siblings.size(), 1U);
}

TEST_P(HandOverTest, LeavesASoundProcess) {
  test::ExpectSilentSuccess(HandOverTo(GetParam(), [](pid_t) {
    EXPECT_EQ(gettid(), getpid());
    pthread_attr_t attributes;
    EXPECT_EQ(pthread_getattr_np(pthread_self(), &attributes), 0) << "asks the kernel by thread id";
    pthread_attr_destroy(&attributes);
    static volatile std::sig_atomic_t sender = 0;
    struct sigaction action = {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = [](int, siginfo_t* info, void*) { sender = info->si_pid; };
    ASSERT_EQ(sigaction(SIGUSR1, &action, nullptr), 0);
    EXPECT_EQ(raise(SIGUSR1), 0);
    EXPECT_EQ(sender, getpid());
    pthread_t thread;
    ASSERT_EQ(pthread_create(&thread, nullptr, [](void*) -> void* { return nullptr; }, nullptr), 0);
    EXPECT_EQ(pthread_join(thread, nullptr), 0) << "the kernel says so at the thread's address";
  }));
}

TEST_P(HandOverTest, LeavesTheRobustListAndTheTidAddress) {
  static void* head = nullptr;
  static std::size_t size = 0;
  static int* address = nullptr;
  ASSERT_EQ(sys::RobustList(&head, &size), 0);
  const bool tells_address = sys::ThreadIdAddress(&address) == 0;
  test::ExpectSilentSuccess(HandOverTo(GetParam(), [=](pid_t) {
    void* own_head = nullptr;
    std::size_t own_size = 0;
    EXPECT_EQ(sys::RobustList(&own_head, &own_size), 0);
    EXPECT_EQ(own_head, head);
    EXPECT_EQ(own_size, size);
    int* own_address = nullptr;
    if (tells_address) {
      EXPECT_EQ(sys::ThreadIdAddress(&own_address), 0);
      EXPECT_EQ(own_address, address);
    }
  }));
}

// libc answers from what the kernel writes into its memory (rseq), if that is registered.
TEST_P(HandOverTest, KnowsOnWhichCpuItRuns) {
  test::ExpectSilentSuccess(HandOverTo(GetParam(), [](pid_t) {
    cpu_set_t allowed;
    ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &allowed)) continue;
      cpu_set_t only;
      CPU_ZERO(&only);
      CPU_SET(cpu, &only);
      ASSERT_EQ(sched_setaffinity(0, sizeof(only), &only), 0);
      EXPECT_EQ(sched_getcpu(), cpu);
    }
  }));
}

TEST_P(HandOverTest, KeepsWhatTheFramesAboveHold) {
  const auto body = [] {
    const std::string text = "on the heap, referred to from the stack";
    const volatile int number = 7;
    const auto report = [](pid_t) -> Status {
      char deep[16384];
      std::memset(deep, 0x5a, sizeof(deep));  // where the other stack's frames would be
      asm volatile("" : : "r"(deep) : "memory");
      return {};
    };
    EXPECT_SUCCESS(BecomeInit(GetParam(), report));
    EXPECT_EQ(text, "on the heap, referred to from the stack");
    EXPECT_EQ(number, 7);
  };
  test::ExpectSilentSuccess(test::RunInChild(body));
}

TEST_P(HandOverTest, EndsBothWithOneLineIfTheReportFails) {
  const test::Outcome outcome = test::RunInChild([] {
    const auto report = [](pid_t) -> Status { return Error::WithCode(EPIPE, "failed to report"); };
    const Status status = BecomeInit(GetParam(), report);
    if (!status.ok() && status.error().reported()) _exit(1);
    ADD_FAILURE() << "has returned";
  });
  test::ExpectExit(outcome, 1, "FATAL: failed to report: Broken pipe\n");
  ASSERT_EQ(outcome.siblings.size(), 1U);
  EXPECT_EQ(WEXITSTATUS(outcome.siblings[0]), 1);
}

TEST_P(HandOverTest, EndsTheInitProcessIfTheLaunchedOneIsKilled) {
  const test::Outcome outcome = test::RunInChild([] {
    const auto report = [](pid_t) -> Status {
      raise(SIGKILL);
      return {};
    };
    const Status status = BecomeInit(GetParam(), report);
    if (!status.ok() && status.error().reported()) _exit(1);
    ADD_FAILURE() << "has returned";
  });
  EXPECT_TRUE(WIFSIGNALED(outcome.status));
  ASSERT_EQ(outcome.siblings.size(), 1U);
  EXPECT_EQ(WEXITSTATUS(outcome.siblings[0]), 1);
  EXPECT_EQ(outcome.output, "");
}

// Nothing of the init process's is to happen before the launched process is gone: both would stand
// on the same stack.
TEST(HandOverSharedMemory, GoesOnOnlyWhenTheLaunchedProcessIsGone) {
  if (!CanShareMemory()) return;  // a copy goes on as soon as it is reported
  test::ExpectSilentSuccess(test::RunInChild([] {
    const pid_t launched = getpid();
    const auto report = [](pid_t) -> Status {
      usleep(50'000);
      return {};
    };
    ASSERT_EQ(test::Describe(BecomeInit(Memory::kShared, report)), "success");
    // A zombie or gone, or about to be: it has no memory any more, whichever it is.
    const std::string maps = test::ReadFile("/proc/" + std::to_string(launched) + "/statm");
    EXPECT_TRUE(maps.empty() || maps == "(cannot be read)" || maps.starts_with("0 ")) << maps;
  }));
}

TEST_P(HandOverTest, TellsWhetherMemoryIsCopied) {
  static int* word = nullptr;
  word = static_cast<int*>(
      mmap(nullptr, sizeof(int), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  const auto body = [] {
    const auto report = [](pid_t) -> Status {
      *word = 1;
      return {};
    };
    EXPECT_SUCCESS(BecomeInit(GetParam(), report));
    const bool shares = GetParam() == Memory::kShared && CanShareMemory();
    EXPECT_EQ(*word, shares ? 1 : 0);
  };
  test::ExpectSilentSuccess(test::RunInChild(body));
  munmap(word, sizeof(int));
}

}  // namespace
}  // namespace nsenter
