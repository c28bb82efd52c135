// SPDX-License-Identifier: Apache-2.0

#include "sys.h"

#include "child.h"
#include "machine.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#endif

namespace nsenter {
namespace {

/// Written to when a call has been interrupted often enough.
volatile std::sig_atomic_t interruptions = 0;
int pipe_of_handler = -1;

void OnAlarm(int /*signal*/) {
  const int error = errno;
  interruptions = interruptions + 1;
  if (interruptions == 3) (void)!write(pipe_of_handler, "x", 1);
  errno = error;
}

/// From now on each blocking call is interrupted until a byte comes out of `ret_pipe`.
void InterruptUntilThereIsAByte(int ret_pipe[2]) {
  ASSERT_EQ(pipe2(ret_pipe, O_CLOEXEC), 0);
  pipe_of_handler = ret_pipe[1];
  struct sigaction action = {};  // without SA_RESTART
  action.sa_handler = OnAlarm;
  ASSERT_EQ(sigaction(SIGALRM, &action, nullptr), 0);
  const itimerval often = {{0, 10000}, {0, 10000}};
  ASSERT_EQ(setitimer(ITIMER_REAL, &often, nullptr), 0);
}

TEST(Sys, ReadGoesOnAfterASignal) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    int pipe[2];
    InterruptUntilThereIsAByte(pipe);
    char byte = 0;
    EXPECT_EQ(sys::Read(pipe[0], &byte, 1), 1);
    EXPECT_EQ(byte, 'x');
    EXPECT_GE(interruptions, 3);
  }));
}

TEST(Sys, PollGoesOnAfterASignal) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    int pipe[2];
    InterruptUntilThereIsAByte(pipe);
    EXPECT_EQ(sys::Poll(pipe[0], POLLIN, -1), POLLIN);
    EXPECT_GE(interruptions, 3);
  }));
}

TEST(Sys, WaitGoesOnAfterASignal) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    int pipe[2];
    InterruptUntilThereIsAByte(pipe);
    const pid_t child = fork();  // timers are not inherited
    if (child == 0) {
      char byte = 0;
      _exit(read(pipe[0], &byte, 1) == 1 ? 7 : 8);
    }
    int status = 0;
    EXPECT_EQ(sys::Wait(child, &status), child);
    EXPECT_EQ(WEXITSTATUS(status), 7);
    EXPECT_GE(interruptions, 3);
  }));
}

TEST(Sys, ErrorsAreNegative) {
  char byte = 0;
  EXPECT_EQ(sys::Open(AT_FDCWD, "/nothing/here", O_RDONLY), -ENOENT);
  EXPECT_EQ(sys::Read(-1, &byte, 1), -EBADF);
  EXPECT_EQ(sys::Setns(-1, 0), -EBADF);
  int status = 0;
  EXPECT_EQ(sys::Wait(getpid(), &status), -ECHILD);
}

TEST(Sys, PeekTellsWhatIsNoSocket) {
  char byte = 0;
  const int fd = sys::Open(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
  EXPECT_EQ(sys::Peek(fd, &byte, 1), -ENOTSOCK);
  sys::Close(fd);
  EXPECT_EQ(sys::Peek(fd, &byte, 1), -EBADF);
}

TEST(Sys, CloseAllFromLeavesTheOthers) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    EXPECT_EQ(dup2(0, 50), 50);
    EXPECT_EQ(sys::CloseAllFrom(3), 0);
    EXPECT_EQ(fcntl(50, F_GETFD), -1);
    EXPECT_NE(fcntl(2, F_GETFD), -1);
  }));
}

// Emulators, and valgrind, answer themselves what is asked of limits and filters.
#ifndef NSEXEC_EMULATED

using test::Forbid;

/// What libc may ask for limits with besides prlimit64; glibc does on i386.
#if defined(SYS_ugetrlimit)
constexpr int kOlderGetLimit = SYS_ugetrlimit;
#elif defined(SYS_getrlimit)
constexpr int kOlderGetLimit = SYS_getrlimit;
#else
constexpr int kOlderGetLimit = SYS_prlimit64;
#endif

TEST(Sys, CloseAllFromClosesOneByOneWhereItMust) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    const rlimit few = {64, 64};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    for (const int fd : {3, 4, 50, 63}) dup2(0, fd);
    Forbid({SYS_close_range});
    EXPECT_EQ(sys::CloseAllFrom(4), 0);
    EXPECT_NE(fcntl(3, F_GETFD), -1);
    for (int fd = 4; fd < 64; ++fd) EXPECT_EQ(fcntl(fd, F_GETFD), -1) << fd;
  }));
}

// Descriptors may be above the limit, if it was lowered later: one by one they would stay.
TEST(Sys, CloseAllFromAsksTheKernelFirst) {
  NEEDS(syscall(SYS_close_range, ~0U, ~0U, 0U) == 0, "close_range (Linux 5.9)");
  test::ExpectSilentSuccess(test::RunInChild([] {
    EXPECT_EQ(dup2(0, 50), 50);
    const rlimit few = {20, 20};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    Forbid({SYS_prlimit64, kOlderGetLimit});  // the limit is not asked for
    EXPECT_EQ(sys::CloseAllFrom(3), 0);
    EXPECT_EQ(fcntl(50, F_GETFD), -1);
  }));
}

TEST(Sys, CloseAllFromSaysThatItCannot) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    Forbid({SYS_close_range, SYS_prlimit64, kOlderGetLimit});
    EXPECT_EQ(sys::CloseAllFrom(3), -EPERM);
  }));
}

#endif

/// Whatever opens descriptors, opened in a process without those of stdio that are in `closed`.
void ExpectAboveStdio(int closed) {
  SCOPED_TRACE(closed);
  test::ExpectExit(test::RunInChild([=] {
                     for (int fd = 0; fd < 3; ++fd) {
                       if ((closed >> fd & 1) != 0) close(fd);
                     }
                     int fds[4];
                     fds[0] = sys::Open(AT_FDCWD, "/dev/null", O_RDONLY);
                     fds[1] = sys::OpenPidfd(getpid());
                     // Old kernels do not have it, and neither has valgrind.
                     if (fds[1] == -ENOSYS) fds[1] = sys::Open(AT_FDCWD, "/dev/null", O_RDONLY);
                     bool right = sys::Pipe(fds + 2) == 0;
                     for (const int fd : fds) {
                       right = right && fd > 2 && fcntl(fd, F_GETFD) == FD_CLOEXEC;
                     }
                     for (int fd = 0; fd < 3; ++fd) {
                       right = right && (fcntl(fd, F_GETFD) == -1) == ((closed >> fd & 1) != 0);
                     }
                     _exit(right ? 0 : 1);
                   }),
                   0, "");
}

TEST(Sys, EveryDescriptorIsAboveStdioAndCloseOnExec) {
  for (int closed = 0; closed < 8; ++closed) ExpectAboveStdio(closed);
}

TEST(Sys, DescriptorsThatAreAboveStdioStayWhereTheyAre) {
  test::ExpectExit(test::RunInChild([] {
                     sys::CloseAllFrom(3);
                     const bool right = sys::Open(AT_FDCWD, "/dev/null", O_RDONLY) == 3 &&
                                        sys::Open(AT_FDCWD, "/dev/zero", O_RDONLY) == 4;
                     _exit(right ? 0 : 1);
                   }),
                   0, "");
}

#ifndef NSEXEC_EMULATED  // as above

/// Makes a pipe with standard input and output free and `limit` descriptors allowed, of which one
/// at least would have to be moved to a number that is not.
void ExpectNothingLeftOfPipe(rlim_t limit, int error) {
  SCOPED_TRACE(limit);
  test::ExpectExit(test::RunInChild([=] {
                     sys::CloseAllFrom(3);
                     close(0);
                     close(1);
                     const rlimit few = {limit, limit};
                     bool right = setrlimit(RLIMIT_NOFILE, &few) == 0;
                     int fds[2];
                     right = right && sys::Pipe(fds) == -error;
                     for (int fd = 0; fd < 5; ++fd) {
                       right = right && (fcntl(fd, F_GETFD) != -1) == (fd == 2);
                     }
                     _exit(right ? 0 : 1);
                   }),
                   0, "");
}

TEST(Sys, NothingIsLeftOfAPipeThatCannotBeMoved) {
  ExpectNothingLeftOfPipe(3, EINVAL);  // there is no number above 2
  ExpectNothingLeftOfPipe(4, EMFILE);  // there is one, but no second
}

TEST(Sys, NothingIsLeftOfAPipeThatAFilterDoesNotLetBeMoved) {
  test::ExpectExit(test::RunInChild([] {
                     sys::CloseAllFrom(3);
                     close(0);
                     close(1);
                     Forbid({SYS_fcntl});
                     int fds[2];
                     bool right = sys::Pipe(fds) == -EPERM;
                     for (int fd = 0; fd < 5; ++fd) {
                       struct stat status = {};
                       right = right && (fstat(fd, &status) == 0) == (fd == 2);
                     }
                     _exit(right ? 0 : 1);
                   }),
                   0, "");
}

#endif

TEST(Sys, AffinityIsThatOfTheCallingProcess) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    cpu_set_t all;
    ASSERT_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
    int last = CPU_SETSIZE - 1;
    while (!CPU_ISSET(last, &all)) --last;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(last, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    cpu_set_t found;
    CPU_ZERO(&found);
    EXPECT_GT(sys::Affinity(reinterpret_cast<unsigned long*>(&found), sizeof(found)), 0);
    EXPECT_TRUE(CPU_EQUAL(&found, &one));
  }));
}

#ifndef NSEXEC_EMULATED  // as above; and valgrind minds what msync is asked here

TEST(Sys, MemoryIsFreshAndGivenBack) {
  constexpr std::size_t kSize = 1UL << 16U;
  void* address = nullptr;
  ASSERT_EQ(sys::Map(kSize, &address), 0);
  char* const bytes = static_cast<char*>(address);
  EXPECT_EQ(std::count(bytes, bytes + kSize, 0), static_cast<std::ptrdiff_t>(kSize));
  bytes[kSize - 1] = 'x';
  sys::Unmap(address, kSize);
  // Not all of it is mapped, says ENOMEM.
  EXPECT_EQ(msync(address, kSize, MS_ASYNC), -1);
  EXPECT_EQ(errno, ENOMEM);
}

/// Another area than libc's for restartable sequences, which the kernel takes if there is none.
alignas(32) constinit char other_area[32] = {};

TEST(Sys, RestartableSequencesAreRegisteredOnce) {
  test::ExpectSilentSuccess(test::RunInChild([] {
#ifdef RSEQ_SIG
    if (__rseq_size != 0) {
      void* const libcs = machine::LibcsRestartableSequences().area;
      const unsigned size = std::max(__rseq_size, 32U);
      EXPECT_EQ(sys::RegisterRestartableSequences(libcs, size, RSEQ_SIG), -EBUSY);
      EXPECT_EQ(sys::UnregisterRestartableSequences(libcs, size, RSEQ_SIG + 1), -EPERM);
      EXPECT_EQ(sys::UnregisterRestartableSequences(libcs, size, RSEQ_SIG), 0);
    }
#endif
    const int registered = sys::RegisterRestartableSequences(other_area, sizeof(other_area), 7);
    if (registered == -ENOSYS) return;
    EXPECT_EQ(registered, 0);
    EXPECT_EQ(sys::RegisterRestartableSequences(other_area, sizeof(other_area), 7), -EBUSY);
    EXPECT_EQ(sys::RegisterRestartableSequences(other_area + 8, sizeof(other_area), 7), -EINVAL);
    EXPECT_EQ(sys::UnregisterRestartableSequences(other_area, sizeof(other_area), 7), 0);
    EXPECT_EQ(sys::UnregisterRestartableSequences(other_area, sizeof(other_area), 7), -EINVAL);
  }));
}

#endif

TEST(Sys, AlternateStackIsToldAndSet) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    static char memory[1UL << 16U];
    stack_t before = {};
    EXPECT_EQ(sys::SetAlternateStack(nullptr, &before), 0);
    const stack_t stack = {.ss_sp = memory, .ss_flags = 0, .ss_size = sizeof(memory)};
    EXPECT_EQ(sys::SetAlternateStack(&stack, nullptr), 0);
    stack_t told = {};
    EXPECT_EQ(sys::SetAlternateStack(nullptr, &told), 0);
    EXPECT_EQ(told.ss_sp, memory);
    EXPECT_EQ(told.ss_size, sizeof(memory));
    EXPECT_EQ(told.ss_flags & SS_DISABLE, 0);
    EXPECT_EQ(sys::SetAlternateStack(&before, &told), 0);
    EXPECT_EQ(told.ss_sp, memory);
  }));
}

TEST(Sys, SignalMaskIsTheKernels) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    sys::SignalSet before = {};
    EXPECT_EQ(sys::SetSignalMask(sys::kAllSignals, &before), 0);
    sigset_t mask;
    EXPECT_EQ(sigprocmask(SIG_SETMASK, nullptr, &mask), 0);
    for (const int signal : {SIGHUP, SIGTERM, SIGCHLD, SIGRTMIN}) {
      EXPECT_EQ(sigismember(&mask, signal), 1) << signal;
    }
    for (const unsigned long bits : before.bits) EXPECT_EQ(bits, 0U);
    EXPECT_EQ(sys::SetSignalMask(before, nullptr), 0);
    EXPECT_EQ(sigprocmask(SIG_SETMASK, nullptr, &mask), 0);
    EXPECT_EQ(sigisemptyset(&mask), 1);
  }));
}

TEST(Sys, ASignalIsTakenIfItIsPending) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    EXPECT_EQ(sys::SetSignalMask(sys::kAllSignals, nullptr), 0);
    for (const int signal : {SIGHUP, SIGTERM, SIGRTMIN}) {
      EXPECT_EQ(sys::TakeSignal(signal), -EAGAIN);
      EXPECT_EQ(kill(getpid(), signal), 0);
    }
    EXPECT_EQ(sys::TakeSignal(SIGUSR1), -EAGAIN) << "and no other one";
    for (const int signal : {SIGHUP, SIGTERM, SIGRTMIN}) {
      EXPECT_EQ(sys::TakeSignal(signal), signal);
      EXPECT_EQ(sys::TakeSignal(signal), -EAGAIN);
    }
  }));
}

TEST(Sys, TheNameIsTheKernels) {
  utsname name = {};
  utsname told = {};
  ASSERT_EQ(uname(&told), 0);
  EXPECT_EQ(sys::SystemName(&name), 0);
  EXPECT_STREQ(name.release, told.release);
}

TEST(Sys, ShadowStackStatusIsAnAnswerOrAnError) {
  const int status = sys::ShadowStackStatus();
  EXPECT_TRUE(status == -EINVAL || status >= 0) << status;
}

TEST(Sys, IdsAreThoseOfTheKernel) {
  EXPECT_EQ(sys::ProcessId(), getpid());
  EXPECT_EQ(sys::ThreadId(), gettid());
  EXPECT_EQ(sys::ParentProcessId(), getppid());
}

}  // namespace
}  // namespace nsenter
