// SPDX-License-Identifier: Apache-2.0

#include "machine.h"

#include "sys.h"

#include <cerrno>
#include <cstdint>
#include <link.h>
#include <pthread.h>
#include <sys/auxv.h>

#if defined(__GLIBC__) && __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
// Where glibc does not know the signature (riscv64 in 2.36) a newer one may still use it.
#ifdef RSEQ_SIG
#define NSENTER_RSEQ
// Libraries older than the headers do not have them.
#pragma weak __rseq_offset
#pragma weak __rseq_size
#endif
#endif

// Defined in programs with a sanitizer, whatever the core itself is compiled with.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the names are theirs
extern "C" {
[[gnu::weak]] void __asan_init();
[[gnu::weak]] void __hwasan_init();
[[gnu::weak]] void __msan_init();
[[gnu::weak]] void __tsan_init();
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

namespace nsenter::machine {

bool IsBuiltToCopyMemory() {
#ifdef NSEXEC_COPY_MEMORY
  return true;
#else
  return false;
#endif
}

bool HasSanitizer() {
  return __asan_init != nullptr || __hwasan_init != nullptr || __msan_init != nullptr ||
         __tsan_init != nullptr;
}

bool HasShadowStack() {
#if defined(__x86_64__)
  // Reads the pointer to it; does nothing where there is none.
  unsigned long pointer = 0;  // NOLINT(misc-const-correctness): the instruction writes to it
  asm volatile("rdsspq %0" : "+r"(pointer));
  return pointer != 0;
#elif defined(__aarch64__)
  // CHKFEAT, a hint: clears the bit of a feature that is on.
  register unsigned long features asm("x16") = 1;  // NOLINT(misc-const-correctness): as above
  asm volatile("hint #40" : "+r"(features));
  return features == 0;
#elif defined(__riscv)
  // The instruction is an illegal one on processors without Zimop.
  return sys::ShadowStackStatus() > 0;
#else
  return false;
#endif
}

int* FindCachedThreadId(int thread_id, void* robust_list, int* tid_address) {
#ifdef __GLIBC__
  // It lies before the list (struct pthread in nptl/descr.h, since 2.4). On 64-bit systems another
  // int, or padding, and a pointer are in between; on 32-bit ones nothing, or until 2.3x an int.
  // The kernel's address was the same place until 2.42; from 2.43 on it tells of a thread's end
  // elsewhere.
  constexpr int kIntsFromIdToList[] = {sizeof(void*) == 8 ? 4 : 1, sizeof(void*) == 8 ? 4 : 2};
  if (robust_list != nullptr) {
    for (const int distance : kIntsFromIdToList) {
      int* const candidate = static_cast<int*>(robust_list) - distance;
      if (*candidate == thread_id) return candidate;
    }
  }
  return tid_address != nullptr && *tid_address == thread_id ? tid_address : nullptr;
#else
  // musl tells the kernel of a lock instead. Its thread id lies before errno (struct pthread, since
  // 2013).
  (void)robust_list;
  (void)tid_address;
  int* const candidate = &errno - 1;
  return *candidate == thread_id ? candidate : nullptr;
#endif
}

RestartableSequences LibcsRestartableSequences() {
  RestartableSequences sequences;
#ifdef NSENTER_RSEQ
  if (&__rseq_size == nullptr || __rseq_size == 0) return sequences;
  char* thread_pointer = nullptr;
#if defined(__powerpc64__)
  // g++ has no built-in function for it there.
  asm("mr %0, 13" : "=r"(thread_pointer));
#elif defined(__powerpc__)
  asm("mr %0, 2" : "=r"(thread_pointer));
#else
  thread_pointer = static_cast<char*>(__builtin_thread_pointer());
#endif
  // The size of all kernels up to 6.2, and the least that later ones take. glibc tells how much of
  // the area is in use, and registers at least this.
  constexpr unsigned kFirstSize = 32;
  sequences.area = thread_pointer + __rseq_offset;
  sequences.size = __rseq_size > kFirstSize ? __rseq_size : kFirstSize;
  sequences.signature = RSEQ_SIG;
#endif
  return sequences;
}

#ifdef __GLIBC__
namespace {

struct Segment {
  const char* begin = nullptr;
  const char* end = nullptr;
};

bool Contains(const ElfW(Phdr) & header, ElfW(Addr) base, const void* address) {
  const auto offset = reinterpret_cast<ElfW(Addr)>(address) - base - header.p_vaddr;
  return header.p_type == PT_LOAD && offset < header.p_memsz;
}

/// True if this code is part of the program itself, which nobody loads later.
bool IsPartOfTheProgram() {
  // NOLINTNEXTLINE(performance-no-int-to-ptr): that is how the kernel tells it
  const auto* const headers = reinterpret_cast<const ElfW(Phdr)*>(getauxval(AT_PHDR));
  const std::size_t count = getauxval(AT_PHNUM);
  ElfW(Addr) base = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (headers[i].p_type == PT_PHDR) {
      base = reinterpret_cast<ElfW(Addr)>(headers) - headers[i].p_vaddr;
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (Contains(headers[i], base, reinterpret_cast<const void*>(&IsBeingLoaded))) return true;
  }
  return false;
}

/// Finds the dynamic linker's data.
int FindLinkersData(dl_phdr_info* info, std::size_t /*size*/, void* ret_segment) {
  if (info->dlpi_addr != getauxval(AT_BASE)) return 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = info->dlpi_phdr[i];
    if (header.p_type != PT_LOAD || (header.p_flags & PF_W) == 0) continue;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): that is how libc tells it
    const auto* const begin = reinterpret_cast<const char*>(info->dlpi_addr + header.p_vaddr);
    *static_cast<Segment*>(ret_segment) = {begin, begin + header.p_memsz};
  }
  return 1;
}

}  // namespace

bool IsBeingLoaded(int thread_id) {
  if (IsPartOfTheProgram()) return false;
  // While glibc loads a library and runs its constructors, the loading thread has a recursive mutex
  // that lies in the dynamic linker's data (_dl_load_lock). There is no function that tells, and
  // those that take it would wait. So look for any that this thread has; dl_iterate_phdr has one
  // itself, until it returns.
  if (getauxval(AT_BASE) == 0) return false;
  Segment data;
  dl_iterate_phdr(FindLinkersData, &data);
  for (const char* at = data.begin;
       data.end - at >= static_cast<std::ptrdiff_t>(sizeof(pthread_mutex_t));
       at += alignof(pthread_mutex_t)) {
    const auto& mutex = reinterpret_cast<const pthread_mutex_t*>(at)->__data;
    if (mutex.__owner == thread_id && mutex.__lock != 0 && mutex.__count != 0 &&
        mutex.__nusers == 1 && mutex.__kind == PTHREAD_MUTEX_RECURSIVE_NP) {
      return true;
    }
  }
  return false;
}
#else
// musl runs constructors when it has let go of its lock.
bool IsBeingLoaded(int /*thread_id*/) { return false; }
#endif

}  // namespace nsenter::machine
