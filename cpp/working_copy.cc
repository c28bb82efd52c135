// SPDX-License-Identifier: Apache-2.0

#include "working_copy.h"

#include "caller.h"
#include "clone.h"
#include "sys.h"

namespace nsenter {
namespace {

constexpr const char* kWorkingCopy = "the copy of the process that has one thread";

/// Launched process.
[[noreturn]] void EndAsTheCopyDoes(const Channel& result, const Log& log) {
  const Result<Word> word = result.Receive();
  if (!word.ok()) {
    log.Fatal(word.error());
  } else if (word.value() == Word::kReported) {
    sys::Exit(0);
  } else if (word.value() == Word::kEnded) {
    log.Fatal(Error::Of(kWorkingCopy, " ended before it had said that all is done"));
  }
  sys::Exit(1);
}

}  // namespace

Status WorkingCopy::MakeIfThreads(Log& log) {
  if (!HasThreads()) return {};
  ASSIGN_OR_RETURN(result_, Channel::Make(kWorkingCopy, kLaunchedProcess));
  ASSIGN_OR_RETURN(launched_, Channel::Make(kLaunchedProcess, kWorkingCopy));
  ASSIGN_OR_RETURN(const pid_t pid, CloneCopy(Kinship::kSibling, kWorkingCopy));
  if (pid != 0) {
    result_.GiveUpSending();
    log.Debug("there are other threads: process ", pid, " goes on, which has one");
    EndAsTheCopyDoes(result_, log);
  }
  launched_.GiveUpSending();
  log.TellFailureTo(result_.ends().sending);
  return {};
}

Status WorkingCopy::RequireLaunchedProcess() const {
  if (exists() && launched_.HasEnded()) return Error::AlreadyReported();
  return {};
}

Status WorkingCopy::Finish() const { return exists() ? result_.Send(Word::kReported) : Status(); }

}  // namespace nsenter
