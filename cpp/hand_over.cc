// SPDX-License-Identifier: Apache-2.0

#include "hand_over.h"

#include "channel.h"
#include "clone.h"
#include "init_process.h"
#include "signals.h"
#include "sys.h"

#include <csetjmp>

namespace nsenter {
namespace {

/// Both sides begin with this.
struct HandOverState {
  const HandOver& hand_over;
  Log& log;
  BlockedSignals signals;
  Channel channel;  // on which the init process waits for the launched process
};

/// The launched process's last words. If it fails here, the init process ends: nobody tells it that
/// it was reported.
[[noreturn]] void Leave(Status status, const HandOverState& state) {
  if (status.ok()) status = state.hand_over.leave.Take();
  if (!status.ok()) state.log.Fatal(status.error());
  sys::Exit(status.ok() ? 0 : 1);
}

Status Report(const HandOverState& state, pid_t init) {
  RETURN_IF_ERROR(state.signals.Restore());
  return state.hand_over.report.Take(init);
}

// With a copy of the memory, the init process goes on as soon as it is told.

Status HandOverCopy(HandOverState& state) {
  ASSIGN_OR_RETURN(const pid_t init, CloneCopy(Kinship::kSibling, kInitProcess));
  if (init != 0) {
    state.log.SetProcess(ProcessTag::kLaunched);
    Status reported = Report(state, init);
    if (reported.ok()) reported = state.channel.Send(Word::kReported);
    Leave(reported, state);
  }
  state.log.SetNewProcess(ProcessTag::kInit);
  state.channel.GiveUpSending();
  RETURN_IF_ERROR(state.hand_over.prepare.Take());
  ASSIGN_OR_RETURN(const Word word, state.channel.Receive());
  // The launched process has ended before its time. If it failed, it has said so itself.
  if (word != Word::kReported) return Error::AlreadyReported();
  return {};
}

// With the same memory, the init process waits for the launched process's end. Then the stack on
// which both of them stand is free, and the init process goes on there.

/// The two look at this while both live. It lies in the stack frame in which the init process goes
/// on.
struct Handshake {
  std::jmp_buf launched_frame;  // where the init process goes on
  ChannelEnds ends;
  const Log* log;
  bool reported = false;  // the parent knows of the init process
};

/// Init process, on a stack of its own, while the launched process still uses the other one.
int WaitForTheLaunchedProcess(void* argument) {
  Handshake& handshake = *static_cast<Handshake*>(argument);
  // By number: the launched process's own stays open until it ends, and so does the object that
  // owns it.
  handshake.ends.CloseSending();
  const Status ended = handshake.ends.AwaitEnd();
  if (!ended.ok()) {
    Log log = *handshake.log;
    log.SetNewProcess(ProcessTag::kInit);
    log.Fatal(ended.error());
    sys::Exit(1);
  }
  // It has ended before its time. If it failed, it has said so itself.
  if (!handshake.reported) sys::Exit(1);
  // NOLINTNEXTLINE(cert-err52-cpp): to the other stack, without a destructor in between
  std::longjmp(handshake.launched_frame, 1);
}

/// True in the init process, false in the launched process if memory cannot be shared. It is a
/// function of its own, and nothing in its stack frame changes between the two returns of setjmp.
/// `handshake` has everything that changes.
[[gnu::noinline]] bool CloneAndLeave(Handshake& handshake, HandOverState& state, int* tid_address) {
  // NOLINTNEXTLINE(cert-err52-cpp): see longjmp
  if (setjmp(handshake.launched_frame) != 0) return true;
  const pid_t init =
      CloneSharingMemory(Kinship::kSibling, WaitForTheLaunchedProcess, &handshake, tid_address);
  if (init < 0) return false;
  state.log.SetProcess(ProcessTag::kLaunched);
  state.log.Debug("the init process shares our memory");
  const Status reported = Report(state, init);
  handshake.reported = reported.ok();
  Leave(reported, state);
}

/// True in the init process; false: nothing has happened, and `ret_reason` says why.
Result<bool> HandOverSharedMemory(HandOverState& state, std::string_view& ret_reason) {
  ThreadState thread = ThreadState::Find();
  ret_reason = thread.FindWhatSharingLoses();
  if (!ret_reason.empty()) return false;
  Handshake handshake;
  handshake.ends = state.channel.ends();
  handshake.log = &state.log;
  if (!CloneAndLeave(handshake, state, thread.tid_address())) {
    ret_reason = "a process that shares memory is refused";
    return false;
  }
  state.channel.ForgetSending();
  state.log.SetNewProcess(ProcessTag::kInit);
  RETURN_IF_ERROR(thread.RestoreInSharedMemory());
  return true;
}

/// Returns in the init process, with signals blocked.
Status BecomeInit(HandOverState& state) {
  std::string_view reason = ReasonToCopy(state.hand_over.init);
  if (reason.empty()) {
    ASSIGN_OR_RETURN(const bool shared, HandOverSharedMemory(state, reason));
    if (shared) return {};
  }
  state.log.Debug("the init process has a copy of our memory: ", reason);
  return HandOverCopy(state);
}

}  // namespace

Status BecomeInitProcess(const HandOver& hand_over, Log& log) {
  HandOverState state = {.hand_over = hand_over, .log = log, .signals = {}, .channel = {}};
  ASSIGN_OR_RETURN(state.channel, Channel::Make(kLaunchedProcess, kInitProcess));
  RETURN_IF_ERROR(state.signals.Block());
  RETURN_IF_ERROR(BecomeInit(state));
  // Init process, from here on. The launched process's session may end at any moment.
  if (!hand_over.prepare.exists()) RETURN_IF_ERROR(StartSession());
  RETURN_IF_ERROR(BlockedSignals::DropHangUp());
  return state.signals.Restore();
}

}  // namespace nsenter
