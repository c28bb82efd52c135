// SPDX-License-Identifier: Apache-2.0

#include "init_process.h"

#include "sys.h"

#include <unistd.h>

namespace nsenter {

Status StartSession() {
  RETURN_IF_ERROR(Check(sys::NewSession(), "failed to start a session"));
  return {};
}

Status TakeInitName() {
  RETURN_IF_ERROR(
      Check(sys::SetName(kInitProcessName), "failed to take the name ", kInitProcessName));
  return {};
}

Status TakeConsole(int console) {
  RETURN_IF_ERROR(Check(sys::MakeControllingTerminal(console),
                        "failed to make the console the controlling terminal"));
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    RETURN_IF_ERROR(Check(sys::DuplicateTo(console, fd), "failed to put the console on fd ", fd));
  }
  return {};
}

}  // namespace nsenter
