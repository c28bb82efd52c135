// SPDX-License-Identifier: Apache-2.0

#include "own_proc.h"

#include "sys.h"

#include <fcntl.h>
#include <linux/magic.h>

namespace nsenter {

Result<OwnProc> OwnProc::Open() {
  OwnProc proc;
  ASSIGN_OR_RETURN(proc.folder_,
                   CheckFd(sys::Open(AT_FDCWD, "/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC),
                           "failed to open /proc/self"));
  long type = 0;
  RETURN_IF_ERROR(Check(sys::FileSystemType(proc.fd(), &type),
                        "failed to check that /proc/self lies on procfs"));
  if (type != PROC_SUPER_MAGIC) return Error::Of("/proc/self does not lie on procfs");
  return proc;
}

Result<UniqueFd> OwnProc::OpenForWriting(const char* name) const {
  return CheckFd(sys::Open(folder_.get(), name, O_WRONLY | O_CLOEXEC), "failed to open ", name);
}

Status OwnProc::Write(const char* name, std::string_view text) const {
  ASSIGN_OR_RETURN(const UniqueFd file, OpenForWriting(name));
  return WriteProcFile(file.get(), name, text);
}

Status CheckWritten(int written, const char* name, std::string_view text) {
  RETURN_IF_ERROR(Check(written, "failed to write \"", text, "\" to ", name));
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
