// SPDX-License-Identifier: Apache-2.0

#include "launched_process.h"

#include "fd.h"
#include "helper.h"
#include "id_map_writer.h"
#include "namespaces.h"
#include "own_proc.h"
#include "sys.h"

namespace nsenter {
namespace {

Status SetDumpable(bool dumpable) {
  const int result = sys::SetDumpable(dumpable);
  if (result < 0) {
    return Error::WithCode(result, "failed to become ", dumpable ? "dumpable" : "non-dumpable");
  }
  return {};
}

bool SetsTimeOffsets(const Bootstrap& bootstrap) {
  // Parents up to runc 1.2.5 send offsets with exec too, where the time namespace exists already.
  return bootstrap.Creates(CLONE_NEWTIME) && !bootstrap.time_offsets.empty();
}

bool NeedsOwnProc(const Bootstrap& bootstrap) {
  return !bootstrap.oom_score_adj.empty() || SetsTimeOffsets(bootstrap) ||
         bootstrap.Creates(CLONE_NEWUSER);
}

/// Makes root's process non-dumpable from before it creates a user namespace until it has become
/// the user that it is to be in there. In between it takes no capability to get at a dumpable one,
/// and at our files: whoever has the uid that created a user namespace is privileged over it, and
/// root's uid is what the root of a container has. (Non-dumpable, it takes CAP_SYS_PTRACE over the
/// user namespace that we come from.) Only root may write to our /proc files then, as we are, or
/// the helper: root of the user namespace in which our program was executed, which is where we are
/// still. False: nothing has changed.
Result<bool> Hide(const Bootstrap& bootstrap) {
  // Who joins something is non-dumpable anyway.
  if (bootstrap.join_count != 0 || sys::EffectiveUserId() != 0) return false;
  const int dumpable = sys::Dumpable();
  if (dumpable < 0) return Error::WithCode(dumpable, "failed to find out whether we are dumpable");
  // If not, somebody has a reason, and our /proc files may belong to another user namespace's root.
  if (dumpable != 1) return false;
  RETURN_IF_ERROR(SetDumpable(false));
  return true;
}

/// Has the maps of our user namespace written, by ourselves or by the helper.
Status WriteMaps(const Bootstrap& bootstrap, const OwnProc& proc, const Helper& helper) {
  if (helper.exists()) return helper.WriteMaps();
  return WriteIdMaps(bootstrap, proc, sys::ProcessId(), MapWriter::kInside);
}

/// A new user namespace, alone: namespaces created in the same call can end up as property of the
/// user namespace we come from, and SELinux labels what is mounted in them wrongly.
Status CreateUserNamespace(const Bootstrap& bootstrap, const OwnProc& proc, const Helper& helper,
                           bool hidden) {
  // Only root may write to the files of a non-dumpable process. Who is not root has to be let in
  // for as long as it takes; root never opens this window.
  const bool window = bootstrap.join_count != 0 && sys::EffectiveUserId() != 0;
  RETURN_IF_ERROR(CreateNamespaces(CLONE_NEWUSER));
  if (window) RETURN_IF_ERROR(SetDumpable(true));
  RETURN_IF_ERROR(WriteMaps(bootstrap, proc, helper));
  if (window) RETURN_IF_ERROR(SetDumpable(false));
  // Becoming another user decides anew whether we are dumpable. Who stays the same is what it was.
  const bool stays_the_same = hidden && sys::EffectiveUserId() == 0;
  RETURN_IF_ERROR(BecomeUidZero());
  return stays_the_same ? SetDumpable(true) : Status();
}

/// What is left to become once in all the namespaces. After them, as with runc: what the kernel
/// mounts in a new ipc namespace belongs to the gid we had.
Status TakeIds(const Bootstrap& bootstrap) {
  if (!bootstrap.Creates(CLONE_NEWUSER) && !bootstrap.Joins(CLONE_NEWUSER)) {
    RETURN_IF_ERROR(BecomeUidZero());
  }
  int result = sys::SetAllGroupIds(0);
  if (result < 0) return Error::WithCode(result, "failed to become gid 0");
  if (bootstrap.setgroups && !bootstrap.rootless_euid) {
    result = sys::DropSupplementaryGroups();
    if (result < 0) return Error::WithCode(result, "failed to give up the supplementary groups");
  }
  return {};
}

}  // namespace

Result<pid_t> EnterNamespaces(const Bootstrap& bootstrap, Log& log) {
  OwnProc proc;
  if (NeedsOwnProc(bootstrap)) {
    ASSIGN_OR_RETURN(proc, OwnProc::Open());
  }
  // Before we become non-dumpable: the file belongs to root afterwards.
  if (!bootstrap.oom_score_adj.empty()) {
    RETURN_IF_ERROR(proc.Write("oom_score_adj", bootstrap.oom_score_adj));
  }
  // Before any privilege changes hands: the kernel checks those with which the file was opened.
  UniqueFd time_offsets;
  if (SetsTimeOffsets(bootstrap)) {
    ASSIGN_OR_RETURN(time_offsets, proc.OpenForWriting("timens_offsets"));
  }
  // Before anything is joined: from then on a process inside could look at us.
  if (bootstrap.join_count != 0) RETURN_IF_ERROR(SetDumpable(false));

  Helper helper;
  bool hidden = false;
  if (bootstrap.Creates(CLONE_NEWUSER)) {
    ASSIGN_OR_RETURN(hidden, Hide(bootstrap));
    if (!MayWriteOwnMaps(bootstrap)) {
      // The helper keeps the privileges that we are about to give up: nobody else may get at memory
      // that it shares.
      const Memory memory = hidden && sys::CanShareMemory() ? Memory::kShared : Memory::kCopied;
      ASSIGN_OR_RETURN(helper, Helper::Start(bootstrap, proc, memory, log));
      log.SetProcess(ProcessTag::kLaunched);
    }
  }

  RETURN_IF_ERROR(JoinNamespaces(bootstrap, log));
  // Entering a user namespace has set what /proc/sys/fs/suid_dumpable says, which need not be 0.
  if (bootstrap.Joins(CLONE_NEWUSER)) RETURN_IF_ERROR(SetDumpable(false));
  if (bootstrap.Creates(CLONE_NEWUSER)) {
    RETURN_IF_ERROR(CreateUserNamespace(bootstrap, proc, helper, hidden));
  }
  RETURN_IF_ERROR(CreateNamespaces(bootstrap.clone_flags & ~CLONE_NEWUSER));
  // After the time namespace exists and before a process is in it, which would fix the offsets.
  if (time_offsets.valid()) {
    RETURN_IF_ERROR(WriteProcFile(time_offsets.get(), "timens_offsets", bootstrap.time_offsets));
  }
  RETURN_IF_ERROR(TakeIds(bootstrap));
  // Taking other ids has done the same.
  if (bootstrap.join_count != 0) RETURN_IF_ERROR(SetDumpable(false));
  return helper.exists() ? helper.pid() : sys::ParentProcessId();
}

}  // namespace nsenter
