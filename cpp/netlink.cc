// SPDX-License-Identifier: Apache-2.0

#include "netlink.h"

#include "clone.h"
#include "gate.h"
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

constexpr char kReported = 'r';  // launched process: the parent knows of you

/// Init process: waits until the parent knows of it.
Result<Next> GoOnAsInitProcess(Gate& gate, Log& log) {
  log.SetProcess(ProcessTag::kInit);
  gate.KeepWaitingEnd();
  ASSIGN_OR_RETURN(const char word, gate.Wait());
  // The launched process has ended before its time. If it failed, it has said so itself.
  if (word != kReported) return Error::AlreadyReported();
  RETURN_IF_ERROR(StartSession());
  RETURN_IF_ERROR(TakeInitName());
  log.Debug("<= nsexec container setup");
  return Next::kGoOn;
}

/// Launched process: tells the parent of `init`, which from then on is the parent's.
Result<Next> ReportAndLeave(int pipe, pid_t stage1, pid_t init, Gate& gate, Log& log) {
  log.SetProcess(ProcessTag::kLaunched);
  gate.KeepOpeningEnd();
  log.Debug("created init process ", init);
  RETURN_IF_ERROR(WriteNetlinkReply(pipe, stage1, init));
  RETURN_IF_ERROR(gate.Open(kReported));
  return Next::kLeave;
}

}  // namespace

Result<Next> ServeNetlink(const Environment& environment, Log& log) {
  ASSIGN_OR_RETURN(const int pipe, ParseNumber("_LIBCONTAINER_INITPIPE", environment.init_pipe));
  log.Debug("=> nsexec container setup");
  LogAffinity(log);

  MessageReader message;
  RETURN_IF_ERROR(message.ReadFrom(pipe));
  ASSIGN_OR_RETURN(const Bootstrap bootstrap, ParseMessage(message.view()));

  ASSIGN_OR_RETURN(const pid_t stage1, EnterNamespaces(bootstrap, log));

  ASSIGN_OR_RETURN(Gate gate, Gate::Make());
  ASSIGN_OR_RETURN(const pid_t init, CloneSibling("the init process"));
  if (init == 0) return GoOnAsInitProcess(gate, log);
  return ReportAndLeave(pipe, stage1, init, gate, log);
}

}  // namespace nsenter
