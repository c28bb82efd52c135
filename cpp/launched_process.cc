// SPDX-License-Identifier: Apache-2.0

#include "launched_process.h"

#include "dumpable.h"
#include "fd.h"
#include "helper.h"
#include "id_map_writer.h"
#include "namespaces.h"
#include "own_proc.h"
#include "sys.h"

namespace nsenter {
namespace {

bool SetsTimeOffsets(const Bootstrap& bootstrap) {
  // Parents up to runc 1.2.5 send offsets with exec too, where the time namespace exists already.
  return bootstrap.Creates(CLONE_NEWTIME) && !bootstrap.time_offsets.empty();
}

bool NeedsOwnProc(const Bootstrap& bootstrap) {
  return !bootstrap.oom_score_adj.empty() || SetsTimeOffsets(bootstrap) ||
         bootstrap.Creates(CLONE_NEWUSER);
}

/// A new user namespace, alone: namespaces created in the same call can end up as property of the
/// user namespace we come from, and SELinux labels what is mounted in them wrongly. Its maps are
/// written by the helper or, if there is none, by ourselves.
Status CreateUserNamespace(const Bootstrap& bootstrap, const OwnProc& proc, Helper& helper,
                           const Dumpable& dumpable) {
  RETURN_IF_ERROR(CreateNamespaces(CLONE_NEWUSER));
  RETURN_IF_ERROR(dumpable.ShowForMaps());
  RETURN_IF_ERROR(helper.exists() ? helper.WriteMaps()
                                  : WriteIdMaps(bootstrap, proc, sys::ProcessId(), {}));
  RETURN_IF_ERROR(dumpable.HideAfterMaps());
  const bool stays_root = dumpable.StaysRoot();
  RETURN_IF_ERROR(BecomeUidZero());
  return stays_root ? dumpable.Show() : Status();
}

/// The last ids, taken once in all the namespaces. After them, as with runc: when the kernel mounts
/// something in a new ipc namespace, it belongs to the gid that we had.
Status TakeIds(const Bootstrap& bootstrap) {
  if (!bootstrap.Creates(CLONE_NEWUSER) && !bootstrap.Joins(CLONE_NEWUSER)) {
    RETURN_IF_ERROR(BecomeUidZero());
  }
  RETURN_IF_ERROR(Check(sys::SetAllGroupIds(0), "failed to become gid 0"));
  if (bootstrap.setgroups && !bootstrap.rootless_euid) {
    RETURN_IF_ERROR(
        Check(sys::DropSupplementaryGroups(), "failed to give up the supplementary groups"));
  }
  return {};
}

}  // namespace

Result<pid_t> EnterNamespaces(const Bootstrap& bootstrap, Kinship helpers_kinship, Log& log) {
  OwnProc proc;
  if (NeedsOwnProc(bootstrap)) {
    ASSIGN_OR_RETURN(proc, OwnProc::Open());
  }
  // Before we are hidden: the file belongs to root afterwards.
  if (!bootstrap.oom_score_adj.empty()) {
    RETURN_IF_ERROR(proc.Write("oom_score_adj", bootstrap.oom_score_adj));
  }
  // Before any privilege changes hands: the kernel checks those with which the file was opened.
  UniqueFd time_offsets;
  if (SetsTimeOffsets(bootstrap)) {
    ASSIGN_OR_RETURN(time_offsets, proc.OpenForWriting("timens_offsets"));
  }
  ASSIGN_OR_RETURN(const Dumpable dumpable, Dumpable::Hide(bootstrap));

  Helper helper;
  if (bootstrap.Creates(CLONE_NEWUSER) && !MayWriteOwnMaps(bootstrap)) {
    ASSIGN_OR_RETURN(helper,
                     Helper::Start(bootstrap, proc, helpers_kinship, dumpable.IsOutOfReach(), log));
  }

  RETURN_IF_ERROR(JoinNamespaces(bootstrap, log));
  if (bootstrap.Joins(CLONE_NEWUSER)) RETURN_IF_ERROR(dumpable.HideAgain());
  if (bootstrap.Creates(CLONE_NEWUSER)) {
    RETURN_IF_ERROR(CreateUserNamespace(bootstrap, proc, helper, dumpable));
  }
  RETURN_IF_ERROR(CreateNamespaces(bootstrap.clone_flags & ~CLONE_NEWUSER));
  // After the time namespace exists and before a process is in it, which would fix the offsets.
  if (time_offsets.valid()) {
    RETURN_IF_ERROR(WriteProcFile(time_offsets.get(), "timens_offsets", bootstrap.time_offsets));
  }
  RETURN_IF_ERROR(TakeIds(bootstrap));
  RETURN_IF_ERROR(dumpable.HideAgain());
  return helper.pid();
}

}  // namespace nsenter
