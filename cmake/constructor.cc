// SPDX-License-Identifier: Apache-2.0
//
// Calls nsexec() before main, for C and C++ programs that link it. Programs in Go have a
// constructor of their own, in nsenter/.

#include "nsexec.h"

namespace {

[[gnu::constructor]] void CallNsexecBeforeMain() { nsexec(); }

}  // namespace
