// SPDX-License-Identifier: Apache-2.0
//
// Joining and creating namespaces. All of this runs in the launched process.

#pragma once

#include "base.h"
#include "bootstrap.h"
#include "error.h"
#include "log.h"

namespace nsenter {

/// Joins all of `bootstrap.joins`. If a user namespace is among them, we are uid 0 in it
/// afterwards.
///
/// All paths are opened before the first is joined, since they may be out of reach from inside.
/// There are three passes: first all but the user namespace, with the privileges we have; then the
/// user namespace; then, with the privileges it gives, those that were refused before. (The
/// namespaces of a rootless container belong to its user namespace.) A user namespace that is ours
/// already is not joined: the kernel refuses it.
Status JoinNamespaces(const Bootstrap& bootstrap, const Log& log);

/// Joins every namespace in `flags` (CLONE_NEW*) of the process `pid` with one setns(2) of a pidfd
/// (Linux 5.8), which is all or nothing. False if that did not work, for any reason: then nothing
/// has changed. The pid has to be one of our own pid namespace, so it may come from /proc only if
/// /proc shows that.
bool JoinProcess(pid_t pid, int flags);

/// unshare(2), made a few times on EINVAL: 0, or an errno, negated.
int Unshare(int flags);

/// The same, with an error that names the namespaces.
Status CreateNamespaces(int flags);

/// Real, effective, saved and file system uid 0 of the user namespace we are in.
Status BecomeUidZero();

}  // namespace nsenter
