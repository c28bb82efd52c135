// SPDX-License-Identifier: Apache-2.0
//
// A library with the core in it, which calls it as soon as it is loaded.

#include "../../../../cpp/nsexec.h"

namespace {

[[gnu::constructor]] void CallNsexec() { nsexec(); }

}  // namespace
