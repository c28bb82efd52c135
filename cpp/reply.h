// SPDX-License-Identifier: Apache-2.0
//
// The reply to the parent on INITPIPE.

#pragma once

#include "base.h"
#include "error.h"

#include <string_view>
#include <sys/types.h>

namespace nsenter {

/// Stands for a process that does not exist. It is above any pid that Linux gives (PID_MAX_LIMIT is
/// 2^22), so a wait for it fails with ECHILD and a signal to it with ESRCH. (It is not our parent's
/// own pid: from Go 1.23 on os.FindProcess opens a pidfd for that, which stays open until garbage
/// collection.)
inline constexpr pid_t kNobody = 2147483647;

/// Both pids as the pid namespace of the caller sees them. The parent waits for `stage1` and
/// ignores the result; `init` is the init process.
Status WriteNetlinkReply(int pipe, pid_t stage1, pid_t init);

/// The classic protocol's reply.
Status WriteClassicReply(int pipe, pid_t init);

}  // namespace nsenter
