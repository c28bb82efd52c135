// SPDX-License-Identifier: Apache-2.0
//
// What launch_test launches: when nsexec has returned it says so, copies what its INITPIPE holds to
// standard output until EOF, and exits with status 7.

#include "nsexec.h"

#include <cstdlib>
#include <unistd.h>

int main() {
  nsexec();
  constexpr char kReady[] = "ready\n";
  if (write(STDOUT_FILENO, kReady, sizeof(kReady) - 1) < 0) return 2;
  const char* const initpipe = getenv("_LIBCONTAINER_INITPIPE");
  if (initpipe == nullptr) return 2;
  char buffer[100];
  for (;;) {
    const ssize_t size =
        read(static_cast<int>(strtol(initpipe, nullptr, 10)), buffer, sizeof(buffer));
    if (size == 0) return 7;
    if (size < 0 || write(STDOUT_FILENO, buffer, static_cast<std::size_t>(size)) != size) return 2;
  }
}
