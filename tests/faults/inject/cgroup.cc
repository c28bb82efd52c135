// SPDX-License-Identifier: Apache-2.0

#include "cgroup.h"

#include "fd.h"
#include "world.h"

#include <cerrno>
#include <sys/stat.h>

namespace inject {
namespace {

constexpr const char* kRoot = "/sys/fs/cgroup";

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

bool IsVersionTwo() { return Exists(std::string(kRoot) + "/cgroup.controllers"); }

std::string ParentOf(CgroupLimit limit) {
  if (IsVersionTwo()) return kRoot;
  return std::string(kRoot) + (limit == CgroupLimit::kMemory ? "/memory" : "/pids");
}

const char* FileOf(CgroupLimit limit) {
  if (limit == CgroupLimit::kProcesses) return "/pids.max";
  return IsVersionTwo() ? "/memory.max" : "/memory.limit_in_bytes";
}

/// A name that no other worker has, in whatever pid namespace it is.
std::string NewPath(CgroupLimit limit) {
  static int count = 0;
  const std::string world = LinkOf("/proc/self/ns/pid");
  return ParentOf(limit) + "/nsexec-inject-" + world.substr(5, world.size() - 6) + "-" +
         std::to_string(++count);
}

}  // namespace

Cgroup::Cgroup(CgroupLimit limit, long value) : path_(NewPath(limit)) {
  Must(mkdir(path_.c_str(), 0755), path_.c_str());
  WriteTo(path_ + FileOf(limit), std::to_string(value));
}

Cgroup::~Cgroup() {
  // Processes that have just ended may still be counted.
  for (int i = 0; i < 400 && rmdir(path_.c_str()) < 0 && errno == EBUSY; ++i) usleep(5000);
}

bool Cgroup::CanBeMade(CgroupLimit limit) {
  const std::string path = NewPath(limit);
  if (mkdir(path.c_str(), 0755) < 0) return false;
  const bool limits = access((path + FileOf(limit)).c_str(), W_OK) == 0;
  rmdir(path.c_str());
  return limits;
}

}  // namespace inject
