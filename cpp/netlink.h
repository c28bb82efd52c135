// SPDX-License-Identifier: Apache-2.0
//
// The protocol of runc 1.2 and newer: create and join namespaces as a bootstrap message says.

#pragma once

#include "base.h"
#include "error.h"
#include "log.h"
#include "working_copy.h"

namespace nsenter {

/// Takes the message from `pipe` (INITPIPE), and replies there. Returns in the init process, or in
/// the launched process, or its working copy, an error.
Status ServeNetlink(int pipe, WorkingCopy& copy, Log& log);

}  // namespace nsenter
