// SPDX-License-Identifier: Apache-2.0
//
// When others may look at the launched process while it moves from one set of namespaces to
// another.

#pragma once

#include "base.h"
#include "bootstrap.h"
#include "error.h"

namespace nsenter {

/// The dumpable flag (PR_SET_DUMPABLE(2const)) of the launched process. A process with the same
/// ids, or with privileges over the user namespace, may trace a dumpable process and open its files
/// in /proc. For a non-dumpable process it needs CAP_SYS_PTRACE over the user namespace in which
/// the program was executed, and the files in /proc belong to root there. There are three cases:
///
/// - Something is joined: the launched process is hidden (not dumpable) from before the first
///   namespace is joined, and the init process too. A process that enters a user namespace or takes
///   other ids gets the flag that /proc/sys/fs/suid_dumpable says. So the core sets it again after
///   each. If a user namespace is created as well and the process is not root's, it is shown while
///   its id maps are written: the writer, who is not root either, could not open the files
///   otherwise.
/// - Nothing is joined and root creates a user namespace: the process is hidden from before that
///   until it has its ids in there. In between, the uid that created the user namespace has
///   privileges over it, and a container's root has this uid. Then, if the process is still root,
///   it is shown again. Otherwise the kernel has decided. If a process was hidden before, somebody
///   had a reason, and it stays hidden.
/// - In all other cases the flag is left alone.
class Dumpable {
 public:
  Dumpable() = default;

  /// Hides the process in the first two cases. Files in /proc/self that are needed later have to be
  /// open before.
  static Result<Dumpable> Hide(const Bootstrap& bootstrap);

  /// True in the second case, until Show: only processes with all our privileges get at our memory.
  [[nodiscard]] bool IsOutOfReach() const { return case_ == Case::kRootCreates; }

  /// After a step that may have changed the flag: a user namespace joined, ids taken.
  [[nodiscard]] Status HideAgain() const;

  /// Around the writing of id maps.
  [[nodiscard]] Status ShowForMaps() const;
  [[nodiscard]] Status HideAfterMaps() const;

  /// In the new user namespace, after the maps are written: tells whether root there is the root
  /// that we are, so that the process is to be shown again. Call it before the process becomes root
  /// there.
  [[nodiscard]] bool StaysRoot() const;
  [[nodiscard]] Status Show() const;

 private:
  enum class Case { kLeftAlone, kJoins, kJoinsAndShows, kRootCreates };
  Case case_ = Case::kLeftAlone;
};

}  // namespace nsenter
