// SPDX-License-Identifier: Apache-2.0
//
// A cgroup for one launch, of either version of cgroups.

#pragma once

#include <string>

namespace inject {

enum class CgroupLimit { kMemory, kProcesses };

class Cgroup {
 public:
  Cgroup(CgroupLimit limit, long value);
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;
  ~Cgroup();

  /// The file that takes the pids of processes that are to be in it.
  [[nodiscard]] std::string procs() const { return path_ + "/cgroup.procs"; }

  /// Whether there can be such a cgroup here.
  static bool CanBeMade(CgroupLimit limit);

 private:
  std::string path_;
};

}  // namespace inject
