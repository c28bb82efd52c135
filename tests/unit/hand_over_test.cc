// SPDX-License-Identifier: Apache-2.0

#include "hand_over.h"

#include "child.h"
#include "expect.h"
#include "init_process.h"
#include "machine.h"
#include "sys.h"
#include "thread_state.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#endif

namespace nsenter {
namespace {

/// How the init process comes by the memory of the launched one. A copy is made for who takes a
/// console; sharing is done where the machine and the build let it be.
enum class Memory { kShared, kCopied };

/// Only lets `report` succeed or fail.
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
bool CanShareMemory() {
  return ReasonToCopy({}).empty() && ThreadState::Find().FindWhatSharingLoses().empty();
}

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

TEST_P(HandOverTest, KeepsVariablesOfItsCallers) {
  const auto body = [] {
    const std::string text = "on the heap, referred to from the stack";
    const volatile int number = 7;
    const auto report = [](pid_t) -> Status {
      char deep[16384];
      std::memset(deep, 0x5a, sizeof(deep));  // where stack frames would be on the other
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

// What the process had before, the init process has.

TEST_P(HandOverTest, LeavesTheAlternateStack) {
  static char memory[1UL << 16U];
  const auto body = [] {
    const stack_t before = {.ss_sp = memory, .ss_flags = 0, .ss_size = sizeof(memory)};
    ASSERT_EQ(sigaltstack(&before, nullptr), 0);
    EXPECT_SUCCESS(BecomeInit(GetParam(), [](pid_t) -> Status { return {}; }));
    stack_t after = {};
    EXPECT_EQ(sigaltstack(nullptr, &after), 0);
    EXPECT_EQ(after.ss_sp, memory);
    EXPECT_EQ(after.ss_size, sizeof(memory));
    EXPECT_EQ(after.ss_flags, 0);
    static volatile bool on_it = false;
    struct sigaction action = {};
    action.sa_flags = SA_ONSTACK;
    action.sa_handler = [](int) {
      const char here = 0;
      on_it = &here >= memory && &here < memory + sizeof(memory);
    };
    ASSERT_EQ(sigaction(SIGUSR1, &action, nullptr), 0);
    EXPECT_EQ(raise(SIGUSR1), 0);
    EXPECT_TRUE(on_it || machine::HasSanitizer()) << "which may have stack frames elsewhere";
    const stack_t none = {.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
    EXPECT_EQ(sigaltstack(&none, nullptr), 0);
  };
  test::ExpectSilentSuccess(test::RunInChild(body));
}

TEST_P(HandOverTest, HasNoAlternateStackIfThereWasNone) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    const stack_t none = {.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
    ASSERT_EQ(sigaltstack(&none, nullptr), 0);
    EXPECT_SUCCESS(BecomeInit(GetParam(), [](pid_t) -> Status { return {}; }));
    stack_t after = {};
    EXPECT_EQ(sigaltstack(nullptr, &after), 0);
    EXPECT_NE(after.ss_flags & SS_DISABLE, 0);
  }));
}

TEST_P(HandOverTest, LeavesTheSignalMask) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    sigset_t before;
    sigemptyset(&before);
    sigaddset(&before, SIGUSR2);
    sigaddset(&before, SIGRTMAX);
    ASSERT_EQ(sigprocmask(SIG_SETMASK, &before, nullptr), 0);
    const auto report = [](pid_t) -> Status {
      sigset_t reporting;
      EXPECT_EQ(sigprocmask(SIG_SETMASK, nullptr, &reporting), 0);
      EXPECT_EQ(sigismember(&reporting, SIGUSR1), 0) << "the launched process can be ended";
      return {};
    };
    EXPECT_SUCCESS(BecomeInit(GetParam(), report));
    sigset_t after;
    EXPECT_EQ(sigprocmask(SIG_SETMASK, nullptr, &after), 0);
    for (const int signal : {SIGHUP, SIGUSR1, SIGTERM, SIGRTMIN}) {
      EXPECT_EQ(sigismember(&after, signal), 0) << signal;
    }
    for (const int signal : {SIGUSR2, SIGRTMAX}) EXPECT_EQ(sigismember(&after, signal), 1);
  }));
}

TEST_P(HandOverTest, LeadsASession) {
  test::ExpectSilentSuccess(HandOverTo(GetParam(), [](pid_t) { EXPECT_EQ(getsid(0), getpid()); }));
}

#ifndef NSEXEC_EMULATED  // valgrind answers some of this itself

// From glibc 2.43 on the word says whether somebody has joined the thread, and is not the id.
TEST_P(HandOverTest, LeavesAWordThatTheKernelClears) {
  static int word = 0;
  const auto body = [] {
    int* told = nullptr;
    if (sys::ThreadIdAddress(&told) < 0) return;  // then memory is copied
    int* const libcs = told;
    word = 0x1234;
    sys::SetThreadIdAddress(&word);
    EXPECT_SUCCESS(BecomeInit(GetParam(), [](pid_t) -> Status { return {}; }));
    EXPECT_EQ(word, 0x1234);
    EXPECT_EQ(sys::ThreadIdAddress(&told), 0);
    EXPECT_EQ(told, &word);
    pthread_attr_t attributes;
    EXPECT_EQ(pthread_getattr_np(pthread_self(), &attributes), 0) << "libc's id is right";
    pthread_attr_destroy(&attributes);
    sys::SetThreadIdAddress(libcs);
  };
  test::ExpectSilentSuccess(test::RunInChild(body));
}

TEST_P(HandOverTest, LeavesRestartableSequences) {
  const machine::RestartableSequences sequences = machine::LibcsRestartableSequences();
  NEEDS(sequences.area != nullptr, "restartable sequences, from the kernel and from libc");
  test::ExpectSilentSuccess(HandOverTo(GetParam(), [=](pid_t) {
    // Busy: registered just so.
    EXPECT_EQ(
        sys::RegisterRestartableSequences(sequences.area, sequences.size, sequences.signature),
        -EBUSY);
  }));
}

#endif

// Signals that come while the init process waits.

volatile std::sig_atomic_t handled = 0;
volatile std::sig_atomic_t handled_in = 0;
void Handle(int /*signal*/) {
  handled = handled + 1;
  handled_in = getpid();
}

TEST_P(HandOverTest, HandlesASignalOnlyOnceItGoesOn) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    (void)std::signal(SIGTERM, Handle);
    (void)std::signal(SIGUSR1, Handle);
    const auto report = [](pid_t init) -> Status {
      EXPECT_EQ(kill(init, SIGTERM), 0);
      EXPECT_EQ(kill(init, SIGUSR1), 0);
      usleep(20'000);
      EXPECT_EQ(handled, 0);
      return {};
    };
    EXPECT_SUCCESS(BecomeInit(GetParam(), report));
    EXPECT_EQ(handled, 2);
    EXPECT_EQ(handled_in, getpid());
  }));
}

TEST_P(HandOverTest, DropsAHangUpOfTheLaunchedProcesssGroup) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    ASSERT_EQ(setpgid(0, 0), 0);
    const auto report = [](pid_t) -> Status {
      (void)std::signal(SIGHUP, SIG_IGN);  // here, but not in the init process
      EXPECT_EQ(kill(0, SIGHUP), 0);
      return {};
    };
    EXPECT_SUCCESS(BecomeInit(GetParam(), report));
    struct sigaction action = {};
    EXPECT_EQ(sigaction(SIGHUP, nullptr, &action), 0);
    EXPECT_EQ(action.sa_handler, SIG_DFL) << "and still it has not ended";
    sigset_t pending = {};  // glibc before 2.32 looks at more bytes than the kernel writes
    EXPECT_EQ(sigpending(&pending), 0);
    EXPECT_EQ(sigisemptyset(&pending), 1);
  }));
}

// One that does what it does itself afterwards is not dropped.
TEST_P(HandOverTest, IsEndedByAHangUpAfterwards) {
  const test::Outcome outcome = HandOverTo(GetParam(), [](pid_t) { (void)raise(SIGHUP); });
  test::ExpectExit(outcome, 0, "");
  ASSERT_EQ(outcome.siblings.size(), 1U);
  EXPECT_EQ(outcome.siblings[0], SIGHUP);
}

// The kernel sends one to the group in the foreground when the leader of a session ends.
TEST_P(HandOverTest, OutlivesTheLeaderOfATerminalsSession) {
  const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  ASSERT_GE(master, 0);
  ASSERT_EQ(unlockpt(master), 0);
  char path[64];
  ASSERT_EQ(ptsname_r(master, path, sizeof(path)), 0);
  for (int i = 0; i < 20; ++i) {
    test::ExpectSilentSuccess(test::RunInChild([&] {
      ASSERT_EQ(setsid(), getpid());
      const int terminal = open(path, O_RDWR | O_CLOEXEC);
      ASSERT_GE(terminal, 0);
      (void)ioctl(terminal, TIOCSCTTY, 0);
      ASSERT_EQ(tcgetpgrp(terminal), getpgrp()) << "is in the foreground";
      const pid_t leader = getpid();
      EXPECT_SUCCESS(BecomeInit(GetParam(), [](pid_t) -> Status { return {}; }));
      EXPECT_NE(getsid(0), leader);
      // The leader ends before it can be reaped.
      for (int tries = 0; tries < 1000; ++tries) {
        const std::string stat = test::ReadFile("/proc/" + std::to_string(leader) + "/stat");
        if (stat.find(") Z ") != std::string::npos || stat.find(") ") == std::string::npos) break;
        usleep(1000);
      }
      sigset_t pending = {};  // glibc before 2.32 looks at more bytes than the kernel writes
      EXPECT_EQ(sigpending(&pending), 0);
      EXPECT_EQ(sigisemptyset(&pending), 1);
    }));
  }
  close(master);
}

#ifndef NSEXEC_EMULATED  // there are no filters

// What is refused.

/// Hands over without a reason for a copy where `forbid` has forbidden something. Whether memory
/// was shared, or the error.
std::string HandOverWith(const std::function<void()>& forbid) {
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const test::Outcome outcome = test::RunInChild([&] {
    static volatile bool reported_here = false;
    forbid();
    const auto report = [](pid_t) -> Status {
      reported_here = true;
      return {};
    };
    const Status status = BecomeInit(Memory::kShared, report);
    const std::string text =
        status.ok() ? (reported_here ? "shared" : "copied") : test::Describe(status);
    EXPECT_EQ(write(ends[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
    EXPECT_EQ(gettid(), getpid());
    pthread_attr_t attributes;
    EXPECT_EQ(pthread_getattr_np(pthread_self(), &attributes), 0) << "asks the kernel by thread id";
    pthread_attr_destroy(&attributes);
  });
  test::ExpectSilentSuccess(outcome);
  close(ends[1]);
  char text[256];
  const ssize_t size = read(ends[0], text, sizeof(text));
  close(ends[0]);
  return {text, static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

std::string HandOverWithout(int call) {
  return HandOverWith([=] { test::Forbid({call}); });
}

TEST(HandOverRefused, IsACopyWhereSharingIs) {
  EXPECT_EQ(HandOverWith([] {}), CanShareMemory() ? "shared" : "copied");
  EXPECT_EQ(HandOverWith(test::ForbidSharingMemory), "copied");
  EXPECT_EQ(HandOverWith([] { setenv("NSEXEC_COPY_MEMORY", "1", 1); }), "copied");
}

TEST(HandOverRefused, IsACopyWhereSomethingCouldNotBeRestored) {
  EXPECT_EQ(HandOverWith(test::HideThreadIdAddress), "copied");
  for (const int call : {SYS_rseq, SYS_sigaltstack, SYS_uname}) {
    // AddressSanitizer makes that call itself.
    if (call == SYS_sigaltstack && machine::HasSanitizer()) continue;
    EXPECT_EQ(HandOverWithout(call), "copied") << call;
  }
}

TEST(HandOverRefused, DoesWithoutWhatIsNotNeeded) {
  const std::string normally = CanShareMemory() ? "shared" : "copied";
  for (const int call : {SYS_get_robust_list, SYS_set_robust_list, SYS_set_tid_address}) {
    EXPECT_EQ(HandOverWithout(call), normally) << call;
  }
}

TEST(HandOverRefused, IsAnErrorWhereThereIsNoOtherWay) {
  const std::string refused = ": Operation not permitted";
  EXPECT_EQ(HandOverWithout(SYS_pipe2),
            "failed to create a pipe from the launched process to the init process" + refused);
  EXPECT_EQ(HandOverWithout(SYS_rt_sigprocmask), "failed to block signals" + refused);
  EXPECT_EQ(HandOverWithout(SYS_clone), "failed to create the init process" + refused);
  EXPECT_EQ(HandOverWithout(SYS_setsid), "failed to start a session" + refused);
#ifdef SYS_rt_sigtimedwait
  EXPECT_EQ(HandOverWithout(SYS_rt_sigtimedwait), "failed to drop SIGHUP" + refused);
#endif
}

#ifdef RSEQ_SIG
// As an allocator may have them that was preloaded.
TEST(HandOverRefused, IsACopyWhereSequencesAreSomebodyElses) {
  NEEDS(__rseq_size != 0, "restartable sequences, from the kernel and from libc");
  EXPECT_EQ(HandOverWith([] {
              alignas(32) static constinit char area[32] = {};
              const machine::RestartableSequences libcs = machine::LibcsRestartableSequences();
              EXPECT_EQ(
                  sys::UnregisterRestartableSequences(libcs.area, libcs.size, libcs.signature), 0);
              EXPECT_EQ(sys::RegisterRestartableSequences(area, sizeof(area), 7), 0);
            }),
            "copied");
}
#endif

#endif

}  // namespace
}  // namespace nsenter
