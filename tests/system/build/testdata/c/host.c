// SPDX-License-Identifier: Apache-2.0
//
// Loads the shared library that is its first argument; with a second argument, when it has started
// a thread.

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static void* Sleep(void* unused) {
  for (;;) pause();
  return unused;
}

int main(int argc, char** argv) {
  pthread_t thread;
  if (argc > 2 && pthread_create(&thread, NULL, Sleep, NULL) != 0) return 2;
  if (dlopen(argv[1], RTLD_NOW) == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return 2;
  }
  puts("library loaded");
  return 0;
}
