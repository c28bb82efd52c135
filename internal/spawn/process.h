// SPDX-License-Identifier: Apache-2.0
//
// The process that shares the caller's memory. It does not return: it ends in sys::Exit or in
// execve(2). All that it uses is on its stack, in the request, or read-only.

#pragma once

#include "base.h"
#include "request.h"
#include "sys.h"

namespace nsenter::spawn {

/// What the caller writes before the process exists. It lasts as long as that.
struct Spawn {
  sys::SignalSet signals;  // those that the caller had blocked
  int running_end;         // a pipe, which the process has open until the program runs
};

/// The stack has no guard: what runs there uses a few hundred bytes. The caller's data lies at its
/// other end.
inline Spawn& SpawnOf(const SpawnRequest& request) {
  return *reinterpret_cast<Spawn*>(request.stack);
}

/// Says what has failed. False, for `return Fail(...)`.
inline bool Fail(SpawnRequest& request, SpawnStep step, int code, int detail = 0) {
  request.step = step;
  request.code = -code;
  request.detail = detail;
  return false;
}

/// Joins those namespaces in `kinds` that the request asks for.
bool JoinAsAsked(SpawnRequest& request, int kinds);

/// What runs in the process. `request` is a SpawnRequest.
int RunProgram(void* request);

}  // namespace nsenter::spawn
