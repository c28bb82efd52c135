// SPDX-License-Identifier: Apache-2.0
//
// A C program that keeps the contract of tests/conformance/probe and, in between, says whether what
// nsexec() has returned in is a sound C process: libc's idea of the thread, descriptors, signals.

#define _GNU_SOURCE

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "nsexec.h"

static volatile sig_atomic_t caught;

static void Catch(int number) {
  (void)number;
  caught++;
}

static void* SetToOne(void* number) {
  *(int*)number = 1;
  return NULL;
}

/// libc says what it takes for this thread's id in the id of the thread's clock (clock_getres(2)).
static void ReportCachedThreadId(void) {
  clockid_t clock;
  const int error = pthread_getcpuclockid(pthread_self(), &clock);
  const long own = syscall(SYS_gettid);
  const long cached = ~((long)clock >> 3);
  if (error != 0 || cached != own) {
    printf("cached thread id: %ld, gettid: %ld (%s)\n", cached, own, strerror(error));
    return;
  }
  printf("cached thread id: gettid\n");
}

static void ReportThreads(void) {
  pthread_attr_t attributes;
  const int error = pthread_getattr_np(pthread_self(), &attributes);
  printf("pthread_getattr_np: %d\n", error);
  if (error == 0) pthread_attr_destroy(&attributes);

  pthread_t thread;
  int reached = 0;
  if (pthread_create(&thread, NULL, SetToOne, &reached) == 0) pthread_join(thread, NULL);
  printf("threads that ran: %d\n", reached);
}

static void ReportRaise(void) {
  struct sigaction catching = {.sa_handler = Catch};
  struct sigaction old;
  sigaction(SIGUSR1, &catching, &old);
  raise(SIGUSR1);
  printf("signals caught after raise: %d\n", (int)caught);
  pthread_kill(pthread_self(), SIGUSR1);
  printf("signals caught after pthread_kill: %d\n", (int)caught);
  sigaction(SIGUSR1, &old, NULL);
}

static void ReportSignals(void) {
  sigset_t blocked;
  sigprocmask(SIG_SETMASK, NULL, &blocked);
  printf("blocked:");
  for (int number = 1; number <= SIGRTMAX; number++) {
    if (sigismember(&blocked, number) == 1) printf(" %d", number);
  }
  printf("\nignored:");
  for (int number = 1; number <= SIGRTMAX; number++) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN) {
      printf(" %d", number);
    }
  }
  printf("\ncaught:");
  for (int number = 1; number <= SIGRTMAX; number++) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_IGN &&
        action.sa_handler != SIG_DFL) {
      printf(" %d", number);
    }
  }
  printf("\n");
}

static void ReportDescriptors(void) {
  printf("open:");
  for (int fd = 0; fd < 1024; fd++) {
    if (fcntl(fd, F_GETFD) != -1) printf(" %d", fd);
  }
  printf("\n");
}

int main(void) {
  nsexec();
  // A second call returns at once. If it did not, it would wait for a second message.
  nsexec();
  printf("nsexec returned\n");

  ReportCachedThreadId();
  ReportThreads();
  ReportRaise();
  ReportSignals();
  ReportDescriptors();
  fflush(stdout);

  const char* pipe = getenv("_LIBCONTAINER_INITPIPE");
  if (pipe == NULL || *pipe == '\0') return 0;
  char buffer[4096];
  for (;;) {
    const ssize_t got = read(atoi(pipe), buffer, sizeof(buffer));
    if (got == 0) return 0;
    if (got < 0 || write(STDOUT_FILENO, buffer, (size_t)got) != got) return 2;
  }
}
