// SPDX-License-Identifier: Apache-2.0
//
// The classic protocol, of June 2015: join all the namespaces of a running process.

#pragma once

#include "base.h"
#include "environment.h"
#include "error.h"
#include "log.h"
#include "working_copy.h"

namespace nsenter {

/// Returns in the init process, or in the launched process, or its working copy, an error.
Status ServeClassic(const Environment& environment, WorkingCopy& copy, Log& log);

}  // namespace nsenter
