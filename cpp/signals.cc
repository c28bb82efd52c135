// SPDX-License-Identifier: Apache-2.0

#include "signals.h"

#include <cerrno>

namespace nsenter {

Status IgnoredSigpipe::Start() {
  const sys::SignalAction ignore = {.handler = SIG_IGN};
  RETURN_IF_ERROR(
      Check(sys::SetSignalAction(SIGPIPE, ignore, &before_), "failed to ignore SIGPIPE"));
  return {};
}

Status IgnoredSigpipe::End() const {
  RETURN_IF_ERROR(
      Check(sys::SetSignalAction(SIGPIPE, before_, nullptr), "failed to stop ignoring SIGPIPE"));
  return {};
}

Status BlockedSignals::Block() {
  RETURN_IF_ERROR(Check(sys::SetSignalMask(sys::kAllSignals, &before_), "failed to block signals"));
  return {};
}

Status BlockedSignals::Restore() const {
  RETURN_IF_ERROR(Check(sys::SetSignalMask(before_, nullptr), "failed to unblock signals"));
  return {};
}

Status BlockedSignals::DropHangUp() {
  const int result = sys::TakeSignal(SIGHUP);
  if (result == -EAGAIN) return {};  // there is none
  RETURN_IF_ERROR(Check(result, "failed to drop SIGHUP"));
  return {};
}

}  // namespace nsenter
