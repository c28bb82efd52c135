// SPDX-License-Identifier: Apache-2.0
//
// What the calling thread has, and what of it cannot be restored. That it is, clone_test and
// hand_over_test show.

#include "thread_state.h"

#include "child.h"
#include "sys.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#endif

namespace nsenter {
namespace {

TEST(ThreadState, IsWhatTheKernelTells) {
  int* address = nullptr;
  NEEDS(sys::ThreadIdAddress(&address) == 0, "a kernel that tells the address of the tid");
  EXPECT_EQ(ThreadState::Find().tid_address(), address);
}

#ifndef NSEXEC_EMULATED  // valgrind answers some of this itself, and has no filters

std::string Loses() {
  ThreadState state = ThreadState::Find();
  return std::string(state.FindWhatSharingLoses());
}

/// False without CONFIG_CHECKPOINT_RESTORE: then it is all that is said.
bool KernelTellsAddress() {
  int* address = nullptr;
  return sys::ThreadIdAddress(&address) == 0;
}

TEST(ThreadState, LosesNothingInAnOrdinaryProgram) {
  NEEDS(KernelTellsAddress(), "a kernel that tells the address of the tid");
  EXPECT_EQ(Loses(), "");
}

// The probes leave everything as it is.
TEST(ThreadState, IsLookedForWithoutAChange) {
  NEEDS(KernelTellsAddress(), "a kernel that tells the address of the tid");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Loses(), "") << i;
}

TEST(ThreadState, LosesWhatTheKernelDoesNotTell) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    test::HideThreadIdAddress();
    EXPECT_EQ(Loses(), "the kernel does not tell where it clears the thread id");
  }));
  NEEDS(KernelTellsAddress(), "a kernel that tells the address of the tid");
  if (machine::HasSanitizer()) return;  // AddressSanitizer makes that call itself
  test::ExpectSilentSuccess(test::RunInChild([] {
    test::Forbid({SYS_sigaltstack});
    EXPECT_EQ(Loses(), "the kernel does not tell the alternate signal stack");
  }));
}

#ifdef RSEQ_SIG

alignas(32) constinit char area[32] = {};

TEST(ThreadState, LosesSequencesThatAreNotLibcs) {
  NEEDS(KernelTellsAddress(), "a kernel that tells the address of the tid");
  NEEDS(__rseq_size != 0, "restartable sequences, from the kernel and from libc");
  test::ExpectSilentSuccess(test::RunInChild([] {
    const machine::RestartableSequences libcs = machine::LibcsRestartableSequences();
    ASSERT_EQ(sys::UnregisterRestartableSequences(libcs.area, libcs.size, libcs.signature), 0);
    ASSERT_EQ(sys::RegisterRestartableSequences(area, sizeof(area), 7), 0);
    EXPECT_EQ(Loses(), "the kernel's restartable sequences are not libc's");
  }));
}

// libc decides when the program starts, so this is one of its own.
TEST(ThreadState, LosesSequencesThatLibcDoesNotHave) {
  NEEDS(KernelTellsAddress(), "a kernel that tells the address of the tid");
  constexpr const char* kNone = "glibc.pthread.rseq=0";
  const char* const tunables = getenv("GLIBC_TUNABLES");
  if (tunables == nullptr || std::strcmp(tunables, kNone) != 0) {
    const test::Outcome outcome = test::RunInChild([=] {
      setenv("GLIBC_TUNABLES", kNone, 1);
      execl("/proc/self/exe", "thread_state_test", "--gtest_filter=*ThatLibcDoesNotHave", nullptr);
    });
    EXPECT_EQ(outcome.status, 0) << outcome.output;
    EXPECT_NE(outcome.output.find("[  PASSED  ] 1 test."), std::string::npos) << outcome.output;
    return;
  }
  ASSERT_EQ(__rseq_size, 0U);
  EXPECT_EQ(Loses(), "");
  const int registered = sys::RegisterRestartableSequences(area, sizeof(area), 7);
  if (registered == -ENOSYS) return;
  ASSERT_EQ(registered, 0) << "the probe has left none";
  EXPECT_EQ(Loses(), "restartable sequences are not libc's");
}

#endif

#endif

}  // namespace
}  // namespace nsenter
