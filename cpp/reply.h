// SPDX-License-Identifier: Apache-2.0
//
// What is said to the parent on INITPIPE.

#pragma once

#include "base.h"
#include "error.h"

#include <string_view>
#include <sys/types.h>

namespace nsenter {

/// Both pids as the pid namespace of the caller sees them. The parent waits for `stage1` and
/// ignores the result; `init` is the init process.
Status WriteNetlinkReply(int pipe, pid_t stage1, pid_t init);

/// The classic protocol's reply.
Status WriteClassicReply(int pipe, pid_t init);

}  // namespace nsenter
