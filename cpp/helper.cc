// SPDX-License-Identifier: Apache-2.0

#include "helper.h"

#include "clone.h"
#include "id_map_writer.h"
#include "sys.h"

#include <cerrno>

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

/// What the helper does until it is no longer needed.
Status Serve(int socket, pid_t launched, const Bootstrap& bootstrap, const OwnProc& proc,
             const Log& log) {
  char message = 0;
  const int got = sys::Read(socket, &message, sizeof(message));
  if (got < 0) return Error::WithCode(got, "failed to read the launched process's request");
  // The launched process has ended. If it failed, it has said so itself.
  if (got == 0) return Error::AlreadyReported();
  if (message != kWrite) return Error::Of("the launched process made an unknown request");
  RETURN_IF_ERROR(WriteIdMaps(bootstrap, proc, launched, MapWriter::kOutside));
  log.Debug("wrote the id maps of process ", launched);
  return Send(socket, kDone);
}

[[noreturn]] void RunHelper(int socket, pid_t launched, const Bootstrap& bootstrap,
                            const OwnProc& proc, Log log) {
  log.SetProcess(ProcessTag::kHelper);
  const Status served = Serve(socket, launched, bootstrap, proc, log);
  if (served.ok()) sys::Exit(0);
  log.Fatal(served.error());
  // If this fails too, the launched process sees our end instead.
  sys::Write(socket, &kFailed, sizeof(kFailed));
  sys::Exit(1);
}

}  // namespace

Result<Helper> Helper::Start(const Bootstrap& bootstrap, const OwnProc& proc, const Log& log) {
  int ends[2];
  const int result = sys::SocketPair(ends);
  if (result < 0) return Error::WithCode(result, "failed to create a socket for the helper");
  Helper helper;
  helper.socket_.Reset(ends[0]);
  const UniqueFd helpers_end(ends[1]);
  const pid_t launched = sys::ProcessId();
  ASSIGN_OR_RETURN(helper.pid_, CloneSibling("the helper"));
  if (helper.pid_ == 0) {
    helper.socket_.Reset();  // or the end of the launched process would go unnoticed
    RunHelper(helpers_end.get(), launched, bootstrap, proc, log);
  }
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
  // A helper that was killed before it read the request leaves a reset connection.
  if (got == 0 || got == -ECONNRESET) {
    return Error::Of("the helper ended before it had written the id maps");
  }
  if (got < 0) return Error::WithCode(got, "failed to read the helper's answer");
  if (answer == kFailed) return Error::AlreadyReported();
  if (answer != kDone) return Error::Of("the helper gave an unknown answer");
  return {};
}

}  // namespace nsenter
