// SPDX-License-Identifier: Apache-2.0

#include "helper.h"

#include "clone.h"
#include "id_map_writer.h"
#include "sys.h"

#include <cerrno>
#include <poll.h>

namespace nsenter {
namespace {

// What the two say to each other: one byte each.
constexpr char kWrite = 'w';   // launched process: I am in the new user namespace, write its maps
constexpr char kDone = 'd';    // helper: written
constexpr char kFailed = 'f';  // helper: not written, and I have said why

Status Send(int socket, char message) {
  const int written = sys::Write(socket, &message, sizeof(message));
  // The launched process has ended. If it failed, it has said so itself.
  if (written == -EPIPE) return Error::AlreadyReported();
  if (written < 0)
    return Error::WithCode(written, "failed to send a message to the launched process");
  return {};
}

/// All that the helper needs to know.
struct Work {
  int socket = -1;      // the helper's end
  int others_end = -1;  // the launched process's, of which the helper has a copy
  pid_t launched = 0;
  const Bootstrap* bootstrap = nullptr;
  const OwnProc* proc = nullptr;
  Log log{""};
};

// Not in a frame of the launched process, which may fail and leave that while the helper, with the
// same memory, has not even run yet. What the pointers point to is used only while the launched
// process waits.
constinit Work work = {};

/// What the helper does until it is no longer needed.
Status Serve() {
  char message = 0;
  const int got = sys::Read(work.socket, &message, sizeof(message));
  if (got < 0) return Error::WithCode(got, "failed to read the launched process's request");
  // The launched process has ended. If it failed, it has said so itself.
  if (got == 0) return Error::AlreadyReported();
  if (message != kWrite) return Error::Of("the launched process made an unknown request");
  RETURN_IF_ERROR(WriteIdMaps(*work.bootstrap, *work.proc, work.launched, MapWriter::kOutside));
  work.log.Debug("wrote the id maps of process ", work.launched);
  return Send(work.socket, kDone);
}

/// Whether the other end of the socket is closed, which only the launched process has.
bool IsLaunchedGone() {
  const int events = sys::Poll(work.socket, 0, 0);
  return events > 0 && (events & POLLHUP) != 0;
}

int RunHelper(void* /*argument*/) {
  // Or the end of the launched process would go unnoticed. By number: that process's own stays
  // open, and so does the object that owns it.
  sys::Close(work.others_end);
  work.log.SetProcess(ProcessTag::kHelper);
  const Status served = Serve();
  if (served.ok()) sys::Exit(0);
  // If the launched process has ended meanwhile, that is why its maps could not be written, and if
  // it failed, it has said so itself.
  if (!IsLaunchedGone()) work.log.Fatal(served.error());
  // If this fails too, the launched process sees our end instead.
  sys::Write(work.socket, &kFailed, sizeof(kFailed));
  sys::Exit(1);
}

Result<pid_t> CloneHelper(bool share_memory) {
  constexpr std::string_view kWhat = "the helper";
  if (share_memory) return CloneSharingMemory(RunHelper, nullptr, nullptr, kWhat);
  const Result<pid_t> pid = CloneSibling(kWhat);
  if (pid.ok() && pid.value() == 0) RunHelper(nullptr);
  return pid;
}

}  // namespace

Result<Helper> Helper::Start(const Bootstrap& bootstrap, const OwnProc& proc, Memory memory,
                             const Log& log) {
  int ends[2];
  const int result = sys::SocketPair(ends);
  if (result < 0) return Error::WithCode(result, "failed to create a socket for the helper");
  Helper helper;
  helper.socket_.Reset(ends[0]);
  const UniqueFd helpers_end(ends[1]);
  helper.shares_memory_ = memory == Memory::kShared;
  work = {ends[1], ends[0], sys::ProcessId(), &bootstrap, &proc, log};
  ASSIGN_OR_RETURN(helper.pid_, CloneHelper(helper.shares_memory_));
  return helper;
}

Status Helper::WriteMaps() const {
  const int written = sys::Write(socket_.get(), &kWrite, sizeof(kWrite));
  // A helper that is gone (EPIPE) is found when its answer is read: it may have said why.
  if (written < 0 && written != -EPIPE) {
    return Error::WithCode(written, "failed to ask the helper for the id maps");
  }
  char answer = 0;
  const int got = sys::Read(socket_.get(), &answer, sizeof(answer));
  // Whatever that was: a helper with our memory uses our frames, which must not change until it is
  // gone. Its descriptors are closed after it has let go of the memory.
  const int end = shares_memory_ ? WaitForEnd() : 0;
  // A helper that was killed before it read the request leaves a reset connection.
  if (got == 0 || got == -ECONNRESET) {
    return Error::Of("the helper ended before it had written the id maps");
  }
  if (got < 0) return Error::WithCode(got, "failed to read the helper's answer");
  if (answer == kFailed) return Error::AlreadyReported();
  if (answer != kDone) return Error::Of("the helper gave an unknown answer");
  if (end < 0) return Error::WithCode(end, "failed to wait for the helper's end");
  return {};
}

int Helper::WaitForEnd() const {
  char ignored = 0;
  int got = 1;
  while (got > 0) got = sys::Read(socket_.get(), &ignored, sizeof(ignored));
  return got == -ECONNRESET ? 0 : got;
}

}  // namespace nsenter
