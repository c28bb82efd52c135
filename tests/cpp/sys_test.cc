// SPDX-License-Identifier: Apache-2.0

#include "sys.h"

#include "child.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <initializer_list>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>
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

/// From now on these system calls fail with EPERM, as under a filter of a container's.
void Forbid(std::initializer_list<int> calls) {
  std::vector<sock_filter> program;
  program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
  for (const int call : calls) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter = {static_cast<unsigned short>(program.size()), program.data()};
  ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L), 0);
  ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

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
    Forbid({SYS_prlimit64});  // the limit is not asked for
    EXPECT_EQ(sys::CloseAllFrom(3), 0);
    EXPECT_EQ(fcntl(50, F_GETFD), -1);
  }));
}

TEST(Sys, CloseAllFromSaysThatItCannot) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    Forbid({SYS_close_range, SYS_prlimit64});
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
                     int fds[6];
                     fds[0] = sys::Open(AT_FDCWD, "/dev/null", O_RDONLY);
                     fds[1] = sys::OpenPidfd(getpid());
                     // Old kernels do not have it, and neither has valgrind.
                     if (fds[1] == -ENOSYS) fds[1] = sys::Open(AT_FDCWD, "/dev/null", O_RDONLY);
                     bool right = sys::Pipe(fds + 2) == 0 && sys::SocketPair(fds + 4) == 0;
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

/// Makes a pair with standard input and output free and `limit` descriptors allowed, of which one
/// at least would have to be moved to a number that is not.
void ExpectNothingLeftOfPair(int (*make)(int ret_fds[2]), rlim_t limit, int error) {
  SCOPED_TRACE(limit);
  test::ExpectExit(test::RunInChild([=] {
                     sys::CloseAllFrom(3);
                     close(0);
                     close(1);
                     const rlimit few = {limit, limit};
                     bool right = setrlimit(RLIMIT_NOFILE, &few) == 0;
                     int fds[2];
                     right = right && make(fds) == -error;
                     for (int fd = 0; fd < 5; ++fd) {
                       right = right && (fcntl(fd, F_GETFD) != -1) == (fd == 2);
                     }
                     _exit(right ? 0 : 1);
                   }),
                   0, "");
}

TEST(Sys, NothingIsLeftOfAPairThatCannotBeMoved) {
  for (const auto make : {sys::Pipe, sys::SocketPair}) {
    ExpectNothingLeftOfPair(make, 3, EINVAL);  // there is no number above 2
    ExpectNothingLeftOfPair(make, 4, EMFILE);  // there is one, but no second
  }
}

TEST(Sys, NothingIsLeftOfAPairThatAFilterDoesNotLetBeMoved) {
  for (const auto make : {sys::Pipe, sys::SocketPair}) {
    test::ExpectExit(test::RunInChild([=] {
                       sys::CloseAllFrom(3);
                       close(0);
                       close(1);
                       Forbid({SYS_fcntl});
                       int fds[2];
                       bool right = make(fds) == -EPERM;
                       for (int fd = 0; fd < 5; ++fd) {
                         struct stat status = {};
                         right = right && (fstat(fd, &status) == 0) == (fd == 2);
                       }
                       _exit(right ? 0 : 1);
                     }),
                     0, "");
  }
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

/// What the kernel says, where the core asks the processor.
bool HasShadowStack() {
#if defined(__x86_64__)
  return test::ReadFile("/proc/self/status").find("shstk") != std::string::npos;
#else
  unsigned long status = 0;
  constexpr int kGetShadowStackStatus = 74;  // newer than the headers
  return prctl(kGetShadowStackStatus, &status, 0L, 0L, 0L) == 0 && (status & 1U) != 0;
#endif
}

#if defined(__SANITIZE_ADDRESS__) || defined(NSEXEC_COPY_MEMORY) || \
    (defined(__GLIBC__) && !defined(RSEQ_SIG))
constexpr bool kBuiltToShareMemory = false;
#else
constexpr bool kBuiltToShareMemory = true;
#endif

// sanitizer_test is the other half.
TEST(Sys, MemoryIsSharedWhereNothingSpeaksAgainstIt) {
  EXPECT_EQ(sys::CanShareMemory(), kBuiltToShareMemory && !HasShadowStack());
}

#ifdef RSEQ_SIG

/// rseq(2) with the size that every kernel takes.
long RegisterSequences(void* area, int flags) {
  constexpr unsigned kSize = 32;
  return syscall(SYS_rseq, area, kSize, flags, RSEQ_SIG);
}

TEST(Sys, RestartableSequencesAreRegisteredAgain) {
  NEEDS(__rseq_size != 0, "restartable sequences, from the kernel and from libc");
  test::ExpectSilentSuccess(test::RunInChild([] {
    void* const area = static_cast<char*>(__builtin_thread_pointer()) + __rseq_offset;
    ASSERT_EQ(RegisterSequences(area, RSEQ_FLAG_UNREGISTER), 0);
    EXPECT_EQ(sys::RestoreRestartableSequences(), 0);
    // EBUSY: registered just so. With another address or size it is EINVAL.
    EXPECT_EQ(RegisterSequences(area, 0), -1);
    EXPECT_EQ(errno, EBUSY);
  }));
}

// libc decides when the program starts, so this is one of its own.
TEST(Sys, RestartableSequencesAreNotRegisteredIfLibcDoesNot) {
  constexpr const char* kNone = "glibc.pthread.rseq=0";
  const char* const tunables = getenv("GLIBC_TUNABLES");
  if (tunables == nullptr || std::strcmp(tunables, kNone) != 0) {
    const test::Outcome outcome = test::RunInChild([=] {
      setenv("GLIBC_TUNABLES", kNone, 1);
      execl("/proc/self/exe", "sys_test", "--gtest_filter=*AreNotRegisteredIfLibcDoesNot", nullptr);
    });
    EXPECT_EQ(outcome.status, 0) << outcome.output;
    EXPECT_NE(outcome.output.find("[  PASSED  ] 1 test."), std::string::npos) << outcome.output;
    return;
  }
  ASSERT_EQ(__rseq_size, 0U);
  const bool kernel_has_them = syscall(SYS_rseq, nullptr, 0, 0, 0) == 0 || errno != ENOSYS;
  EXPECT_EQ(sys::RestoreRestartableSequences(), 0);
  // Else the kernel would not take another.
  alignas(32) static char area[32];
  EXPECT_EQ(RegisterSequences(area, 0) == 0 ? 0 : errno, kernel_has_them ? 0 : ENOSYS);
}

#endif

#endif

TEST(Sys, IdsAreThoseOfTheKernel) {
  EXPECT_EQ(sys::ProcessId(), getpid());
  EXPECT_EQ(sys::ThreadId(), gettid());
  EXPECT_EQ(sys::ParentProcessId(), getppid());
}

}  // namespace
}  // namespace nsenter
