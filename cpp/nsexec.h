/* SPDX-License-Identifier: Apache-2.0 */

/// @file
/// What a program calls that others start inside namespaces. For C and C++.

#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/// Puts the process into namespaces if its environment asks for that, as docs/protocol.md says.
///
/// To be called before the process has a second thread: first in main, or in a constructor. Returns
/// at once, without a system call, if nothing is asked, and in a second call. Otherwise it returns
/// in the init process only, a new process inside the namespaces; the process that called it exits,
/// with status 0, or with 1 after one line that says what failed.
__attribute__((visibility("default"))) void nsexec(void);

#ifdef __cplusplus
}
#endif
