// SPDX-License-Identifier: Apache-2.0
//
// Joining and creating namespaces. All of this runs in the launched process.

#pragma once

#include "base.h"
#include "bootstrap.h"
#include "error.h"
#include "log.h"

namespace nsenter {

/// Joins all of `bootstrap.joins`. Afterwards, where a user namespace is among them, we are uid 0
/// in it.
///
/// All paths are opened before the first is joined, since they may be out of reach from inside.
/// Joined is everything but the user namespace with the privileges we have; then the user
/// namespace; then, with the privileges it gives, what was refused before (a rootless container's
/// namespaces belong to its user namespace). A user namespace that is ours already is not joined
/// (the kernel refuses it).
Status JoinNamespaces(const Bootstrap& bootstrap, const Log& log);

/// Joins every namespace in `flags` (CLONE_NEW*) of the process `pid` with one setns(2) of a pidfd
/// (Linux 5.8), which is all or nothing. False if that did not work, for whatever reason: then
/// nothing has changed. The pid is one of our own pid namespace: from /proc only if that shows it.
bool JoinProcess(pid_t pid, int flags);

/// unshare(2), made a few times on EINVAL: 0, or an errno, negated.
int Unshare(int flags);

/// The same, with an error that names the namespaces.
Status CreateNamespaces(int flags);

/// Real, effective, saved and file system uid 0 of the user namespace we are in.
Status BecomeUidZero();

}  // namespace nsenter
