// SPDX-License-Identifier: Apache-2.0
//
// What the program under test has written, read as the parent would: log and standard error.

#pragma once

#include "observation.h"
#include "plan.h"

#include <string>
#include <sys/types.h>

namespace inject {

/// The text as terminals do not give it.
std::string WithoutCarriageReturns(std::string text);

/// A pipe that was full begins with what filled it.
std::string WithoutJunk(const std::string& text);

/// Sorts the lines into fatal ones, those of mapping tools, and those that should not be there.
void SortLog(const std::string& text, Observation& seen);
void SortErrors(const std::string& text, bool classic, Observation& seen);

}  // namespace inject
