// SPDX-License-Identifier: Apache-2.0

#include "protocol.h"

#include "netlink_message.h"
#include "sys.h"

#include <cerrno>
#include <fcntl.h>
#include <poll.h>

namespace nsenter {
namespace {

/// Enough to hold the type of a bootstrap message.
constexpr std::size_t kTellingBytes = 6;

/// Peeks until `buffer` holds kTellingBytes or there will not be more. The result is how many there
/// are.
Result<std::size_t> PeekStart(int fd, char* buffer) {
  for (bool ended = false;;) {
    const int got = sys::Peek(fd, buffer, kTellingBytes);
    if (got < 0) return Error::WithCode(got, "failed to look at _LIBCONTAINER_INITPIPE ", fd);
    const auto size = static_cast<std::size_t>(got);
    if (size == 0 || size == kTellingBytes || ended) return size;
    // Peeking does not wait for more, and poll(POLLIN) would return at once. POLLRDHUP alone makes
    // this a short sleep that ends early if the parent closes its end; then one more look shows all
    // there is.
    const int events = sys::Poll(fd, POLLRDHUP, 1);
    if (events < 0)
      return Error::WithCode(events, "failed to wait for _LIBCONTAINER_INITPIPE ", fd);
    ended = events != 0;
  }
}

}  // namespace

Result<Protocol> ChooseProtocol(const Environment& environment) {
  if (environment.init_pid != nullptr) return Protocol::kClassic;
  RETURN_IF_ERROR(RefuseOlderReleases());
  constexpr std::string_view kName = "_LIBCONTAINER_INITPIPE";
  ASSIGN_OR_RETURN(const int pipe, ParseNumber(kName, environment.init_pipe));
  char bytes[kTellingBytes] = {};
  const Result<std::size_t> peeked = PeekStart(pipe, bytes);
  if (!peeked.ok()) {
    if (peeked.error().code() != ENOTSOCK) return peeked.error();
    // No socket, so no parent of 2015. And unlike a socket it can be open for one direction only.
    RETURN_IF_ERROR(ParseOpenFd(kName, environment.init_pipe, O_RDWR));
    return Protocol::kNetlink;
  }
  const std::string_view start(bytes, peeked.value());
  if (!HasBootstrapType(start) && StartsWith(start, "{")) return Protocol::kNone;
  return Protocol::kNetlink;
}

}  // namespace nsenter
