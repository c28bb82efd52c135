// SPDX-License-Identifier: Apache-2.0

#include "netlink.h"

#include "hand_over.h"
#include "init_process.h"
#include "launched_process.h"
#include "message_reader.h"
#include "netlink_message.h"
#include "reply.h"
#include "sys.h"

#include <climits>
#include <cstdint>

namespace nsenter {
namespace {

/// The text programs look for to see that the parent has reset our affinity: the first 64 CPUs.
void LogAffinity(const Log& log) {
  if (!log.SaysDebug()) return;
  // Room for 8,192 CPUs, the most that Linux can be built for: with less room than CPUs the call
  // fails.
  constexpr std::size_t kWords = 8192 / (sizeof(unsigned long) * CHAR_BIT);
  unsigned long mask[kWords] = {};
  const int size = sys::Affinity(mask, sizeof(mask));
  if (size < 0) return;
  std::uint64_t cpus = mask[0];
  if constexpr (sizeof(unsigned long) < sizeof(cpus)) {
    cpus |= static_cast<std::uint64_t>(mask[1]) << 32U;
  }
  FixedText<16> digits;
  for (int shift = 60; shift >= 0; shift -= 4) {
    const auto digit = static_cast<std::size_t>((cpus >> static_cast<unsigned>(shift)) & 0xfU);
    if (digit == 0 && digits.size() == 0 && shift != 0) continue;  // no leading zeros
    digits.Append("0123456789abcdef"[digit]);
  }
  log.Debug("affinity: 0x", digits.view());
}

}  // namespace

Status ServeNetlink(const Environment& environment, Log& log) {
  ASSIGN_OR_RETURN(const int pipe, ParseNumber("_LIBCONTAINER_INITPIPE", environment.init_pipe));
  log.Debug("=> nsexec container setup");
  LogAffinity(log);

  MessageReader message;
  RETURN_IF_ERROR(message.ReadFrom(pipe));
  ASSIGN_OR_RETURN(const Bootstrap bootstrap, ParseMessage(message.view()));

  ASSIGN_OR_RETURN(const pid_t stage1, EnterNamespaces(bootstrap, log));

  const auto report = [&](pid_t init) -> Status {
    log.Debug("created init process ", init);
    // A parent that reaps whoever ends has taken the helper already if the init process has got its
    // number. Then there is no stage 1 any more, and it would wait for the init process instead.
    return WriteNetlinkReply(pipe, stage1 == init ? sys::ParentProcessId() : stage1, init);
  };
  const Memory memory = bootstrap.Creates(CLONE_NEWTIME) ? Memory::kCopied : Memory::kShared;
  RETURN_IF_ERROR(BecomeInitProcess({.memory = memory, .report = report, .prepare = {}}, log));

  // Init process, from here on. The parent knows of us.
  RETURN_IF_ERROR(StartSession());
  RETURN_IF_ERROR(TakeInitName());
  log.Debug("<= nsexec container setup");
  return {};
}

}  // namespace nsenter
