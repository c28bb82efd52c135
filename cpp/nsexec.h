/* SPDX-License-Identifier: Apache-2.0 */

/// @file The function that a program calls if others start it inside namespaces. For C and C++.

#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/// Puts the process into namespaces if its environment asks for that, as docs/protocol.md says.
///
/// Call it before the process has a second thread: first in main, or in a constructor. If the
/// environment asks for nothing, it returns at once, without a system call. A second call returns
/// at once too. Otherwise it returns only in the init process, a new process inside the namespaces.
/// The process that called it exits, with status 0, or with 1 after one line that says what failed.
__attribute__((visibility("default"))) void nsexec(void);

#ifdef __cplusplus
}
#endif
