// SPDX-License-Identifier: Apache-2.0
//
// A kernel for fuzzing: definitions of nsenter::sys that keep track of descriptors, processes,
// namespaces, ids and signals as Linux does, let calls fail as a Script says, and abort as soon as
// the program breaks a promise. No call reaches the real kernel.

#pragma once

#include "base.h"
#include "bootstrap.h"
#include "error.h"
#include "helper.h"
#include "script.h"

#include <csetjmp>
#include <csignal>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nsenter::fuzz {

/// What the processes have said, taken apart.
struct Line {
  int fd;
  bool fatal;
  bool json;
  std::string text;  // without prefix, JSON's escapes undone
};

class ModelKernel {
 public:
  explicit ModelKernel(const Script& script);
  ModelKernel(const ModelKernel&) = delete;
  ModelKernel& operator=(const ModelKernel&) = delete;
  ~ModelKernel();

  /// Calls nsexec() with the script's environment, until it returns or exits, and checks what
  /// can be checked afterwards only.
  void RunNsexec();

  // What came out of it.
  [[nodiscard]] std::size_t calls() const { return trace_.size(); }
  [[nodiscard]] bool exited() const { return exited_; }
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] const std::vector<Line>& lines() const { return lines_; }
  [[nodiscard]] bool has_read_message() const { return has_read_message_; }
  /// For a path or a process.
  [[nodiscard]] bool has_looked_up() const { return has_looked_up_; }

  /// Says what was promised and ends the program, with the list of calls.
  [[noreturn]] void Fail(const std::string& promise) const;

  // The rest is for the definitions of nsenter::sys.

  enum class Kind { kStdio, kSocket, kPipe, kOther, kFile, kGate, kHelper, kPidfd };
  struct File {
    Kind kind = Kind::kOther;
    bool ours = false;  // opened by the program
    int flags = 0;
    std::string name;
    std::string written;
    int other_end = -1;  // of a pipe or socket pair
  };
  struct Call {
    const char* name;
    long number;  // arguments
    long other;
    std::string text;
    long result;
  };

  /// Notes a call; its result is filled in by Return.
  void Enter(const char* name, long number, long other, std::string_view text);
  int Return(int result);
  /// The next answer of the script, 0 (all goes well) if there is no more.
  unsigned Next();
  /// As Next, for calls that can fail: a negated errno, or what is to vary.
  struct Choice {
    int error;  // negated, or 0
    unsigned variation;
  };
  Choice Choose();

  File* Find(int fd);
  /// A descriptor that the program got from us, or a failure of the run.
  File& Ours(int fd);
  int Allocate(Kind kind, const std::string& name, int flags);
  void CloseFd(int fd);
  void Replace(int fd, const File& file);  // dup2
  void CloseAbove(int first);              // close_range
  int WriteTo(int fd, std::string_view data);
  int ReadFrom(int fd, char* buffer, std::size_t size);
  int PeekAt(int fd, char* buffer, std::size_t size);
  int PollFor(int fd, short events, int timeout_ms);
  void LookUp(int directory, const char* path);
  void LookForProcess(pid_t pid);
  int CloneProcess(unsigned long flags, int* child_tid);
  int CloneSharingMemory(unsigned long flags, int (*function)(void*), void* argument,
                         int* child_tid);
  int RunChild(int (*function)(void*), void* argument);
  /// Sleeps until the launched process has ended.
  int WaitForEnd(const int* word);
  int Execute(const char* path, char* const argv[], char* const environment[]);
  [[noreturn]] void Exit(int status);
  /// Before anything that changes the process: nothing may be done for a request that is refused.
  void DemandAccepted();
  /// Before root becomes another user in a user namespace of its own.
  void DemandHidden() const;
  /// Whether the namespaces may be joined now: asked for, not joined yet, and nobody can look.
  [[nodiscard]] bool MayJoin(int type) const;
  void Demand(bool kept, const char* promise) const {
    if (!kept) Fail(promise);
  }

  [[nodiscard]] bool Is(WorldBit bit) const { return (script_.world & bit) != 0; }
  [[nodiscard]] pid_t pid() const;

  /// What the program has made of itself.
  struct State {
    int joined = 0;
    int created = 0;
    bool join_failed = false;
    bool own_user_namespace = false;  // the one to join was said to be ours already
    bool dumpable = true;
    bool uid_zero = false;
    bool gid_zero = false;
    bool groups_dropped = false;
    bool session = false;
    std::string name;
    std::map<std::string, std::string> proc_files;  // what was written to them
    std::map<std::string, bool> tools;  // mapping tools that ran, and whether they succeeded
    std::string last_tool;
    std::map<int, sighandler_t> dispositions;
    // As they lie in glibc's thread structure.
    int tid = 0;
    int between[sizeof(void*) == 8 ? 3 : 1] = {};
    int robust_list = 0;
    int* end_word = nullptr;  // what is cleared when the launched process ends
    bool sequences_restored = false;
  };
  State& state() { return state_; }
  [[nodiscard]] Role role() const { return role_; }
  [[nodiscard]] bool in_tool_child() const { return in_tool_child_; }
  std::map<void*, std::unique_ptr<char[]>>& mappings() { return mappings_; }

 private:
  void SetEnvironment();
  void TakeLine(int fd, std::string_view text);
  void TakeJsonLine(int fd, std::string_view text);
  void TakePlainLine(int fd, std::string_view text);
  int WriteLine(int fd, std::string_view data);
  int WriteReply(int fd, std::string_view data);
  char Word(Kind kind);
  void CheckEnd();
  void CheckDescriptors();
  void CheckLines();
  void CheckServed();
  void CheckServedNetlink();
  void CheckMapsWritten();
  void CheckInitProcess();
  /// Notes that the launched process clones; true: the helper.
  bool TakeClone(unsigned long flags, const int* child_tid);
  [[nodiscard]] bool IsClassic() const { return script_.Get("_LIBCONTAINER_INITPID") != nullptr; }
  [[nodiscard]] int Number(const char* name) const;
  [[nodiscard]] std::string ExpectedReply() const;
  /// Whether a mapping tool's arguments are its own map.
  [[nodiscard]] bool IsToldMap(std::string_view path, char* const words[], bool is_uid) const;

  const Script script_;
  std::vector<std::string> variables_;
  std::vector<char*> environ_;
  std::size_t answers_used_ = 0;
  std::size_t bytes_read_ = 0;
  std::map<int, File> files_;
  std::vector<Call> trace_;
  State state_;
  Role role_ = Role::kLaunched;
  pid_t helper_ = 0;
  pid_t init_ = 0;
  bool cloned_ = false;
  bool has_read_message_ = false;
  bool has_looked_up_ = false;
  std::optional<Result<Bootstrap>> bootstrap_;
  std::map<void*, std::unique_ptr<char[]>> mappings_;

  std::vector<Line> lines_;
  std::size_t fatal_lines_ = 0;
  bool line_lost_ = false;    // no room, or an error: what was to be said could not be
  std::string rest_of_line_;  // after a short write
  std::string reply_;
  std::string rest_of_reply_;
  bool reply_failed_ = false;
  bool reply_complete_ = false;
  bool waiter_gone_ = false;
  std::string sent_;           // words to other processes
  bool others_spoke_ = false;  // another process has said what failed, or has died

  std::jmp_buf end_ = {};
  std::jmp_buf end_of_child_ = {};
  bool in_tool_child_ = false;
  /// An init process with the memory of the launched process, which ends first.
  struct SharingInit {
    int (*function)(void*) = nullptr;
    void* argument = nullptr;
    std::map<int, File> files;
  };
  SharingInit sharing_init_;
  bool shares_memory_ = false;             // the init process does
  SharedAnswer* shared_answer_ = nullptr;  // of one that shares memory
  bool helper_is_done_ = false;            // it has answered, and ends, or has ended
  int launched_status_ = 0;
  bool exited_ = false;
  int status_ = 0;
};

}  // namespace nsenter::fuzz
