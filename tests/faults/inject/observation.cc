// SPDX-License-Identifier: Apache-2.0

#include "observation.h"

#include <set>
#include <sys/wait.h>

namespace inject {

int EndedProcess::exit_status() const { return WIFEXITED(status) ? WEXITSTATUS(status) : -1; }
int EndedProcess::signal() const { return WIFSIGNALED(status) ? WTERMSIG(status) : 0; }

const EndedProcess* Observation::Find(const std::string& process) const {
  for (const EndedProcess& candidate : ended) {
    if (candidate.process == process) return &candidate;
  }
  return nullptr;
}

Roles LearnRoles(Observation& normal) {
  std::set<std::string> executed;
  for (const MadeCall& call : normal.calls) {
    if (!call.before_exec) executed.insert(call.process);
  }
  // In the order of their paths, and so always the same.
  std::set<std::string> paths;
  for (const EndedProcess& process : normal.ended) paths.insert(process.process);
  Roles roles;
  std::map<std::string, int> count;
  for (const std::string& path : paths) {
    const std::string creator = normal.returned_in.substr(0, normal.returned_in.rfind('/'));
    std::string role = path == "launched"           ? "launched"
                       : path == normal.returned_in ? "init"
                       : path == creator            ? "copy"
                       : executed.contains(path)    ? "tool"
                                                    : "helper";
    if (const int n = ++count[role]; n > 1) role += std::to_string(n);
    roles[path] = role;
  }
  const auto rename = [&](std::string& process) {
    if (const auto found = roles.find(process); found != roles.end()) process = found->second;
  };
  for (MadeCall& call : normal.calls) rename(call.process);
  for (EndedProcess& process : normal.ended) rename(process.process);
  return roles;
}

}  // namespace inject
