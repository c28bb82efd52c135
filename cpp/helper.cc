// SPDX-License-Identifier: Apache-2.0

#include "helper.h"

#include "clone.h"
#include "id_map_writer.h"
#include "sys.h"

#include <cerrno>
#include <poll.h>
#include <sched.h>

namespace nsenter {
namespace {

// What the two say to each other: one byte each. Through a socket, but where they share memory the
// answer lies there, and is taken when the helper has ended.
constexpr char kWrite = 'w';   // launched process: I am in the new user namespace, write its maps
constexpr char kDone = 'd';    // helper: written
constexpr char kFailed = 'f';  // helper: not written, and I have said why

// The kernel tells with CLONE_CHILD_CLEARTID when a helper has let go of our memory. musl's
// clone(3) refuses that from 1.2.5 on.
#ifdef __GLIBC__
constexpr bool kHelperCanShareMemory = true;
#else
constexpr bool kHelperCanShareMemory = false;
#endif

/// All that the helper needs to know, and its answer.
struct Work {
  int helpers_end;  // of the socket, or of the pipe that takes its place with shared memory
  int others_end;   // the launched process's, of which the helper has a copy
  bool shares_memory;
  pid_t launched;
  const Bootstrap* bootstrap;
  const OwnProc* proc;
  const Log* log;       // the helper's, until it has a copy with its tag
  SharedAnswer shared;  // with shared memory
};

// Not in a frame of the launched process, which may fail and leave that while the helper, with the
// same memory, has not even run yet. What the pointers point to is used only while the launched
// process waits, but for the log, which lives as long as any of us. Zero
// at first, which puts it beside other memory that is written to, and not on a page of its own.
constinit Work work = {};

Status Answer(char answer) {
  if (work.shares_memory) {
    work.shared.answer = answer;
    return {};
  }
  const int written = sys::Write(work.helpers_end, &answer, sizeof(answer));
  // The launched process has ended. If it failed, it has said so itself.
  if (written == -EPIPE) return Error::AlreadyReported();
  if (written < 0)
    return Error::WithCode(written, "failed to send a message to the launched process");
  return {};
}

/// What the helper does until it is no longer needed.
Status Serve(const Log& log) {
  char message = 0;
  const int got = sys::Read(work.helpers_end, &message, sizeof(message));
  if (got < 0) return Error::WithCode(got, "failed to read the launched process's request");
  // The launched process has ended. If it failed, it has said so itself.
  if (got == 0) return Error::AlreadyReported();
  if (message != kWrite) return Error::Of("the launched process made an unknown request");
  RETURN_IF_ERROR(WriteIdMaps(*work.bootstrap, *work.proc, work.launched, MapWriter::kOutside));
  log.Debug("wrote the id maps of process ", work.launched);
  return Answer(kDone);
}

/// Whether the other end is closed, which only the launched process has.
bool IsLaunchedGone() {
  const int events = sys::Poll(work.helpers_end, 0, 0);
  return events > 0 && (events & POLLHUP) != 0;
}

int RunHelper(void* /*argument*/) {
  // Or the end of the launched process would go unnoticed. By number: that process's own stays
  // open, and so does the object that owns it.
  sys::Close(work.others_end);
  Log log = *work.log;
  log.SetProcess(ProcessTag::kHelper);
  const Status served = Serve(log);
  if (served.ok()) sys::Exit(0);
  // If the launched process has ended meanwhile, that is why its maps could not be written, and if
  // it failed, it has said so itself.
  if (!IsLaunchedGone()) log.Fatal(served.error());
  // If this fails too, the launched process sees our end instead.
  static_cast<void>(Answer(kFailed));
  sys::Exit(1);
}

Result<pid_t> CloneHelper() {
  constexpr std::string_view kWhat = "the helper";
  if (work.shares_memory) {
    return CloneSharingMemory(RunHelper, nullptr, {CLONE_CHILD_CLEARTID, &work.shared.helper_lives},
                              kWhat);
  }
  const Result<pid_t> pid = CloneSibling(kWhat);
  if (pid.ok() && pid.value() == 0) RunHelper(nullptr);
  return pid;
}

/// Waits until a helper with our memory has let go of it, and with it of our frames and of the
/// stack that the init process needs.
char AnswerInSharedMemory() {
  do {
    const int result = sys::WaitWhile(&work.shared.helper_lives, 1);
    if (result == 0 || result == -EAGAIN) continue;
    // Not carried up: our frames must not change while the helper may use them.
    work.log->Fatal(Error::WithCode(result, "failed to wait for the helper's end"));
    sys::Exit(1);
  } while (__atomic_load_n(&work.shared.helper_lives, __ATOMIC_ACQUIRE) != 0);
  return work.shared.answer;
}

Result<char> AnswerThroughSocket(int socket) {
  char answer = '\0';
  const int got = sys::Read(socket, &answer, sizeof(answer));
  // A helper that was killed before it read the request leaves a reset connection.
  if (got < 0 && got != -ECONNRESET) {
    return Error::WithCode(got, "failed to read the helper's answer");
  }
  return answer;
}

}  // namespace

Result<Helper> Helper::Start(const Bootstrap& bootstrap, const OwnProc& proc, Memory memory,
                             const Log& log) {
  const bool shared = kHelperCanShareMemory && memory == Memory::kShared;
  int ends[2];
  const int result = shared ? sys::Pipe(ends) : sys::SocketPair(ends);
  if (result < 0) {
    return Error::WithCode(result, "failed to create a ", shared ? "pipe" : "socket",
                           " for the helper");
  }
  const UniqueFd helpers_end(ends[0]);
  Helper helper;
  helper.end_.Reset(ends[1]);
  helper.shares_memory_ = shared;
  work = {.helpers_end = ends[0],
          .others_end = ends[1],
          .shares_memory = shared,
          .launched = sys::ProcessId(),
          .bootstrap = &bootstrap,
          .proc = &proc,
          .log = &log,
          .shared = {.helper_lives = 1, .answer = '\0'}};
  ASSIGN_OR_RETURN(helper.pid_, CloneHelper());
  return helper;
}

Status Helper::WriteMaps() const {
  const int written = sys::Write(end_.get(), &kWrite, sizeof(kWrite));
  // A helper that is gone (EPIPE) is found when its answer is taken: it may have said why.
  if (written < 0 && written != -EPIPE) {
    return Error::WithCode(written, "failed to ask the helper for the id maps");
  }
  char answer = '\0';
  if (shares_memory_) {
    answer = AnswerInSharedMemory();
  } else {
    ASSIGN_OR_RETURN(answer, AnswerThroughSocket(end_.get()));
  }
  switch (answer) {
    case kDone:
      return {};
    case kFailed:
      return Error::AlreadyReported();
    case '\0':
      return Error::Of("the helper ended before it had written the id maps");
    default:
      return Error::Of("the helper gave an unknown answer");
  }
}

}  // namespace nsenter
