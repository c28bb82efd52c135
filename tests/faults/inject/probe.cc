// SPDX-License-Identifier: Apache-2.0
//
// The program under test, in C++ and small, so that thousands of launches take little time. It
// keeps the contract of tests/conformance/probe, and also says whether libc still knows who it is.
// Arguments like nofile=5 are limits that it gives itself when nsexec begins: with so little
// nothing could have been started. With tell-dumpable it says whether it is, and with threads it
// has a second thread.

#include "mark.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

// Ours, or runc's: both have this name.
extern "C" void nsexec();

// In a probe with timing.cc only.
extern "C" [[gnu::weak]] void start_times();
extern "C" [[gnu::weak]] void print_times();

namespace {

void Say(const char* text, size_t size) {
  if (write(STDOUT_FILENO, text, size) != static_cast<ssize_t>(size)) _exit(2);
}

/// The thread id that libc keeps is seen in the owner of a locked mutex.
bool KnowsOwnThreadId() {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
  pthread_mutex_t mutex;
  pthread_mutex_init(&mutex, &attributes);
  pthread_mutex_lock(&mutex);
  const int owner = mutex.__data.__owner;
  pthread_mutex_unlock(&mutex);
  return owner == static_cast<int>(syscall(SYS_gettid));
}

/// As the Go runtime has one, and programs that handle overflows of their stack.
stack_t AlternateStack() {
  alignas(16) static char memory[16384];
  stack_t stack = {};
  stack.ss_sp = memory;
  stack.ss_size = sizeof(memory);
  return stack;
}

bool HasAlternateStack() {
  stack_t stack = {};
  const stack_t expected = AlternateStack();
  return sigaltstack(nullptr, &stack) == 0 && stack.ss_sp == expected.ss_sp &&
         stack.ss_size == expected.ss_size && stack.ss_flags == 0;
}

void StartThread() {
  pthread_t thread;
  const auto sleep = [](void*) -> void* {
    for (;;) pause();
  };
  if (pthread_create(&thread, nullptr, sleep, nullptr) != 0) _exit(2);
}

void TakeLimit(const char* argument) {
  const char* const equals = strchr(argument, '=');
  if (equals == nullptr) _exit(2);
  const auto resource = *argument == 'n' && argument[1] == 'o' ? RLIMIT_NOFILE : RLIMIT_NPROC;
  rlimit limit = {};
  if (getrlimit(resource, &limit) != 0) _exit(2);
  limit.rlim_cur = strtoul(equals + 1, nullptr, 10);
  if (setrlimit(resource, &limit) != 0) _exit(2);
}

}  // namespace

int main(int argc, char** argv) {
  bool tells = false;
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "tell-dumpable") == 0) {
      tells = true;
    } else if (strcmp(argv[i], "threads") == 0) {
      StartThread();
    } else {
      TakeLimit(argv[i]);
    }
  }
  const stack_t stack = AlternateStack();
  if (sigaltstack(&stack, nullptr) != 0) _exit(2);
  prctl(inject::kMark, inject::kBegins);
  if (start_times != nullptr) start_times();
  nsexec();
  prctl(inject::kMark, inject::kReturned);
  if (!KnowsOwnThreadId()) Say("wrong thread id\n", 16);
  if (!HasAlternateStack()) Say("no alternate stack\n", 19);
  if (print_times != nullptr) print_times();
  if (tells && prctl(PR_GET_DUMPABLE) == 1) Say("it is dumpable\n", 15);
  Say("nsexec returned\n", 16);
  const char* pipe = getenv("_LIBCONTAINER_INITPIPE");
  if (pipe == nullptr || *pipe == '\0') return 0;
  char buffer[4096];
  for (;;) {
    const ssize_t got = read(atoi(pipe), buffer, sizeof(buffer));
    if (got < 0) return 2;
    if (got == 0) return 0;
    Say(buffer, static_cast<size_t>(got));
  }
}
