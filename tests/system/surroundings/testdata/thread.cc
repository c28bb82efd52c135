// SPDX-License-Identifier: Apache-2.0
//
// A library that starts a thread as soon as it is loaded. With WAIT it goes on when the thread
// runs.

#include <pthread.h>
#include <unistd.h>

#ifndef WAIT
#define WAIT 0
#endif

namespace {

pthread_barrier_t runs;

void* Sleep(void* /*argument*/) {
  pthread_barrier_wait(&runs);
  for (;;) pause();
}

[[gnu::constructor(101)]] void Start() {
  pthread_barrier_init(&runs, nullptr, WAIT ? 2 : 1);
  pthread_t thread;
  pthread_create(&thread, nullptr, Sleep, nullptr);
  if (WAIT) pthread_barrier_wait(&runs);
}

}  // namespace
