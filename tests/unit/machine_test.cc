// SPDX-License-Identifier: Apache-2.0

#include "machine.h"

#include "child.h"
#include "sys.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <string>
#include <sys/prctl.h>
#include <unistd.h>
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define BUILT_WITH_SANITIZER true
#elif defined(__has_feature)
#define BUILT_WITH_SANITIZER (__has_feature(address_sanitizer) || __has_feature(memory_sanitizer))
#else
#define BUILT_WITH_SANITIZER false
#endif

namespace nsenter {
namespace {

TEST(Machine, KnowsHowItWasBuilt) {
#ifdef NSEXEC_COPY_MEMORY
  EXPECT_TRUE(machine::IsBuiltToCopyMemory());
#else
  EXPECT_FALSE(machine::IsBuiltToCopyMemory());
#endif
}

// machine_sanitizer_test is the other half.
TEST(Machine, HasASanitizerIfItWasBuiltWithOne) {
  EXPECT_EQ(machine::HasSanitizer(), BUILT_WITH_SANITIZER);
}

#ifndef NSEXEC_EMULATED

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

TEST(Machine, HasAShadowStackIfTheKernelSaysSo) {
  EXPECT_EQ(machine::HasShadowStack(), HasShadowStack());
}

#endif

// The cached thread id.

TEST(FindCachedThreadId, FindsLibcs) {
  void* list = nullptr;
  std::size_t size = 0;
  int* address = nullptr;
  if (sys::RobustList(&list, &size) < 0) list = nullptr;
  if (sys::ThreadIdAddress(&address) < 0) address = nullptr;
  const int* const found = machine::FindCachedThreadId(gettid(), list, address);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(*found, gettid());
#ifdef __GLIBC__
  EXPECT_EQ(machine::FindCachedThreadId(gettid(), list, nullptr), found);
#endif
}

#ifdef __GLIBC__

/// As it lies in glibc's thread structure: the list, and the id before it.
struct Thread {
  int before[8] = {};
  alignas(sizeof(void*)) void* list[3] = {};
  [[nodiscard]] int* IdBeforeList(int ints) { return reinterpret_cast<int*>(list) - ints; }
};

constexpr bool k64Bit = sizeof(void*) == 8;

TEST(FindCachedThreadId, LooksWhereGlibcsHaveIt) {
  for (const int distance : {k64Bit ? 4 : 1, k64Bit ? 4 : 2}) {
    Thread thread;
    int* const id = thread.IdBeforeList(distance);
    *id = 42;
    EXPECT_EQ(machine::FindCachedThreadId(42, static_cast<void*>(thread.list), nullptr), id);
    EXPECT_EQ(machine::FindCachedThreadId(43, static_cast<void*>(thread.list), nullptr), nullptr)
        << "another's";
  }
}

TEST(FindCachedThreadId, LooksNowhereElse) {
  for (int distance = 0; distance <= 8; ++distance) {
    if (k64Bit ? distance == 4 : distance == 1 || distance == 2) continue;
    Thread thread;
    *thread.IdBeforeList(distance) = 42;
    EXPECT_EQ(machine::FindCachedThreadId(42, static_cast<void*>(thread.list), nullptr), nullptr)
        << distance;
  }
}

TEST(FindCachedThreadId, TakesTheKernelsAddressIfItHoldsTheId) {
  Thread thread;
  int id = 42;
  EXPECT_EQ(machine::FindCachedThreadId(42, static_cast<void*>(thread.list), &id), &id);
  EXPECT_EQ(machine::FindCachedThreadId(42, nullptr, &id), &id);
  // The one before the list is libc's in any case.
  int* const before = thread.IdBeforeList(k64Bit ? 4 : 1);
  *before = 42;
  EXPECT_EQ(machine::FindCachedThreadId(42, static_cast<void*>(thread.list), &id), before);
}

TEST(FindCachedThreadId, TakesNoAddressThatDoesNotHoldTheId) {
  Thread thread;
  int id = 0;
  EXPECT_EQ(machine::FindCachedThreadId(42, static_cast<void*>(thread.list), &id), nullptr);
  EXPECT_EQ(machine::FindCachedThreadId(42, nullptr, nullptr), nullptr);
}

#endif

// Restartable sequences.

#if defined(RSEQ_SIG) && !defined(NSEXEC_EMULATED)

TEST(LibcsRestartableSequences, AreWhatTheKernelHas) {
  NEEDS(__rseq_size != 0, "restartable sequences, from the kernel and from libc");
  const machine::RestartableSequences found = machine::LibcsRestartableSequences();
  EXPECT_GE(found.size, 32U) << "which is the least that the kernel takes";
  EXPECT_EQ(found.signature, RSEQ_SIG);
  // The kernel says so only of just the area that it has.
  EXPECT_EQ(sys::RegisterRestartableSequences(found.area, found.size, found.signature), -EBUSY);
}

// libc decides when the program starts, so this is one of its own.
TEST(LibcsRestartableSequences, AreNoneIfLibcHasNone) {
  constexpr const char* kNone = "glibc.pthread.rseq=0";
  const char* const tunables = getenv("GLIBC_TUNABLES");
  if (tunables == nullptr || std::strcmp(tunables, kNone) != 0) {
    const test::Outcome outcome = test::RunInChild([=] {
      setenv("GLIBC_TUNABLES", kNone, 1);
      execl("/proc/self/exe", "machine_test", "--gtest_filter=*AreNoneIfLibcHasNone", nullptr);
    });
    EXPECT_EQ(outcome.status, 0) << outcome.output;
    EXPECT_NE(outcome.output.find("[  PASSED  ] 1 test."), std::string::npos) << outcome.output;
    return;
  }
  ASSERT_EQ(__rseq_size, 0U);
  EXPECT_EQ(machine::LibcsRestartableSequences().area, nullptr);
}

#endif

// Loading.

TEST(IsBeingLoaded, IsNotTrueOfTheProgram) { EXPECT_FALSE(machine::IsBeingLoaded(gettid())); }

#ifdef LOADED_LIBRARY  // a program that is linked statically can load none

TEST(IsBeingLoaded, IsTrueOfALibraryUntilItIsLoaded) {
  void* const library = dlopen(LOADED_LIBRARY, RTLD_NOW);
  ASSERT_NE(library, nullptr) << dlerror();
  const auto ask = [=](const char* name) {
    auto* const function = reinterpret_cast<bool (*)()>(dlsym(library, name));
    return function != nullptr ? std::to_string(static_cast<int>(function()))
                               : "no " + std::string(name);
  };
#ifdef __GLIBC__
  EXPECT_EQ(ask("ConstructorWasBeingLoaded"), "1");
#else
  EXPECT_EQ(ask("ConstructorWasBeingLoaded"), "0") << "musl has let go of its lock by then";
#endif
  EXPECT_EQ(ask("AnotherThreadWasLoading"), "0");
  EXPECT_EQ(ask("LibraryIsBeingLoaded"), "0");
  EXPECT_EQ(dlclose(library), 0);
}

#endif

}  // namespace
}  // namespace nsenter
