// SPDX-License-Identifier: Apache-2.0

#include "netlink.h"

#include "hand_over.h"
#include "init_process.h"
#include "launched_process.h"
#include "message_reader.h"
#include "netlink_message.h"
#include "reply.h"
#include "sys.h"
#include "working_copy.h"

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

Status ServeNetlink(int pipe, WorkingCopy& copy, Log& log) {
  log.Debug("=> nsexec container setup");
  LogAffinity(log);

  MessageReader message;
  RETURN_IF_ERROR(message.ReadFrom(pipe));
  ASSIGN_OR_RETURN(const Bootstrap bootstrap, ParseAttributes(message.attributes()));

  // After the message has been read: the parent has put us into the container's cgroup before it.
  RETURN_IF_ERROR(copy.MakeIfThreads(log));
  const Kinship helpers = copy.exists() ? Kinship::kChild : Kinship::kSibling;
  ASSIGN_OR_RETURN(const pid_t helper, EnterNamespaces(bootstrap, helpers, log));

  pid_t stage1 = helper != 0 ? helper : kNobody;
  if (copy.exists()) stage1 = sys::ProcessId();
  const auto report = [&](pid_t init) -> Status {
    log.Debug("created init process ", init);
    RETURN_IF_ERROR(copy.RequireLaunchedProcess());
    // A parent that reaps all children may have taken the helper already, and the init process may
    // have got its number. Then `stage1_pid` would name the init process, and the parent would wait
    // for it instead.
    return WriteNetlinkReply(pipe, stage1 == init ? kNobody : stage1, init);
  };
  const auto leave = [&] { return copy.Finish(); };
  RETURN_IF_ERROR(
      BecomeInitProcess({.init = {.enters_time_namespace = bootstrap.Creates(CLONE_NEWTIME)},
                         .report = report,
                         .leave = leave,
                         .prepare = {}},
                        log));

  // Init process, from here on. The parent knows of us.
  RETURN_IF_ERROR(TakeInitName());
  log.Debug("<= nsexec container setup");
  return {};
}

}  // namespace nsenter
