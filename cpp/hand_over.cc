// SPDX-License-Identifier: Apache-2.0

#include "hand_over.h"

#include "clone.h"
#include "gate.h"
#include "sys.h"

#include <cerrno>
#include <csetjmp>
#include <sched.h>

namespace nsenter {
namespace {

/// The launched process's last words.
[[noreturn]] void Leave(const Status& reported, const Log& log) {
  if (!reported.ok()) log.Fatal(reported.error());
  sys::Exit(reported.ok() ? 0 : 1);
}

constexpr char kReported = 'r';  // launched process: the parent knows of you

// With a copy of the memory, the two have a gate between them.

Status PassGate(Gate& gate, const HandOver& hand_over) {
  gate.KeepWaitingEnd();
  RETURN_IF_ERROR(hand_over.prepare.Take());
  ASSIGN_OR_RETURN(const char word, gate.Wait());
  // The launched process has ended before its time. If it failed, it has said so itself.
  if (word != kReported) return Error::AlreadyReported();
  return {};
}

Status ReportAndOpenGate(Gate& gate, const HandOver& hand_over, pid_t init) {
  gate.KeepOpeningEnd();
  RETURN_IF_ERROR(hand_over.report.Take(init));
  return gate.Open(kReported);
}

Status HandOverCopy(const HandOver& hand_over, Log& log) {
  ASSIGN_OR_RETURN(Gate gate, Gate::Make());
  ASSIGN_OR_RETURN(const pid_t init, CloneSibling("the init process"));
  if (init != 0) {
    log.SetProcess(ProcessTag::kLaunched);
    Leave(ReportAndOpenGate(gate, hand_over, init), log);
  }
  log.SetProcess(ProcessTag::kInit);
  return PassGate(gate, hand_over);
}

// With the same memory, the launched process's end is what the init process waits for: then the
// stack that both of them stand on is free, and the init process goes on there.

/// What the two look at while both live, in the frame that the init process goes on in.
struct Handshake {
  std::jmp_buf launched_frame;  // where the init process goes on
  int launched_lives = 1;  // cleared by the kernel when the launched process has let go of memory
  bool reported = false;   // the parent knows of the init process
  Log* log;
};

/// Init process, on a stack of its own, while the launched process still uses the other one.
int WaitForTheLaunchedProcess(void* argument) {
  Handshake& handshake = *static_cast<Handshake*>(argument);
  do {
    const int result = sys::WaitWhile(&handshake.launched_lives, 1);
    if (result < 0 && result != -EAGAIN) {
      Log log = *handshake.log;
      log.SetProcess(ProcessTag::kInit);
      Leave(Error::WithCode(result, "failed to wait for the launched process"), log);
    }
  } while (__atomic_load_n(&handshake.launched_lives, __ATOMIC_ACQUIRE) != 0);
  // It has ended before its time. If it failed, it has said so itself.
  if (!handshake.reported) sys::Exit(1);
  // NOLINTNEXTLINE(cert-err52-cpp): to the other stack, without a destructor in between
  std::longjmp(handshake.launched_frame, 1);
}

/// Returns in the init process. A function of its own, with nothing in its frame that could change
/// between the two returns of setjmp: what does is in `handshake`.
[[gnu::noinline]] Status CloneAndLeave(Handshake& handshake, int* child_tid,
                                       const HandOver& hand_over) {
  // NOLINTNEXTLINE(cert-err52-cpp): see longjmp
  if (setjmp(handshake.launched_frame) != 0) return {};
  ASSIGN_OR_RETURN(const pid_t init,
                   CloneSharingMemory(WaitForTheLaunchedProcess, &handshake,
                                      {CLONE_CHILD_SETTID, child_tid}, "the init process"));
  handshake.log->SetProcess(ProcessTag::kLaunched);
  const Status reported = hand_over.report.Take(init);
  handshake.reported = reported.ok();
  Leave(reported, *handshake.log);
}

Status HandOverSharedMemory(const HandOver& hand_over, Log& log) {
  const ThreadState thread = ThreadState::Find();
  Handshake handshake;
  handshake.log = &log;
  // Before the clone, or an early end would go unnoticed.
  const int result = sys::SetThreadIdAddress(&handshake.launched_lives);
  if (result < 0) return Error::WithCode(result, "failed to set the address of the thread id");
  RETURN_IF_ERROR(CloneAndLeave(handshake, thread.cached_tid(), hand_over));
  log.SetProcess(ProcessTag::kInit);
  return thread.RestoreInSharedMemory();
}

}  // namespace

Status BecomeInitProcess(const HandOver& hand_over, Log& log) {
  if (hand_over.memory == Memory::kShared && sys::CanShareMemory()) {
    return HandOverSharedMemory(hand_over, log);
  }
  return HandOverCopy(hand_over, log);
}

}  // namespace nsenter
