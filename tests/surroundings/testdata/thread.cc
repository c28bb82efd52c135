// SPDX-License-Identifier: Apache-2.0
//
// A library that starts a thread as soon as it is loaded.

#include <pthread.h>
#include <unistd.h>

namespace {

void* Sleep(void* /*argument*/) {
  for (;;) pause();
}

[[gnu::constructor(101)]] void Start() {
  pthread_t thread;
  pthread_create(&thread, nullptr, Sleep, nullptr);
}

}  // namespace
