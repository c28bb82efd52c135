// SPDX-License-Identifier: Apache-2.0
//
// The kinds of parents that set only _LIBCONTAINER_INITPIPE.

#pragma once

#include "base.h"
#include "error.h"

namespace nsenter {

/// True if a parent of June 2015 starts a new container: a JSON document for the Go side is on
/// `pipe`, and we have nothing to do. False: a bootstrap message, possibly a broken one, which gets
/// an error. Looks at the first bytes and leaves them there.
Result<bool> HoldsDocument(int pipe);

}  // namespace nsenter
