// SPDX-License-Identifier: Apache-2.0

#include "init_process.h"

#include "sys.h"

#include <unistd.h>

namespace nsenter {

Status StartSession() {
  const int result = sys::NewSession();
  if (result < 0) return Error::WithCode(result, "failed to start a session");
  return {};
}

Status TakeInitName() {
  const int result = sys::SetName(kInitProcessName);
  if (result < 0) return Error::WithCode(result, "failed to take the name ", kInitProcessName);
  return {};
}

Status TakeConsole(int console) {
  int result = sys::MakeControllingTerminal(console);
  if (result < 0)
    return Error::WithCode(result, "failed to make the console the controlling terminal");
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    result = sys::DuplicateTo(console, fd);
    if (result < 0) return Error::WithCode(result, "failed to put the console on fd ", fd);
  }
  return {};
}

}  // namespace nsenter
