// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

// Package touched makes a program large in memory before any nsexec runs in it: a constructor that comes before others
// writes to each page of 64 MB, as a library may that was preloaded, or a program that is linked with a large one.
package touched

/*
#include <stddef.h>

static char memory[64 << 20];

// 101 is the first that is left to programs; constructors without a number come last.
static void __attribute__((constructor(101))) bench_touch(void) {
  for (size_t i = 0; i < sizeof(memory); i += 4096) ((volatile char*)memory)[i] = 1;
}
*/
import "C"
