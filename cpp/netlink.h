// SPDX-License-Identifier: Apache-2.0
//
// The protocol of runc 1.2 and newer: create and join namespaces as a bootstrap message says.

#pragma once

#include "base.h"
#include "environment.h"
#include "error.h"
#include "log.h"

namespace nsenter {

/// Returns in the init process, or in the launched process an error.
Status ServeNetlink(const Environment& environment, Log& log);

}  // namespace nsenter
