// SPDX-License-Identifier: Apache-2.0
//
// What the launched process does for a bootstrap message: it changes itself into what the init
// process is to be, so that nothing is left that could fail once the init process exists.

#pragma once

#include "base.h"
#include "bootstrap.h"
#include "error.h"
#include "log.h"

#include <sys/types.h>

namespace nsenter {

/// Enters all the namespaces that `bootstrap` names and takes the ids, groups and oom score it asks
/// for. The result is the pid to report as "stage 1": the helper's if there was one, else our
/// parent's, which finds at once that it is not its own child.
Result<pid_t> EnterNamespaces(const Bootstrap& bootstrap, Log& log);

}  // namespace nsenter
