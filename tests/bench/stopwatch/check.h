// SPDX-License-Identifier: Apache-2.0
//
// Whether a launch came out as it should, and what to do if it did not.

#pragma once

#include "../../unit/message.h"
#include "scenario.h"

#include <string>
#include <sys/types.h>

namespace bench {

/// Prints the reason and exits 1: a run with a failure in it is void.
[[noreturn]] __attribute__((format(printf, 1, 2))) void Die(const char* format, ...);

/// `result`, unless it is negative: then prints what failed and why, and exits.
long Must(long result, const char* what);

std::string ReadFile(const std::string& path);

/// The value of a line "NAME:\tVALUE" of `status`, the text of a /proc/PID/status.
std::string StatusOf(const std::string& status, const std::string& name);

/// Takes a reply apart, which has to be exactly what the protocol says.
nsenter::test::Reply ParseReply(const Scenario& scenario, const std::string& text);

/// Looks at an init process that waits for our end of INITPIPE to be closed, and exits if it is not
/// what `scenario` makes of the program `label`.
void CheckInitProcess(const Scenario& scenario, const char* label, pid_t init,
                      const pid_t* targets);

}  // namespace bench
