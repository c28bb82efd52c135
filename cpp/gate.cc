// SPDX-License-Identifier: Apache-2.0

#include "gate.h"

#include "sys.h"

#include <cerrno>
#include <unistd.h>

namespace nsenter {
namespace {

Status MoveAboveStdio(UniqueFd& fd) {
  if (fd.get() > STDERR_FILENO) return {};
  const int moved = sys::DuplicateAbove(fd.get(), STDERR_FILENO + 1);
  if (moved < 0) {
    return Error::WithCode(moved, "failed to move a pipe away from standard input and output");
  }
  fd.Reset(moved);
  return {};
}

}  // namespace

Result<Gate> Gate::Make() {
  int ends[2];
  const int result = sys::Pipe(ends);
  if (result < 0) return Error::WithCode(result, "failed to create a pipe for the init process");
  Gate gate;
  gate.waiting_end_.Reset(ends[0]);
  gate.opening_end_.Reset(ends[1]);
  RETURN_IF_ERROR(MoveAboveStdio(gate.waiting_end_));
  RETURN_IF_ERROR(MoveAboveStdio(gate.opening_end_));
  return gate;
}

Result<char> Gate::Wait() const {
  char word = 0;
  const int got = sys::Read(waiting_end_.get(), &word, sizeof(word));
  if (got < 0) return Error::WithCode(got, "failed to wait at the gate");
  return got == 0 ? '\0' : word;
}

Status Gate::Open(char word) const {
  const int written = sys::Write(opening_end_.get(), &word, sizeof(word));
  if (written == -EPIPE) return Error::AlreadyReported();
  if (written < 0) return Error::WithCode(written, "failed to open the gate");
  return {};
}

}  // namespace nsenter
