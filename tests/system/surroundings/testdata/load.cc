// SPDX-License-Identifier: Apache-2.0
//
// Loads a library, if one is named, and then the C++ library, for which libc's lock has to be free.

#include <cstdio>
#include <dlfcn.h>

int main(int argc, char** argv) {
  if (argc > 1 && dlopen(argv[1], RTLD_NOW) == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  if (dlopen("libm.so.6", RTLD_NOW) == nullptr) return 1;
  std::puts("loaded");
  return 0;
}
