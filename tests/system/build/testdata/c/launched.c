// SPDX-License-Identifier: Apache-2.0
//
// A C program that keeps the contract of tests/conformance/protocol, and does nothing else.

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "nsexec.h"

int main(void) {
  nsexec();
  puts("nsexec returned");
  fflush(stdout);
  const char* initpipe = getenv("_LIBCONTAINER_INITPIPE");
  if (initpipe == NULL || *initpipe == '\0') return 0;
  char text[4096];
  ssize_t size;
  while ((size = read(atoi(initpipe), text, sizeof(text))) > 0) {
    if (write(STDOUT_FILENO, text, (size_t)size) != size) return 1;
  }
  return size < 0 ? 2 : 0;
}
