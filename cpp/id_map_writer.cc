// SPDX-License-Identifier: Apache-2.0

#include "id_map_writer.h"

#include "mapping_tool.h"
#include "sys.h"

#include <cerrno>
#include <fcntl.h>

namespace nsenter {
namespace {

bool DeniesSetgroups(const Bootstrap& bootstrap) {
  return bootstrap.rootless_euid && !bootstrap.setgroups;
}

/// Whoever is to become a member of no group could get at what a group is kept from: an
/// unprivileged user has to rule that out for good before the kernel takes a gid map
/// (CVE-2014-8989).
Status DenySetgroups(const OwnProc& proc) {
  const UniqueFd file(sys::Open(proc.fd(), "setgroups", O_WRONLY | O_CLOEXEC));
  if (file.get() == -ENOENT)
    return {};  // kernels before 3.19 know no such file and make no such rule
  if (!file.valid()) return Error::WithCode(file.get(), "failed to open setgroups");
  return WriteProcFile(file.get(), "setgroups", "deny");
}

Status WriteIdMap(const IdMap& map, const char* name, std::string_view tool, const OwnProc& proc,
                  pid_t pid, MapWriter writer) {
  const UniqueFd file(sys::Open(proc.fd(), name, O_WRONLY | O_CLOEXEC));
  int result = file.get();
  if (file.valid()) result = sys::Write(file.get(), map.text.data(), map.text.size());
  if (result == -EPERM && writer == MapWriter::kOutside && !tool.empty()) {
    return RunMappingTool(tool, pid, map.text);
  }
  if (!file.valid()) return Error::WithCode(result, "failed to open ", name);
  return CheckWritten(result, name, map.text);
}

}  // namespace

bool MayWriteOwnMaps(const Bootstrap& bootstrap) {
  return DeniesSetgroups(bootstrap) && bootstrap.uid_map.MapsOnly(sys::EffectiveUserId()) &&
         bootstrap.gid_map.MapsOnly(sys::EffectiveGroupId());
}

Status WriteIdMaps(const Bootstrap& bootstrap, const OwnProc& proc, pid_t pid, MapWriter writer) {
  if (DeniesSetgroups(bootstrap)) RETURN_IF_ERROR(DenySetgroups(proc));
  RETURN_IF_ERROR(
      WriteIdMap(bootstrap.uid_map, "uid_map", bootstrap.uid_map_tool, proc, pid, writer));
  return WriteIdMap(bootstrap.gid_map, "gid_map", bootstrap.gid_map_tool, proc, pid, writer);
}

}  // namespace nsenter
