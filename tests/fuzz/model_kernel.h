// SPDX-License-Identifier: Apache-2.0
//
// A kernel for fuzzing: definitions of nsenter::sys that keep track of descriptors, processes,
// namespaces, ids and signals as Linux does, let calls fail as a Script says, and abort as soon as
// the program breaks a promise; and definitions of nsenter::machine, a machine as the Script says.
// No call reaches the real kernel.

#pragma once

#include "base.h"
#include "bootstrap.h"
#include "error.h"
#include "script.h"
#include "sys.h"
#include "words.h"

#include <csetjmp>
#include <csignal>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
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

  enum class Kind { kStdio, kSocket, kPipe, kOther, kFile, kChannel, kPidfd };
  struct File {
    Kind kind = Kind::kOther;
    bool ours = false;  // opened by the program
    int flags = 0;
    std::string name;
    std::string written;
    int channel = -1;  // its number, of an end of a pipe of ours
    bool sends = false;
  };
  /// A pipe of ours.
  struct Channel {
    std::optional<Role> with;    // the process whose clone was the next after it was made
    std::string sent;            // by the process that is followed
    bool ended = false;          // who receives has seen that nobody is left who could send
    bool receiver_gone = false;  // a word has met EPIPE
  };
  /// What a process has to itself, even if its memory is another one's too.
  struct Process {
    std::map<int, File> files;
    std::map<int, sighandler_t> dispositions;
    sys::SignalSet blocked = {};
    bool robust_list_known = true;  // to the kernel
    int* tid_address = nullptr;     // where the kernel clears a word
    void* sequences = nullptr;      // the area that is registered
    bool alternate_stack = false;   // there is one
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
  int MakeChannel(int* ret_fds);
  void Replace(int fd, const File& file);  // dup3
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
  int WaitFor(pid_t pid, int* ret_status);
  int SetMask(const sys::SignalSet& mask, sys::SignalSet* ret_old);
  int TakeSignal(int signal);
  int RegisterSequences(void* area, unsigned size, unsigned signature);
  int UnregisterSequences(void* area);
  int SetAlternateStack(const stack_t* stack, stack_t* ret_old);
  int Execute(const char* path, char* const argv[], char* const environment[]);
  [[noreturn]] void Exit(int status);
  /// The process with the launched process's memory, when that one has ended.
  [[noreturn]] void BecomeSharingInit();
  /// Before anything that changes the process: nothing may be done for a request that is refused.
  void DemandAccepted();
  /// The same where a process with threads may do it too.
  void DemandAsked();
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
    bool hang_up_dropped = false;
    bool terminal_taken = false;
    // libc's, in memory: shared where memory is.
    int tid = kLaunchedPid;   // its cache of the thread id
    int tid_word = kTidWord;  // what stands where the kernel clears a word, if that is elsewhere
    int robust_list = 0;
    alignas(32) char sequences[32] = {};
    char alternate_stack[64] = {};
    // What the program has been told.
    int* tid_address = nullptr;  // null: not asked yet
    bool told_tid_address = false;
    bool told_robust_list = false;
    bool has_probed_sequences = false;  // and the kernel has libc's, or nobody's
    bool knows_alternate_stack = false;
    bool had_alternate_stack = false;
    bool is_new_kernel = false;
    bool foreign_sequences = false;  // could not be unregistered again
  };
  static constexpr pid_t kLaunchedPid = 50;
  static constexpr int kTidWord = 4242;
  State& state() { return state_; }
  Process& process() { return process_; }
  [[nodiscard]] bool HasThreads() const { return Is(kThreaded) && !working_copy_; }
  [[nodiscard]] Role role() const { return role_; }
  /// Where libc's cache of the thread id lies, null if nobody can know. The word that the kernel
  /// clears is the same (glibc until 2.42) or another one.
  [[nodiscard]] int* cached_tid() { return Is(kNoCachedId) ? nullptr : &state_.tid; }
  [[nodiscard]] static stack_t AlternateStack(State& state);
  [[nodiscard]] bool in_tool_child() const { return in_tool_child_; }
  std::map<void*, std::vector<char>>& mappings() { return mappings_; }

 private:
  void SetEnvironment();
  void TakeLine(int fd, std::string_view text);
  void TakeJsonLine(int fd, std::string_view text);
  void TakePlainLine(int fd, std::string_view text);
  int WriteLine(int fd, std::string_view data);
  int WriteReply(int fd, std::string_view data);
  /// The word that comes next, kEnded if there is none.
  nsenter::Word Hear(Channel& channel);
  int SendWord(const File& file, std::string_view data);
  int ReceiveWord(const File& file, char* buffer);
  /// Before a process waits for the other end.
  void DemandWaits(const File& file) const;
  /// Whether the process may say the word on the channel now.
  void DemandWord(const Channel& channel, nsenter::Word word);
  /// Before each call: who shares memory with somebody who runs waits, and nothing else.
  void DemandStill(std::string_view name) const;
  [[nodiscard]] bool AllBlocked() const;
  void CheckEnd();
  void CheckDescriptors();
  void CheckLines();
  void CheckServed();
  void CheckServedNetlink();
  void CheckMapsWritten();
  void CheckInitProcess();
  void CheckThread();
  /// Words that the process that is followed has sent on its channels with another one, and whether
  /// nobody was left to take one.
  [[nodiscard]] std::string SentTo(Role role, bool& ret_gone) const;
  [[nodiscard]] bool IsSilenced() const;
  /// Notes that the launched process clones, and whom.
  Role TakeClone(unsigned long flags, const int* child_tid);
  /// What holds of a process that shares memory.
  void DemandMayShare(Role child) const;
  /// What a clone has of its creator.
  [[nodiscard]] Process CloneOf(unsigned long flags, int* child_tid) const;
  void Born(Role child, unsigned variation);
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
  Process process_;
  std::map<int, File>& files_ = process_.files;
  std::vector<Channel> channels_;
  std::vector<Call> trace_;
  State state_;
  Role role_ = Role::kLaunched;
  pid_t helper_ = 0;
  pid_t init_ = 0;
  bool working_copy_ = false;  // exists
  bool cloned_ = false;
  bool has_read_message_ = false;
  bool has_looked_up_ = false;
  std::optional<Result<Bootstrap>> bootstrap_;
  std::map<void*, std::vector<char>> mappings_;

  std::vector<Line> lines_;
  std::size_t fatal_lines_ = 0;
  bool line_lost_ = false;    // no room, or an error: what was to be said could not be
  std::string rest_of_line_;  // after a short write
  std::string reply_;
  std::string rest_of_reply_;
  bool reply_failed_ = false;
  bool reply_complete_ = false;
  bool others_spoke_ = false;  // another process has said what failed, or has died
  bool last_word_failed_ =
      false;  // the working copy could not tell the launched process that all is done
  bool failed_sent_ = false;                     // the word kFailed, or an attempt at it
  nsenter::Word heard_ = nsenter::Word::kEnded;  // the last one

  std::jmp_buf end_ = {};
  std::jmp_buf end_of_child_ = {};
  bool in_tool_child_ = false;
  /// An init process with the memory of the launched process, which ends first.
  struct SharingInit {
    int (*function)(void*) = nullptr;
    void* argument = nullptr;
    Process process;
  };
  SharingInit sharing_init_;
  bool shares_memory_ = false;  // the init process does
  std::set<int>
      held_until_the_end_;         // channels that the launched process could send on when it ended
  bool has_seen_the_end_ = false;  // the init process, of the launched process
  bool helper_shares_memory_ = false;
  bool helper_is_asked_ = false;  // to write the maps
  bool helper_is_done_ = false;   // it has answered, and ends, or has ended
  bool helper_is_gone_ = false;   // which has been seen
  bool helper_is_reaped_ = false;
  bool waiting_failed_ = false;  // a process cannot see another one's end
  int launched_status_ = 0;
  bool exited_ = false;
  int status_ = 0;
};

}  // namespace nsenter::fuzz
