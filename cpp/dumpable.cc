// SPDX-License-Identifier: Apache-2.0

#include "dumpable.h"

#include "sys.h"

namespace nsenter {
namespace {

Status Set(bool dumpable) {
  RETURN_IF_ERROR(Check(sys::SetDumpable(dumpable), "failed to become ",
                        dumpable ? "dumpable" : "non-dumpable"));
  return {};
}

}  // namespace

Result<Dumpable> Dumpable::Hide(const Bootstrap& bootstrap) {
  Dumpable dumpable;
  const bool creates_user = bootstrap.Creates(CLONE_NEWUSER);
  const bool is_root = creates_user && sys::EffectiveUserId() == 0;
  if (bootstrap.join_count != 0) {
    dumpable.case_ = creates_user && !is_root ? Case::kJoinsAndShows : Case::kJoins;
  } else if (is_root) {
    ASSIGN_OR_RETURN(const int before,
                     Check(sys::Dumpable(), "failed to find out whether we are dumpable"));
    if (before == 1) dumpable.case_ = Case::kRootCreates;
  }
  if (dumpable.case_ != Case::kLeftAlone) RETURN_IF_ERROR(Set(false));
  return dumpable;
}

Status Dumpable::HideAgain() const {
  const bool joins = case_ == Case::kJoins || case_ == Case::kJoinsAndShows;
  return joins ? Set(false) : Status();
}

Status Dumpable::ShowForMaps() const {
  return case_ == Case::kJoinsAndShows ? Set(true) : Status();
}

Status Dumpable::HideAfterMaps() const {
  return case_ == Case::kJoinsAndShows ? Set(false) : Status();
}

bool Dumpable::StaysRoot() const {
  return case_ == Case::kRootCreates && sys::EffectiveUserId() == 0;
}

Status Dumpable::Show() const { return Set(true); }

}  // namespace nsenter
