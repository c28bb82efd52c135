// SPDX-License-Identifier: Apache-2.0

#include "thread_state.h"

#include "expect.h"
#include "scripted_kernel.h"

#include <gtest/gtest.h>
#include <string>

namespace nsenter {
namespace {

using test::ScriptedKernel;

constexpr const char* kFound = R"(
    prctl(PR_GET_TID_ADDRESS)
    get_robust_list()
    gettid() = 42
)";
constexpr const char* kNotTold = R"(
    prctl(PR_GET_TID_ADDRESS) = EPERM
    get_robust_list() = EPERM
    gettid() = 42
)";

TEST(ThreadState, IsWhatTheKernelTells) {
  ScriptedKernel kernel(kFound);
  EXPECT_EQ(ThreadState::Find().tid_address(), &kernel.memory().tid);
}

// The address that the kernel does not tell may be libc's word all the same.
TEST(ThreadState, TakesLibcsWordWhereTheKernelDoesNotTell) {
  ScriptedKernel kernel(kNotTold);
  int cached = 42;
  kernel.memory().cached_id = &cached;
#ifdef __GLIBC__
  EXPECT_EQ(ThreadState::Find().tid_address(), &cached);
#else
  EXPECT_EQ(ThreadState::Find().tid_address(), nullptr);
#endif
}

TEST(ThreadState, IsNothingWhereNothingIsFound) {
  const ScriptedKernel kernel(kNotTold);
  const ThreadState state = ThreadState::Find();
  EXPECT_EQ(state.tid_address(), nullptr);
  state.RestoreInCopy();
}

// In a copy.

TEST(ThreadState, RestoresLibcsIdAndTheRobustListInACopy) {
  ScriptedKernel kernel(std::string(kFound) + "gettid() = 43\nset_robust_list(robust_list, 4)");
  int cached = 42;
  kernel.memory().cached_id = &cached;
  kernel.memory().tid = 7;
  ThreadState::Find().RestoreInCopy();
  EXPECT_EQ(cached, 43);
  EXPECT_EQ(kernel.memory().tid, 7) << "is not libc's";
}

TEST(ThreadState, WritesNoIdWhereLibcsIsNotFound) {
  ScriptedKernel kernel(std::string(kFound) + "set_robust_list(robust_list, 4)");
  kernel.memory().tid = 42;
  ThreadState::Find().RestoreInCopy();
  EXPECT_EQ(kernel.memory().tid, 42);
}

TEST(ThreadState, RestoresInACopyWhatIsFoundWithoutTheOther) {
  {
    const ScriptedKernel kernel(R"(
      prctl(PR_GET_TID_ADDRESS) = EPERM
      get_robust_list()
      gettid() = 42
      set_robust_list(robust_list, 4)
    )");
    ThreadState::Find().RestoreInCopy();
  }
  const ScriptedKernel kernel(R"(
    prctl(PR_GET_TID_ADDRESS)
    get_robust_list() = EPERM
    gettid() = 42
  )");
  ThreadState::Find().RestoreInCopy();
}

// What sharing loses.

std::string Loses(const std::string& script) {
  const ScriptedKernel kernel(script);
  ThreadState state = ThreadState::Find();
  return std::string(state.FindWhatSharingLoses());
}

TEST(FindWhatSharingLoses, IsNothingThatCouldNotBeRestored) {
  EXPECT_EQ(Loses(std::string(kFound) + R"(
    rseq(a pointer, 32, 0, 0) = ENOSYS
    sigaltstack(NULL, old)
  )"),
            "");
  EXPECT_EQ(Loses(std::string(kFound) + R"(
    rseq(a pointer, 32, 0, 0)
    rseq(a pointer, 32, RSEQ_FLAG_UNREGISTER, 0)
    sigaltstack(NULL, old)
  )"),
            "");
  EXPECT_EQ(Loses("libc has restartable sequences" + std::string(kFound) + R"(
    rseq(rseq_area, 32, 0, 7) = EBUSY
    sigaltstack(NULL, old)
  )"),
            "");
}

TEST(FindWhatSharingLoses, IsAWordThatWouldStayCleared) {
  EXPECT_EQ(Loses(kNotTold), "the kernel does not tell where it clears the thread id");
}

TEST(FindWhatSharingLoses, AreRestartableSequencesOfSomebodyElse) {
  for (const std::string error : {"EINVAL", "EBUSY", "EPERM"}) {
    EXPECT_EQ(Loses(std::string(kFound) + "rseq(a pointer, 32, 0, 0) = " + error),
              "restartable sequences are not libc's");
  }
  EXPECT_EQ(Loses(std::string(kFound) + R"(
    rseq(a pointer, 32, 0, 0)
    rseq(a pointer, 32, RSEQ_FLAG_UNREGISTER, 0) = EPERM
  )"),
            "restartable sequences are not libc's");
}

TEST(FindWhatSharingLoses, AreLibcsRestartableSequencesThatTheKernelDoesNotHave) {
  for (const std::string answer : {"EINVAL", "EPERM", "ENOSYS", "0"}) {
    EXPECT_EQ(Loses("libc has restartable sequences" + std::string(kFound) +
                    "rseq(rseq_area, 32, 0, 7) = " + answer),
              "the kernel's restartable sequences are not libc's");
  }
}

TEST(FindWhatSharingLoses, IsAnAlternateStackThatTheKernelDoesNotTell) {
  EXPECT_EQ(Loses(std::string(kFound) + R"(
    rseq(a pointer, 32, 0, 0) = ENOSYS
    sigaltstack(NULL, old) = EPERM
  )"),
            "the kernel does not tell the alternate signal stack");
}

// In shared memory.

/// Finds all, with these lines before and after, and restores it when the kernel has cleared the
/// word.
std::string RestoreInSharedMemory(ScriptedKernel& kernel) {
  kernel.memory().tid = 42;
  ThreadState state = ThreadState::Find();
  EXPECT_EQ(state.FindWhatSharingLoses(), "");
  kernel.memory().tid = 0;
  return test::Describe(state.RestoreInSharedMemory());
}

#ifdef __GLIBC__
constexpr const char* kSetAddress = "";
#else
constexpr const char* kSetAddress = "set_tid_address(tid)\n";
#endif

TEST(ThreadState, RestoresInSharedMemoryWhatTheKernelHasCleared) {
  ScriptedKernel kernel(std::string(kFound) + R"(
    rseq(a pointer, 32, 0, 0) = ENOSYS
    sigaltstack(NULL, old)
    gettid() = 43
    set_robust_list(robust_list, 4)
  )" + kSetAddress);
  kernel.memory().cached_id = &kernel.memory().tid;
  EXPECT_EQ(RestoreInSharedMemory(kernel), "success");
  EXPECT_EQ(kernel.memory().tid, 43);
}

// From glibc 2.43 on it is a word that says whether somebody has joined the thread.
TEST(ThreadState, RestoresInSharedMemoryAWordThatIsNotTheId) {
  ScriptedKernel kernel(std::string(kFound) + R"(
    rseq(a pointer, 32, 0, 0) = ENOSYS
    sigaltstack(NULL, old)
    gettid() = 43
    set_robust_list(robust_list, 4)
  )" + kSetAddress);
  int cached = 42;
  kernel.memory().cached_id = &cached;
  EXPECT_EQ(RestoreInSharedMemory(kernel), "success");
  EXPECT_EQ(kernel.memory().tid, 42) << "as it was";
  EXPECT_EQ(cached, 43);
}

TEST(ThreadState, RestoresSequencesAndStackInSharedMemory) {
  char stack[8];
  ScriptedKernel kernel("libc has restartable sequences" + std::string(kFound) + R"(
    rseq(rseq_area, 32, 0, 7) = EBUSY
    sigaltstack(NULL, old)
    set_robust_list(robust_list, 4)
  )" + kSetAddress + R"(
    rseq(rseq_area, 32, 0, 7)
    sigaltstack(a pointer)
  )");
  kernel.memory().old_stack = {.ss_sp = stack, .ss_flags = 0, .ss_size = sizeof(stack)};
  EXPECT_EQ(RestoreInSharedMemory(kernel), "success");
}

TEST(ThreadState, SaysWhatCouldNotBeRestored) {
  const std::string found = "libc has restartable sequences" + std::string(kFound) + R"(
    rseq(rseq_area, 32, 0, 7) = EBUSY
    sigaltstack(NULL, old)
    set_robust_list(robust_list, 4)
  )" + kSetAddress;
  {
    ScriptedKernel kernel(found + "rseq(rseq_area, 32, 0, 7) = EPERM");
    EXPECT_EQ(RestoreInSharedMemory(kernel),
              "failed to register restartable sequences: Operation not permitted");
  }
  char stack[8];
  ScriptedKernel kernel(found + "rseq(rseq_area, 32, 0, 7)\nsigaltstack(a pointer) = EPERM");
  kernel.memory().old_stack = {.ss_sp = stack, .ss_flags = 0, .ss_size = sizeof(stack)};
  EXPECT_EQ(RestoreInSharedMemory(kernel),
            "failed to restore the alternate signal stack: Operation not permitted");
}

}  // namespace
}  // namespace nsenter
