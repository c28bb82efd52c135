// SPDX-License-Identifier: Apache-2.0
//
// Where cases run: a pid and a mount namespace of a worker's own, whose pid 1 the worker is, with
// the processes that are joined and the files that the mapping tools read.

#pragma once

#include "scenario.h"

#include <functional>
#include <set>
#include <sys/types.h>

namespace inject {

/// Who has ids in the worker's /etc/subuid.
inline constexpr uid_t kRootlessUid = 1000;

// The descriptors of the program under test. 0 is /dev/null, 1 and 2 are pipes.
inline constexpr int kInitpipeFd = 3;
inline constexpr int kLogFd = 4;

struct World {
  pid_t plain = 0;  // a process in new namespaces of all types but user
  pid_t user = 0;   // and one with a user namespace as well
  pid_t owned = 0, hostile = 0;
  std::set<pid_t> others = {};

  /// Called by the worker once it is pid 1.
  static World Make();
  /// With fixtures of all kinds.
  static World MakeForAttack();
  [[nodiscard]] pid_t Find(FixtureKind kind) const;
  /// Whether the process is no part of a launch.
  [[nodiscard]] bool Has(pid_t pid) const {
    return pid == plain || pid == user || pid == owned || pid == hostile || others.contains(pid);
  }
};

/// Runs `work` as pid 1 of new pid and mount namespaces, and returns the pid. Everything in there
/// is killed when `work` returns, or when the caller ends.
pid_t StartWorker(const std::function<int()>& work);

/// What a fixture executes: waits for ever.
[[noreturn]] void RunFixture();
inline constexpr const char* kFixtureArgument = "--fixture";

/// Ends this process with a message: what cannot be is a defect of the injector or its
/// surroundings.
[[noreturn]] void Die(const char* what);
/// Die() if `result` is negative.
int Must(int result, const char* what);

}  // namespace inject
