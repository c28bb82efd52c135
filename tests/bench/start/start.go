// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

// Package start has a constructor that replies at once with an empty line: the zero that the time to
// the reply is counted from.
package start

/*
#include <stdlib.h>
#include <unistd.h>

static void __attribute__((constructor)) bench_start(void) {
  const char* pipe = getenv("_LIBCONTAINER_INITPIPE");
  if (pipe == NULL) return;
  if (write(atoi(pipe), "\n", 1) != 1) _exit(1);
}
*/
import "C"
