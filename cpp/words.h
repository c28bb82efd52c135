// SPDX-License-Identifier: Apache-2.0
//
// The words that our processes send each other.

#pragma once

#include "base.h"

namespace nsenter {

/// One byte each, on a channel (channel.h). Everything else that a process has to know is in its
/// memory when it is cloned.
///
// clang-format off
/// | word         | from             | to               | when                                    |
/// |--------------|------------------|------------------|-----------------------------------------|
/// | kWriteMaps   | launched process | helper           | it is in the new user namespace         |
/// | kMapsWritten | helper           | launched process | its id maps are written; memory copied  |
/// | kHasConsole  | init process     | launched process | the console is its controlling terminal |
/// | kReported    | launched process | init process     | the reply is on INITPIPE; memory copied |
/// | kReported    | working copy     | launched process | the same, where there are threads       |
/// | kFailed      | any of them      | who waits for it | it has failed, and has said why         |
// clang-format on
///
/// Where memory is shared, a process that has succeeded sends nothing: the process that waits has
/// to wait for its end in any case, and finds in that memory whether the reply, or the maps, are
/// written.
enum class Word : char {
  kEnded = 0,  // never sent: nobody is left who could send anything
  kWriteMaps = 'w',
  kMapsWritten = 'm',
  kHasConsole = 'c',
  kReported = 'r',
  kFailed = 'f',
};

}  // namespace nsenter
