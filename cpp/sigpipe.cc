// SPDX-License-Identifier: Apache-2.0

#include "sigpipe.h"

#include "sys.h"

namespace nsenter {

Status IgnoredSigpipe::Start() {
  struct sigaction ignore = {};
  ignore.sa_handler = SIG_IGN;
  const int result = sys::SetSignalAction(SIGPIPE, &ignore, &before_);
  if (result < 0) return Error::WithCode(result, "failed to ignore SIGPIPE");
  return {};
}

Status IgnoredSigpipe::End() const {
  const int result = sys::SetSignalAction(SIGPIPE, &before_, nullptr);
  if (result < 0) return Error::WithCode(result, "failed to stop ignoring SIGPIPE");
  return {};
}

}  // namespace nsenter
