// SPDX-License-Identifier: Apache-2.0

#include "helper.h"

#include "id_map_writer.h"
#include "memory.h"
#include "signals.h"
#include "sys.h"

namespace nsenter {
namespace {

/// All that the helper needs to know.
struct Work {
  // Zero too, and not what these begin as elsewhere.
  ChannelEnds request = {0, 0, nullptr, nullptr};
  ChannelEnds answer = {0, 0, nullptr, nullptr};
  pid_t launched = 0;
  const Bootstrap* bootstrap = nullptr;
  const OwnProc* proc = nullptr;
  const Log* log = nullptr;  // the launched process's
  BlockedSignals signals;
  bool shares_memory = false;
  bool maps_written = false;  // where memory is shared
};

// Not in a stack frame of the launched process. That one may fail and leave the stack frame while
// the helper, with the same memory, has not even run yet. The pointers are used only while the
// launched process waits. The log is the exception: it lives as long as our processes. The value is
// zero at first, which puts it beside other memory that is written to, and not on a page of its
// own.
constinit Work work = {};

// The helper's side.

/// The work of the helper, until it is no longer needed.
Status Serve(const Log& log) {
  ASSIGN_OR_RETURN(const Word word, work.request.Receive());
  // The launched process has ended. If it failed, it has said so itself.
  if (word == Word::kEnded) return Error::AlreadyReported();
  if (word != Word::kWriteMaps) return Error::Of("the launched process made an unknown request");
  RETURN_IF_ERROR(WriteIdMaps(*work.bootstrap, *work.proc, work.launched, {&work.signals}));
  log.Debug("wrote the id maps of process ", work.launched);
  if (!work.shares_memory) return work.answer.Send(Word::kMapsWritten);
  // The launched process waits for our end anyhow, and our end says it too. A word before that
  // would wake the launched process once more, and it would go back to sleep.
  work.maps_written = true;
  return {};
}

/// Signals stay blocked here: a handler would run on memory that is not this process's alone.
int RunHelper(void* /*argument*/) {
  // By number: the launched process's own stays open, and so does the object that owns it.
  work.request.CloseSending();
  Log log = *work.log;
  log.SetNewProcess(ProcessTag::kHelper);
  log.TellFailureTo(work.answer.sending);
  const Status served = Serve(log);
  if (served.ok()) sys::Exit(0);
  // If the launched process has ended meanwhile, that is why its maps could not be written, and if
  // it failed, it has said so itself.
  if (!work.request.HasEnded()) log.Fatal(served.error());
  sys::Exit(1);
}

// The launched process's side.

Result<pid_t> CloneHelper(Kinship kinship, bool out_of_reach, const Log& log, bool& ret_shares) {
  std::string_view reason = ReasonToCopy({.has_more_privileges = !out_of_reach});
  if (reason.empty()) {
    work.shares_memory = true;
    // Nothing that libc knows of the thread is needed there.
    const pid_t pid = CloneSharingMemory(kinship, RunHelper, nullptr, nullptr);
    ret_shares = pid >= 0;
    if (ret_shares) return pid;
    work.shares_memory = false;
    reason = "a process that shares memory is refused";
  }
  log.Debug("the helper has a copy of our memory: ", reason);
  const Result<pid_t> pid = CloneCopy(kinship, kHelperProcess);
  if (pid.ok() && pid.value() == 0) RunHelper(nullptr);
  return pid;
}

}  // namespace

Result<Helper> Helper::Start(const Bootstrap& bootstrap, const OwnProc& proc, Kinship kinship,
                             bool out_of_reach, Log& log) {
  Helper helper;
  helper.kinship_ = kinship;
  ASSIGN_OR_RETURN(helper.request_, Channel::Make(kLaunchedProcess, kHelperProcess));
  ASSIGN_OR_RETURN(helper.answer_, Channel::Make(kHelperProcess, kLaunchedProcess));
  work = {.request = helper.request_.ends(),
          .answer = helper.answer_.ends(),
          .launched = sys::ProcessId(),
          .bootstrap = &bootstrap,
          .proc = &proc,
          .log = &log,
          .signals = {},
          .shares_memory = false,
          .maps_written = false};
  RETURN_IF_ERROR(work.signals.Block());
  ASSIGN_OR_RETURN(helper.pid_, CloneHelper(kinship, out_of_reach, log, helper.shares_memory_));
  log.SetProcess(ProcessTag::kLaunched);
  RETURN_IF_ERROR(work.signals.Restore());
  helper.answer_.GiveUpSending();
  return helper;
}

Status Helper::WriteMaps() {
  RETURN_IF_ERROR(request_.Send(Word::kWriteMaps));
  Result<Word> answer = answer_.Receive();
  if (answer.ok() && answer.value() == Word::kEnded && work.maps_written) {
    answer = Word::kMapsWritten;
  }
  if (shares_memory_) {
    // When the helper lets go of its memory, it lets go of our stack frames, and of the stack that
    // the init process needs. Until then they must not change, so the core does not carry a failure
    // up.
    const Status gone = answer.ok() ? answer_.ends().AwaitEnd() : answer.error();
    if (!gone.ok()) {
      // Only one of two processes reports a failure: this one is silent after the helper's own
      // line.
      const bool told = answer.ok() && answer.value() == Word::kFailed;
      work.log->Fatal(told ? Error::AlreadyReported() : gone.error());
      sys::Exit(1);
    }
  }
  if (!answer.ok()) return answer.error();
  if (kinship_ == Kinship::kChild) {
    int status = 0;  // it has said how it went; and if SIGCHLD is ignored, it is reaped already
    sys::Wait(pid_, &status);
  }
  switch (answer.value()) {
    case Word::kMapsWritten:
      return {};
    case Word::kFailed:
      return Error::AlreadyReported();
    case Word::kEnded:
      return Error::Of("the helper ended before it had written the id maps");
    default:
      return Error::Of("the helper gave an unknown answer");
  }
}

}  // namespace nsenter
