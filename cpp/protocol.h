// SPDX-License-Identifier: Apache-2.0
//
// What a parent that says nothing but _LIBCONTAINER_INITPIPE wants.

#pragma once

#include "base.h"
#include "error.h"

namespace nsenter {

/// True if a parent of June 2015 starts a new container: what is on `pipe` is a JSON document for
/// the Go side, and there is nothing for us to do. False: a bootstrap message, or what is to be
/// reported as a broken one. Looks at the first bytes, which stay there.
Result<bool> HoldsDocument(int pipe);

}  // namespace nsenter
