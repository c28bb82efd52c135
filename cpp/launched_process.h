// SPDX-License-Identifier: Apache-2.0
//
// The work of the launched process for a bootstrap message. It takes the namespaces and ids of the
// init process, so that hardly a step is left that could fail once the init process exists.

#pragma once

#include "base.h"
#include "bootstrap.h"
#include "clone.h"
#include "error.h"
#include "log.h"

#include <sys/types.h>

namespace nsenter {

/// Enters all the namespaces that `bootstrap` names, and takes its ids, groups and oom score. The
/// result is the pid of the helper, a process of `helpers_kinship`, or 0 if there was none.
Result<pid_t> EnterNamespaces(const Bootstrap& bootstrap, Kinship helpers_kinship, Log& log);

}  // namespace nsenter
