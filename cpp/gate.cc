// SPDX-License-Identifier: Apache-2.0

#include "gate.h"

#include "sys.h"

#include <cerrno>

namespace nsenter {
Result<Gate> Gate::Make() {
  int ends[2];
  const int result = sys::Pipe(ends);
  if (result < 0) return Error::WithCode(result, "failed to create a pipe for the init process");
  Gate gate;
  gate.waiting_end_.Reset(ends[0]);
  gate.opening_end_.Reset(ends[1]);
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
  // EPIPE: nobody waits any more. What ended the other process is its own to say.
  if (written < 0 && written != -EPIPE) return Error::WithCode(written, "failed to open the gate");
  return {};
}

}  // namespace nsenter
