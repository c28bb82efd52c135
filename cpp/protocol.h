// SPDX-License-Identifier: Apache-2.0
//
// Which protocol the parent speaks.

#pragma once

#include "base.h"
#include "environment.h"
#include "error.h"

namespace nsenter {

enum class Protocol {
  kNone,     // there is nothing to do: what is on INITPIPE is for the Go side
  kClassic,  // the environment of June 2015
  kNetlink,  // a bootstrap message
};

/// Looks at the environment and, where that leaves it open, at the first bytes on INITPIPE, which
/// stay there.
Result<Protocol> ChooseProtocol(const Environment& environment);

}  // namespace nsenter
