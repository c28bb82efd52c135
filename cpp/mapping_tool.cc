// SPDX-License-Identifier: Apache-2.0

#include "mapping_tool.h"

#include "id_map.h"
#include "own_proc.h"
#include "sys.h"

#include <climits>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <sched.h>
#include <sys/wait.h>

namespace nsenter {
namespace {

/// `tool pid inside outside count ...`, as execve(2) wants it.
class Arguments {
 public:
  Arguments(const char* tool, pid_t pid, std::string_view map) {
    pointers_[count_++] = const_cast<char*>(
        tool);  // NOLINT(cppcoreguidelines-pro-type-const-cast): execve does not write to its arguments
    FixedText<16> number;
    number.Append(pid);
    Add(number.view());
    for (std::string_view word = TakeWord(map); !word.empty(); word = TakeWord(map)) Add(word);
    pointers_[count_] = nullptr;
  }
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;
  ~Arguments() = default;

  [[nodiscard]] char* const* get() const { return pointers_; }

 private:
  // A map that was checked has no more than this: three ids a line, and the pid before them.
  static constexpr std::size_t kWords = 3 * kIdMapLines + 1;

  void Add(std::string_view word) {
    char* const start = bytes_ + used_;
    std::memcpy(start, word.data(), word.size());
    start[word.size()] = '\0';
    used_ += word.size() + 1;
    pointers_[count_++] = start;
  }

  char bytes_[kWords * (kIdDigits + 1)];
  std::size_t used_ = 0;
  char* pointers_[1 + kWords + 1];
  std::size_t count_ = 0;
};

struct ToolCall {
  const char* path;
  char* const* arguments;
  const BlockedSignals* signals;
  int error;  // why the tool was not executed, negated; lies in memory that both processes see
};

// Runs in the child, which shares the helper's memory but not its descriptors and dispositions.
int BecomeTool(void* argument) {
  auto* const call = static_cast<ToolCall*>(argument);
  // We ignore it, and what is ignored stays so in a program that is executed.
  call->error = sys::SetSignalAction(SIGPIPE, {.handler = SIG_DFL}, nullptr);
  if (call->error == 0) call->error = sys::CloseAllFrom(3);
  if (call->error == 0) {
    const Status unblocked = call->signals->Restore();
    if (!unblocked.ok()) call->error = unblocked.error().code();
  }
  if (call->error == 0) {
    char* environment[] = {nullptr};
    call->error = sys::Execute(call->path, call->arguments, environment);
  }
  sys::Exit(1);
}

}  // namespace

Status RunMappingTool(std::string_view tool, pid_t pid, std::string_view map,
                      const BlockedSignals& signals) {
  // The tool looks the pid up in /proc.
  if (!ProcShowsOurPidNamespace()) {
    return Error::Of("failed to run ", tool, ": /proc does not show our pid namespace");
  }
  // If the parent ignores SIGCHLD, so do we, and then the kernel would drop the tool's exit status.
  RETURN_IF_ERROR(Check(sys::SetSignalAction(SIGCHLD, {.handler = SIG_DFL}, nullptr),
                        "failed to stop ignoring SIGCHLD for ", tool));

  FixedText<PATH_MAX> path;
  path.Append(tool);
  const Arguments arguments(path.c_str(), pid, map);
  ToolCall call = {path.c_str(), arguments.get(), &signals, 0};
  // fork would copy our page tables only for exec to drop the copy. With CLONE_VFORK we stand still
  // until then. The dynamic linker needs the most stack, when it binds a function of libc and keeps
  // the processor's registers meanwhile: 3.5 KiB with AVX-512.
  alignas(16) char stack[16UL * 1024];
  ASSIGN_OR_RETURN(const pid_t child,
                   Check(sys::CloneOnStack(CLONE_VM | CLONE_VFORK | SIGCHLD, BecomeTool, &call,
                                           stack + sizeof(stack), nullptr),
                         "failed to create a process for ", tool));
  int status = 0;
  const int result = sys::Wait(child, &status);
  if (call.error != 0) return Error::WithCode(call.error, "failed to execute ", tool);
  if (result < 0) return Error::WithCode(result, "failed to wait for ", tool);
  if (WIFSIGNALED(status)) return Error::Of(tool, " was killed by signal ", WTERMSIG(status));
  if (WEXITSTATUS(status) != 0) {
    return Error::Of(tool, " exited with status ", WEXITSTATUS(status));
  }
  return {};
}

}  // namespace nsenter
