// SPDX-License-Identifier: Apache-2.0
//
// Who can look at the launched process while it moves from one set of namespaces to another.

#pragma once

#include "base.h"
#include "bootstrap.h"
#include "error.h"

namespace nsenter {

/// The dumpable flag (PR_SET_DUMPABLE(2const)) of the launched process. Who may trace a dumpable
/// process or open its files in /proc: whoever has its ids, and whoever is privileged over its user
/// namespace. A non-dumpable one takes CAP_SYS_PTRACE over the user namespace that the program was
/// executed in, and its files in /proc belong to root there. Three cases:
///
/// - Something is joined: hidden (not dumpable) from before the first namespace is joined, and the
///   init process too. Entering a user namespace or taking other ids sets the flag to what
///   /proc/sys/fs/suid_dumpable says, so it is set again after each. While the id maps of a user
///   namespace that is created besides are written, the process is shown if it is not root's: the
///   writer, who is not root either, could not open the files.
/// - Nothing is joined and root creates a user namespace: hidden from before that until the process
///   is who it is to be there. In between whoever has the uid that created a user namespace is
///   privileged over it, and root's uid is what the root of a container has. Then, if it is still
///   root, it is shown again; else the kernel has decided. A process that was hidden before has
///   somebody's reason for it, and stays as it is.
/// - Else the flag is left alone.
class Dumpable {
 public:
  Dumpable() = default;

  /// Hides the process where one of the first two cases is given. What is to be opened in
  /// /proc/self has to be open by then.
  static Result<Dumpable> Hide(const Bootstrap& bootstrap);

  /// True in the second case, until Show: nobody gets at our memory who does not have all our
  /// privileges.
  [[nodiscard]] bool IsOutOfReach() const { return case_ == Case::kRootCreates; }

  /// After what may have changed the flag: a user namespace joined, ids taken.
  [[nodiscard]] Status HideAgain() const;

  /// Around the writing of id maps.
  [[nodiscard]] Status ShowForMaps() const;
  [[nodiscard]] Status HideAfterMaps() const;

  /// In the new user namespace, the maps written: whether root there is the root that we are, and
  /// the process is to be shown again. To be asked before it becomes root there.
  [[nodiscard]] bool StaysRoot() const;
  [[nodiscard]] Status Show() const;

 private:
  enum class Case { kLeftAlone, kJoins, kJoinsAndShows, kRootCreates };
  Case case_ = Case::kLeftAlone;
};

}  // namespace nsenter
