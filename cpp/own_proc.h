// SPDX-License-Identifier: Apache-2.0
//
// The launched process's folder in /proc.

#pragma once

#include "base.h"
#include "error.h"
#include "fd.h"

namespace nsenter {

/// A descriptor of /proc/self, opened before any namespace is joined. Files below it belong to the
/// launched process, even if /proc is another one later, or something is mounted over it.
class OwnProc {
 public:
  OwnProc() = default;

  /// An error if what lies at /proc is not procfs.
  static Result<OwnProc> Open();

  /// The file `name` of the launched process, for writing.
  [[nodiscard]] Result<UniqueFd> OpenForWriting(const char* name) const;

  /// Opens the file `name` and writes `text` in one call, as these files demand.
  [[nodiscard]] Status Write(const char* name, std::string_view text) const;

  [[nodiscard]] int fd() const { return folder_.get(); }

 private:
  UniqueFd folder_;
};

/// Turns what Write returned for `text` and the file `name` into success or an error.
Status CheckWritten(int written, const char* name, std::string_view text);

/// Writes `text` to `fd`, the file `name` of /proc, in one call.
Status WriteProcFile(int fd, const char* name, std::string_view text);

/// True if /proc shows the pid namespace that the calling process is in. Elsewhere the same number
/// is another process, or none.
bool ProcShowsOurPidNamespace();

}  // namespace nsenter
