// SPDX-License-Identifier: Apache-2.0

#include "protocol.h"

#include "environment.h"
#include "netlink_message.h"
#include "sys.h"

#include <cerrno>
#include <fcntl.h>
#include <poll.h>

namespace nsenter {
namespace {

/// Enough to hold the type of a bootstrap message.
constexpr std::size_t kTellingBytes = 6;

/// Peeks until `buffer` holds kTellingBytes or there will not be more: how many there are, or an
/// errno, negated.
int PeekStart(int fd, char* buffer) {
  for (bool ended = false;;) {
    const int got = sys::Peek(fd, buffer, kTellingBytes);
    if (got <= 0 || got == static_cast<int>(kTellingBytes) || ended) return got;
    // Peeking does not wait for more, and poll(POLLIN) would return at once. POLLRDHUP alone makes
    // this a short sleep that ends early if the parent closes its end; then one more look shows all
    // there is.
    const int events = sys::Poll(fd, POLLRDHUP, 1);
    if (events < 0) return events;
    ended = events != 0;
  }
}

}  // namespace

Result<bool> HoldsDocument(int pipe) {
  char bytes[kTellingBytes] = {};
  const int got = PeekStart(pipe, bytes);
  if (got == -ENOTSOCK) {
    // Then no parent of 2015. And unlike a socket it can be open for one direction only.
    RETURN_IF_ERROR(CheckOpenFd("_LIBCONTAINER_INITPIPE", pipe, O_RDWR));
    return false;
  }
  ASSIGN_OR_RETURN(const int size, Check(got, "failed to look at _LIBCONTAINER_INITPIPE ", pipe));
  const std::string_view start(bytes, static_cast<std::size_t>(size));
  return !HasBootstrapType(start) && StartsWith(start, "{");
}

}  // namespace nsenter
