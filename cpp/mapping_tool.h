// SPDX-License-Identifier: Apache-2.0
//
// newuidmap(1) and newgidmap(1): set-uid programs that write the maps an unprivileged user may not.

#pragma once

#include "base.h"
#include "error.h"
#include "signals.h"

#include <string_view>
#include <sys/types.h>

namespace nsenter {

/// Runs `tool` (an absolute path) for the process `pid` and waits for it. `map` is the checked text
/// of an id map. The tool gets an empty environment, no descriptor but 0, 1 and 2, and only those
/// signals blocked that were so before `signals`. Runs in the helper, which has joined nothing: the
/// tool and its libraries come from the caller's mount namespace.
Status RunMappingTool(std::string_view tool, pid_t pid, std::string_view map,
                      const BlockedSignals& signals);

}  // namespace nsenter
