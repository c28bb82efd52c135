// SPDX-License-Identifier: Apache-2.0

#include "own_proc.h"

#include "sys.h"

#include <fcntl.h>
#include <linux/magic.h>

namespace nsenter {

Result<OwnProc> OwnProc::Open() {
  const int fd = sys::Open(AT_FDCWD, "/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return Error::WithCode(fd, "failed to open /proc/self");
  OwnProc proc;
  proc.folder_.Reset(fd);
  long type = 0;
  if (const int result = sys::FileSystemType(fd, &type); result < 0) {
    return Error::WithCode(result, "failed to check that /proc/self lies on procfs");
  }
  if (type != PROC_SUPER_MAGIC) return Error::Of("/proc/self does not lie on procfs");
  return proc;
}

Result<UniqueFd> OwnProc::OpenForWriting(const char* name) const {
  const int fd = sys::Open(folder_.get(), name, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return Error::WithCode(fd, "failed to open ", name);
  return UniqueFd(fd);
}

Status OwnProc::Write(const char* name, std::string_view text) const {
  ASSIGN_OR_RETURN(const UniqueFd file, OpenForWriting(name));
  return WriteProcFile(file.get(), name, text);
}

Status CheckWritten(int written, const char* name, std::string_view text) {
  if (written < 0) return Error::WithCode(written, "failed to write \"", text, "\" to ", name);
  if (static_cast<std::size_t>(written) != text.size()) {
    return Error::Of("wrote only ", written, " of ", text.size(), " bytes to ", name);
  }
  return {};
}

Status WriteProcFile(int fd, const char* name, std::string_view text) {
  return CheckWritten(sys::Write(fd, text.data(), text.size()), name, text);
}

bool ProcShowsOurPidNamespace() {
  char link[24];
  const int size = sys::ReadLink("/proc/self", link, sizeof(link));
  FixedText<sizeof(link)> pid;
  pid.Append(sys::ProcessId());
  return size > 0 && Equal({link, static_cast<std::size_t>(size)}, pid.view());
}

}  // namespace nsenter
