// SPDX-License-Identifier: Apache-2.0

#include "id_map_writer.h"

#include "mapping_tool.h"
#include "sys.h"

#include <cerrno>

namespace nsenter {
namespace {

bool DeniesSetgroups(const Bootstrap& bootstrap) {
  return bootstrap.rootless_euid && !bootstrap.setgroups;
}

/// A process that gives up a group could get at files that are closed to the group. An unprivileged
/// user has to rule that out for good before the kernel takes a gid map (CVE-2014-8989).
Status DenySetgroups(const OwnProc& proc) {
  const Result<UniqueFd> file = proc.OpenForWriting("setgroups");
  // Kernels before 3.19 know no such file and make no such rule.
  if (!file.ok() && file.error().code() == ENOENT) return {};
  if (!file.ok()) return file.error();
  return WriteProcFile(file.value().get(), "setgroups", "deny");
}

Status WriteIdMap(const IdMap& map, const char* name, std::string_view tool, const OwnProc& proc,
                  pid_t pid, MappingTools tools) {
  const Status written = proc.Write(name, map.text);
  if (written.ok() || written.error().code() != EPERM) return written;
  if (tools.signals == nullptr || tool.empty()) return written;
  return RunMappingTool(tool, pid, map.text, *tools.signals);
}

}  // namespace

bool MayWriteOwnMaps(const Bootstrap& bootstrap) {
  return DeniesSetgroups(bootstrap) && bootstrap.uid_map.MapsOnly(sys::EffectiveUserId()) &&
         bootstrap.gid_map.MapsOnly(sys::EffectiveGroupId());
}

Status WriteIdMaps(const Bootstrap& bootstrap, const OwnProc& proc, pid_t pid, MappingTools tools) {
  if (DeniesSetgroups(bootstrap)) RETURN_IF_ERROR(DenySetgroups(proc));
  RETURN_IF_ERROR(
      WriteIdMap(bootstrap.uid_map, "uid_map", bootstrap.uid_map_tool, proc, pid, tools));
  return WriteIdMap(bootstrap.gid_map, "gid_map", bootstrap.gid_map_tool, proc, pid, tools);
}

}  // namespace nsenter
