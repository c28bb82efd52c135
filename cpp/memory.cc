// SPDX-License-Identifier: Apache-2.0

#include "memory.h"

#include "machine.h"
#include "sys.h"

#include <cstdlib>

namespace nsenter {
namespace {

/// Empty is not set, as with every variable of ours.
bool IsSet(const char* name) {
  const char* const value = getenv(name);
  return value != nullptr && *value != '\0';
}

/// Before Linux 4.8. Kernels before 4.3 create no user namespace for a process whose memory a
/// helper shares. Nobody has tried the kernels in between. (gVisor says that it is 4.4.)
bool IsOldKernel() {
  utsname name = {};
  if (sys::SystemName(&name) < 0) return true;
  int version[2] = {};
  const char* character = name.release;
  for (int& number : version) {
    while (*character >= '0' && *character <= '9') number = number * 10 + (*character++ - '0');
    if (*character == '.') ++character;
  }
  return version[0] < 4 || (version[0] == 4 && version[1] < 8);
}

}  // namespace

std::string_view ReasonToCopy(const NewProcess& process) {
  if (process.has_more_privileges) return "others could get at its privileges";
  if (process.enters_time_namespace) return "it enters a new time namespace";
  if (process.takes_console) return "it takes a console";
  return ReasonToCopyHere();
}

std::string_view ReasonToCopyHere(bool allows_sanitizer) {
  if (machine::IsBuiltToCopyMemory()) return "this was built with NSEXEC_COPY_MEMORY";
  if (IsSet("NSEXEC_COPY_MEMORY")) return "NSEXEC_COPY_MEMORY is set";
  if (!allows_sanitizer && machine::HasSanitizer()) return "the program has a sanitizer";
  if (machine::HasShadowStack()) return "there is a shadow stack";
  if (IsOldKernel()) return "the kernel is older than 4.8";
  return {};
}

}  // namespace nsenter
