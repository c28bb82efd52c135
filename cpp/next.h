// SPDX-License-Identifier: Apache-2.0

#pragma once

#include "base.h"

namespace nsenter {

/// What a process does once its part is done. A protocol returns in two processes, as fork does.
enum class Next {
  kLeave,  // the launched process: exit 0
  kGoOn,   // the init process, or a process of which nothing was asked: become a Go program
};

}  // namespace nsenter
