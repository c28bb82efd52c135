// SPDX-License-Identifier: Apache-2.0

#include "model_kernel.h"

#include "machine.h"
#include "namespace_type.h"
#include "netlink_message.h"
#include "nsexec.h"
#include "sys.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sched.h>
#include <sys/auxv.h>
#include <unistd.h>
#include <utility>

/// The flag in nsexec() that makes a second call return at once: local to it, and made visible to
/// us by tests/fuzz/run, since here each input is a process of its own.
extern bool nsexec_called __asm__("_ZZ6nsexecE6called");

namespace nsenter::fuzz {
namespace {

ModelKernel* current = nullptr;

constexpr int kErrors[] = {EPERM,  EINVAL,   ENOENT, EACCES, EIO,    ENOSYS, EPIPE, ESRCH,
                           EAGAIN, ENOTSOCK, EMFILE, ENOMEM, ENOSPC, EBADF,  EBUSY, ENOTTY};
constexpr std::size_t kErrorCount = std::size(kErrors);

constexpr pid_t kParent = 40;
constexpr pid_t kNoStage1 = 0x7fffffff;  // nobody, docs/protocol.md
constexpr pid_t kLaunched = ModelKernel::kLaunchedPid;
constexpr pid_t kHelper = 51;
constexpr pid_t kInit = 52;
constexpr pid_t kWorkingCopy = 53;
constexpr pid_t kTool = 60;

// What is blocked before the program begins.
constexpr sys::SignalSet kBlockedBefore = {{1UL << (SIGUSR1 - 1)}};

// As libc registers restartable sequences.
constexpr unsigned kSequencesSize = 32;
constexpr unsigned kSequencesSignature = 0x53053053;

bool Equals(const sys::SignalSet& one, const sys::SignalSet& other) {
  return std::equal(std::begin(one.bits), std::end(one.bits), std::begin(other.bits));
}

constexpr sys::FileId kOwnUserNamespace = {4, 4026531837};
constexpr sys::FileId kOtherUserNamespace = {4, 4026532000};

// What strerror says of no error.
constexpr std::string_view kSuccess = ": Success";

/// Whether the parent itself uses the word: in a path, for example, which a line quotes.
bool SaysSuccess(const Script& script) {
  return script.init_pipe.find(kSuccess) != std::string::npos ||
         std::any_of(script.environment.begin(), script.environment.end(), [](const auto& entry) {
           return entry.second.find(kSuccess) != std::string::npos;
         });
}

constexpr std::string_view kJsonStart = "{\"level\":\"";

bool StartsWithText(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

bool TakePrefix(std::string_view& text, std::string_view prefix) {
  if (!StartsWithText(text, prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

/// Undoes the escapes of a JSON string; false if it is none.
bool Unescape(std::string_view text, std::string& ret_text) {
  while (!text.empty()) {
    const char byte = text.front();
    text.remove_prefix(1);
    if (static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f || byte == '"') return false;
    if (byte != '\\') {
      ret_text += byte;
    } else if (TakePrefix(text, "\"")) {
      ret_text += '"';
    } else if (TakePrefix(text, "\\")) {
      ret_text += '\\';
    } else if (TakePrefix(text, "n")) {
      ret_text += '\n';
    } else if (TakePrefix(text, "u00") && text.size() >= 2) {
      ret_text += static_cast<char>(std::stoi(std::string(text.substr(0, 2)), nullptr, 16));
      text.remove_prefix(2);
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace

ModelKernel::ModelKernel(const Script& script) : script_(script) {
  const auto add = [this](int fd, Kind kind, int flags, const char* name) {
    files_[fd] = {kind, false, flags, name, "", -1, false};
  };
  if (!Is(kStdinClosed)) add(0, Kind::kStdio, O_RDWR, "stdin");
  if (!Is(kStdoutClosed)) add(1, Kind::kStdio, O_RDWR, "stdout");
  if (!Is(kStderrClosed)) add(2, Kind::kStdio, O_RDWR, "stderr");
  // Whatever a parent could name as INITPIPE or LOGPIPE; all but the first two are of no use as one
  // of them.
  add(3, Kind::kSocket, O_RDWR, "socket");
  add(4, Kind::kPipe, O_WRONLY, "write end of a pipe");
  add(5, Kind::kPipe, O_RDONLY, "read end of a pipe");
  add(6, Kind::kOther, O_PATH | O_DIRECTORY, "path");
  add(7, Kind::kOther, O_RDWR, "file");
  process_.dispositions[SIGPIPE] = Is(kSigpipeIgnored) ? SIG_IGN : SIG_DFL;
  process_.dispositions[SIGCHLD] = SIG_IGN;
  process_.blocked = kBlockedBefore;
  process_.sequences = Is(kNoSequences) ? nullptr : state_.sequences;
  current = this;
}

ModelKernel::~ModelKernel() { current = nullptr; }

void ModelKernel::Fail(const std::string& promise) const {
  (void)std::fprintf(stderr, "\nbroken promise: %s\n", promise.c_str());
  for (const auto& [name, value] : script_.environment) {
    (void)std::fprintf(stderr, "  %s=%s\n", name.c_str(), value.c_str());
  }
  for (const Call& call : trace_) {
    (void)std::fprintf(stderr, "  %s(%ld, %ld, \"%s\") = %ld\n", call.name, call.number, call.other,
                       call.text.c_str(), call.result);
  }
  std::abort();
}

void ModelKernel::SetEnvironment() {
  for (const auto& [name, value] : script_.environment) {
    variables_.push_back(name + "=" + std::string(value.c_str()));
  }
  for (std::string& variable : variables_) environ_.push_back(variable.data());
  environ_.push_back(nullptr);
}

void ModelKernel::RunNsexec() {
  SetEnvironment();
  // Not setenv: it never frees what it has allocated.
  char** const own_environment = environ;
  environ = environ_.data();
  nsexec_called = false;
  if (setjmp(end_) == 0) {
    nsexec();
    const std::size_t calls = trace_.size();
    nsexec();
    Demand(trace_.size() == calls, "a second call of nsexec() does nothing");
  }
  environ = own_environment;
  CheckEnd();
}

void ModelKernel::Enter(const char* name, long number, long other, std::string_view text) {
  Demand(!exited_, "no call after exit");
  DemandStill(name);
  trace_.push_back({name, number, other, std::string(text), 0});
  // Once the answers are used up all goes well, and what then does not end never will.
  const std::size_t limit = 1000 + 2 * (script_.faults.size() + script_.init_pipe.size());
  Demand(trace_.size() <= limit, "it ends");
}

int ModelKernel::Return(int result) {
  trace_.back().result = result;
  return result;
}

unsigned ModelKernel::Next() {
  return answers_used_ < script_.faults.size() ? script_.faults[answers_used_++] : 0U;
}

ModelKernel::Choice ModelKernel::Choose() {
  const unsigned answer = Next();
  if (answer == 0) return {0, 0};
  if (answer <= kErrorCount) return {-kErrors[answer - 1], 0};
  return {0, answer - static_cast<unsigned>(kErrorCount)};
}

pid_t ModelKernel::pid() const {
  switch (role_) {
    case Role::kLaunched:
      return working_copy_ ? kWorkingCopy : kLaunched;
    case Role::kWaiter:
      return kLaunched;
    case Role::kHelper:
      return kHelper;
    case Role::kInit:
      return init_;
  }
  return 0;
}

void ModelKernel::DemandStill(std::string_view name) const {
  const bool sees_no_end =
      waiting_failed_ && (name == "poll" || name == "write" || name == "getpid" || name == "exit");
  const bool waits = name == "read" || sees_no_end;
  Demand(role_ != Role::kInit || !shares_memory_ || has_seen_the_end_ || waits || name == "close",
         "the init process goes on when the launched process has let go of its memory");
  Demand(role_ != Role::kHelper || !helper_shares_memory_ || helper_is_asked_ || waits ||
             name == "close",
         "the helper does nothing before it is asked, in memory that it shares");
  Demand(role_ != Role::kLaunched || !helper_shares_memory_ || !helper_is_asked_ ||
             helper_is_gone_ || waits,
         "the launched process goes on when the helper has let go of its memory");
}

// Descriptors.

ModelKernel::File* ModelKernel::Find(int fd) {
  const auto found = files_.find(fd);
  return found == files_.end() ? nullptr : &found->second;
}

ModelKernel::File& ModelKernel::Ours(int fd) {
  File* const file = Find(fd);
  Demand(file != nullptr && file->ours, "only descriptors are used that are open and our own");
  return *file;
}

int ModelKernel::Allocate(Kind kind, const std::string& name, int flags) {
  // As sys.cc has it, what is opened is never standard input, output or error.
  int fd = STDERR_FILENO + 1;
  while (files_.contains(fd)) ++fd;
  files_[fd] = {kind, true, flags, name, "", -1, false};
  return fd;
}

int ModelKernel::MakeChannel(int* ret_fds) {
  const int error = Choose().error;
  if (error != 0) return error;
  for (const int i : {0, 1}) {
    const bool sends = i == 1;
    ret_fds[i] = Allocate(Kind::kChannel, sends ? "sending end" : "receiving end",
                          sends ? O_WRONLY : O_RDONLY);
    File& file = Ours(ret_fds[i]);
    file.channel = static_cast<int>(channels_.size());
    file.sends = sends;
  }
  channels_.emplace_back();
  return 0;
}

void ModelKernel::CloseFd(int fd) {
  const File& file = Ours(fd);
  // /proc takes a text in one write: by now all of it has been written.
  if (file.kind == Kind::kFile && !file.written.empty()) {
    state_.proc_files[file.name] = file.written;
  }
  files_.erase(fd);
}

void ModelKernel::Replace(int fd, const File& file) {
  const File* const before = Find(fd);
  Demand(before == nullptr || !before->ours, "nothing of ours is among 0, 1 and 2");
  files_[fd] = {Kind::kStdio, false, O_RDWR, file.name, "", -1, false};
}

void ModelKernel::CloseAbove(int first) { files_.erase(files_.lower_bound(first), files_.end()); }

void ModelKernel::LookUp(int directory, const char* path) {
  has_looked_up_ = true;
  if (directory == AT_FDCWD) {
    Demand(*path == '/' || !IsClassic() ||
               path == std::string_view(script_.Get("_LIBCONTAINER_CONSOLE_PATH")),
           "paths are absolute or the caller's");
    Demand(state_.joined == 0, "no path is looked up once a namespace has been joined");
  } else {
    Demand((Ours(directory).flags & O_PATH) != 0, "what is looked up in is a folder");
  }
}

void ModelKernel::LookForProcess(pid_t pid) {
  has_looked_up_ = true;
  Demand(pid > 0, "a pidfd is opened of a process");
}

// What is said.

int ModelKernel::WriteTo(int fd, std::string_view data) {
  // The reply first: nothing is said while it is being written.
  if (!rest_of_reply_.empty() && data == rest_of_reply_) return WriteReply(fd, data);
  if (!rest_of_line_.empty() && data == rest_of_line_) return WriteLine(fd, data);
  File* const file = Find(fd);
  if (file != nullptr && file->ours && file->kind != Kind::kStdio) {
    if (file->kind == Kind::kFile) {
      DemandAccepted();
      Demand((file->flags & O_ACCMODE) == O_WRONLY, "what is written to is open for writing");
      const Choice choice = Choose();
      if (choice.error != 0) return choice.error;
      const std::size_t size = choice.variation == 0 ? data.size() : choice.variation % data.size();
      file->written += data.substr(0, size);
      if (size != data.size()) file->written += " (cut)";
      return static_cast<int>(size);
    }
    return SendWord(*file, data);
  }
  Demand(data.size() != 1, "a word is sent on a channel that is open");
  if (StartsWithText(data, "{\"stage1_pid\"") || StartsWithText(data, "{ \"pid\"")) {
    return WriteReply(fd, data);
  }
  return WriteLine(fd, data);
}

bool ModelKernel::AllBlocked() const { return Equals(process_.blocked, sys::kAllSignals); }

void ModelKernel::DemandWord(const Channel& channel, nsenter::Word word) {
  using nsenter::Word;
  const bool is_launched = role_ == Role::kLaunched;
  const bool is_told =
      channel.with == Role::kWaiter || (channel.with == Role::kInit && !shares_memory_);
  switch (word) {
    case Word::kWriteMaps:
      Demand(is_launched && channel.with == Role::kHelper &&
                 (state_.created & CLONE_NEWUSER) != 0 && channel.sent.empty(),
             "the helper is asked once, when there is a user namespace");
      return;
    case Word::kMapsWritten:
      Demand(role_ == Role::kHelper && channel.with == Role::kHelper && channel.sent.empty(),
             "the helper answers once");
      CheckMapsWritten();
      return;
    case Word::kHasConsole:
      Demand(role_ == Role::kInit && channel.with == Role::kInit && state_.terminal_taken,
             "the init process has the console when it says so");
      return;
    case Word::kReported:
      Demand(is_launched && is_told && reply_complete_ && channel.sent.empty(),
             "the process that waits for the reply hears of it once, when the parent has it");
      return;
    case Word::kFailed: {
      const bool is_heard =
          is_launched ? working_copy_ && channel.with == Role::kWaiter : channel.with == role_;
      Demand(is_heard, "a process that hears of a failure waits for this process");
      Demand(!failed_sent_, "a process that waits hears of a failure once");
      Demand(fatal_lines_ != 0 || others_spoke_ || line_lost_ || IsSilenced(),
             "a process that hears of a failure says nothing more");
      failed_sent_ = true;
      return;
    }
    case Word::kEnded:
      break;
  }
  Fail("words are those of words.h");
}

int ModelKernel::SendWord(const File& file, std::string_view data) {
  Demand(data.size() == 1, "one process sends another a single byte, and lines go elsewhere");
  Demand(file.kind == Kind::kChannel && file.sends, "words go in at a sending end");
  Channel& channel = channels_[static_cast<std::size_t>(file.channel)];
  const auto word = static_cast<nsenter::Word>(data.front());
  DemandWord(channel, word);
  if (word == nsenter::Word::kWriteMaps) helper_is_asked_ = true;
  const int error = Choose().error;
  if (error == -EPIPE) {
    channel.receiver_gone = true;
    // Whoever waits at the other end has ended, and has said why if it failed.
    if (role_ == Role::kHelper) others_spoke_ = true;
    if (word == nsenter::Word::kWriteMaps) helper_is_done_ = true;
  }
  if (error != 0) {
    if (channel.with == Role::kWaiter && word == nsenter::Word::kReported) last_word_failed_ = true;
    // It does not wait for an answer, and ends.
    if (error != -EPIPE && word == nsenter::Word::kWriteMaps) helper_is_asked_ = false;
    return error;
  }
  channel.sent += data;
  return 1;
}

int ModelKernel::WriteLine(int fd, std::string_view data) {
  if (data != rest_of_line_) TakeLine(fd, data);
  rest_of_line_.clear();
  if (Find(fd) == nullptr) {
    Demand(fd == STDERR_FILENO, "only standard error may be closed where a line is said");
    line_lost_ = true;
    return -EBADF;
  }
  const Choice choice = Choose();
  if (choice.error != 0) line_lost_ = true;
  if (choice.error != 0) return choice.error;
  const std::size_t size = choice.variation == 0 ? data.size() : 1 + choice.variation % data.size();
  rest_of_line_ = data.substr(std::min(size, data.size()));
  return static_cast<int>(std::min(size, data.size()));
}

void ModelKernel::TakeLine(int fd, std::string_view text) {
  Demand(text.size() <= 4095, "a line is shorter than 4,096 bytes");
  Demand(!text.empty() && text.back() == '\n' && std::count(text.begin(), text.end(), '\n') == 1,
         "a line is one line");
  if (StartsWithText(text, kJsonStart)) {
    TakeJsonLine(fd, text);
  } else {
    TakePlainLine(fd, text);
  }
  Demand(!lines_.back().fatal || !lines_.back().text.ends_with(kSuccess) || SaysSuccess(script_),
         "no error is called a success");
  Demand(!others_spoke_ || !lines_.back().fatal, "of two processes one says what failed");
  if (lines_.back().fatal) ++fatal_lines_;
}

void ModelKernel::TakeJsonLine(int fd, std::string_view text) {
  // But for a text that is fixed, LOGPIPE is one of the other protocol only.
  Demand(fd == Number("_LIBCONTAINER_LOGPIPE") && (!IsClassic() || Is(kSecure)),
         "JSON lines go to LOGPIPE");
  text.remove_prefix(kJsonStart.size());
  const bool fatal = StartsWithText(text, "fatal\"");
  Demand(TakePrefix(text, fatal ? "fatal\", \"msg\": \"nsexec" : "debug\", \"msg\": \"nsexec"),
         "a line has a level and a message");
  const std::string prefix =
      (cloned_ ? "-" + std::to_string(static_cast<int>(role_)) : std::string()) + "[" +
      std::to_string(pid()) + "]: ";
  Demand(TakePrefix(text, prefix), "a line begins with its process");
  Demand(text.size() > 3 && text.substr(text.size() - 3) == "\"}\n", "a line ends as JSON");
  std::string message;
  Demand(Unescape(text.substr(0, text.size() - 3), message), "a line is escaped as JSON");
  const char* const level = script_.Get("_LIBCONTAINER_LOGLEVEL");
  Demand(fatal || level == nullptr || *level == '\0' || Number("_LIBCONTAINER_LOGLEVEL") >= 5,
         "a debug line needs the debug level");
  lines_.push_back({fd, fatal, true, message});
}

void ModelKernel::TakePlainLine(int fd, std::string_view text) {
  Demand(fd == STDERR_FILENO, "a line that is no JSON goes to standard error");
  Demand(TakePrefix(text, IsClassic() ? "nsenter: " : "FATAL: "),
         "a line has its protocol's prefix");
  lines_.push_back({fd, true, false, std::string(text.substr(0, text.size() - 1))});
}

int ModelKernel::WriteReply(int fd, std::string_view data) {
  Demand(role_ == Role::kLaunched && init_ != 0, "the launched process replies, after the clone");
  Demand(fd == Number("_LIBCONTAINER_INITPIPE"), "the reply goes to INITPIPE");
  Demand(!reply_complete_, "there is one reply");
  Demand(Equals(process_.blocked, kBlockedBefore), "who replies can be ended by a signal");
  Demand(reply_ + std::string(data) == ExpectedReply(), "the reply is what the protocol says");
  const Choice choice = Choose();
  if (choice.error != 0) {
    reply_failed_ = true;
    rest_of_reply_.clear();
    return choice.error;
  }
  const std::size_t size =
      std::min(data.size(), choice.variation == 0 ? data.size() : 1 + choice.variation % 8);
  reply_ += data.substr(0, size);
  rest_of_reply_ = data.substr(size);
  reply_complete_ = rest_of_reply_.empty();
  return static_cast<int>(size);
}

std::string ModelKernel::ExpectedReply() const {
  const std::string init = std::to_string(init_);
  if (IsClassic()) return "{ \"pid\" : " + init + " }\n";
  pid_t stage1 = helper_ != 0 && helper_ != init_ ? helper_ : kNoStage1;
  if (working_copy_) stage1 = kWorkingCopy;
  return "{\"stage1_pid\":" + std::to_string(stage1) + ",\"stage2_pid\":" + init + "}\n";
}

// What is heard.

int ModelKernel::PeekAt(int fd, char* buffer, std::size_t size) {
  const File* const file = Find(fd);
  if (file == nullptr) return -EBADF;
  if (file->kind != Kind::kSocket) return -ENOTSOCK;
  const Choice choice = Choose();
  if (choice.error != 0) return choice.error;
  std::size_t shown = std::min(size, script_.init_pipe.size());
  if (choice.variation != 0 && shown > 1) shown = 1 + choice.variation % shown;
  std::memcpy(buffer, script_.init_pipe.data(), shown);
  return static_cast<int>(shown);
}

int ModelKernel::PollFor(int fd, short events, int timeout_ms) {
  Demand(timeout_ms >= 0 && timeout_ms <= 1000, "nothing waits for ever in poll");
  const bool is_line = events == POLLOUT;
  File* const file = Find(fd);
  if (file != nullptr && file->ours) {
    Demand(events == 0 && timeout_ms == 0 && file->kind == Kind::kChannel && !file->sends,
           "of our descriptors only channels are looked at, and only for their end");
    DemandWaits(*file);
    Channel& channel = channels_[static_cast<std::size_t>(file->channel)];
    const Choice choice = Choose();
    if (choice.error != 0) return choice.error;
    if (choice.variation % 2 != 0 || channel.ended) {
      channel.ended = true;
      others_spoke_ = true;
      return POLLHUP;
    }
    return 0;
  }
  if (Find(fd) == nullptr) return POLLNVAL;
  const Choice choice = Choose();
  const bool ready = choice.error == 0 && choice.variation == 0;
  // EINVAL is no answer, and the line is written unasked.
  const bool lost = is_line && !ready && choice.error != -EINVAL;
  if (lost) line_lost_ = true;
  if (lost) rest_of_line_.clear();  // nobody will write it any more
  if (choice.error != 0) return choice.error;
  return ready ? events : 0;
}

nsenter::Word ModelKernel::Hear(Channel& channel) {
  using nsenter::Word;
  // Nobody says more than one word on a channel.
  if (std::exchange(channel.ended, true)) return Word::kEnded;
  const unsigned answer = Next();
  if (role_ == Role::kHelper || role_ == Role::kInit) {
    if (answer % 2 != 0) others_spoke_ = true;
    if (answer % 2 != 0) return Word::kEnded;
    return role_ == Role::kHelper ? Word::kWriteMaps : Word::kReported;
  }
  if (channel.with == Role::kHelper) {
    Demand(helper_is_asked_, "a process that waits for an answer has asked");
    if (std::exchange(helper_is_done_, true)) return Word::kEnded;
  }
  switch (answer % 4) {
    case 1:
      return Word::kEnded;
    case 2:
      others_spoke_ = true;
      return Word::kFailed;
    case 3:
      if (role_ == Role::kLaunched) return static_cast<Word>('?');
      break;
    default:
      break;
  }
  if (role_ == Role::kWaiter) return Word::kReported;
  return channel.with == Role::kInit ? Word::kHasConsole : Word::kMapsWritten;
}

void ModelKernel::DemandWaits(const File& file) const {
  for (const auto& [fd, other] : files_) {
    Demand(!other.ours || other.channel != file.channel || !other.sends,
           "a process that waits would see the other's end");
  }
  const bool is_named = role_ == Role::kWaiter || role_ == Role::kLaunched;
  Demand(!is_named || Equals(process_.blocked, kBlockedBefore),
         "a process that waits for another can be ended by a signal");
}

int ModelKernel::ReceiveWord(const File& file, char* buffer) {
  Demand(file.kind == Kind::kChannel && !file.sends, "words come out at a receiving end");
  DemandWaits(file);
  Channel& channel = channels_[static_cast<std::size_t>(file.channel)];
  if (role_ == Role::kInit && shares_memory_ && !has_seen_the_end_) {
    // If the launched process has failed it has said so, and nobody else says anything.
    const int error = launched_status_ == 0 ? Choose().error : 0;
    waiting_failed_ = error != 0;
    if (error != 0) return error;
    Demand(channel.sent.empty() && held_until_the_end_.contains(file.channel),
           "what the init process waits for is the launched process's end");
    has_seen_the_end_ = true;
    return 0;
  }
  const int error = Choose().error;
  waiting_failed_ = error != 0;
  if (error != 0) return error;
  heard_ = Hear(channel);
  if (role_ == Role::kHelper) helper_is_asked_ = true;
  if (heard_ == nsenter::Word::kEnded && channel.with == Role::kHelper) helper_is_gone_ = true;
  *buffer = static_cast<char>(heard_);
  return heard_ == nsenter::Word::kEnded ? 0 : 1;
}

int ModelKernel::ReadFrom(int fd, char* buffer, std::size_t size) {
  Demand(size > 0, "something is read");
  File* const file = Find(fd);
  if (file != nullptr && file->ours) {
    Demand(size == 1, "one process hears from another a single byte");
    return ReceiveWord(*file, buffer);
  }
  Demand(fd == Number("_LIBCONTAINER_INITPIPE"), "what the parent says is on INITPIPE");
  has_read_message_ = true;
  if (file == nullptr) return -EBADF;
  const Choice choice = Choose();
  if (choice.error != 0) return choice.error;
  std::size_t got = std::min(size, script_.init_pipe.size() - bytes_read_);
  if (choice.variation != 0 && got > 1) got = 1 + choice.variation % got;
  std::memcpy(buffer, script_.init_pipe.data() + bytes_read_, got);
  bytes_read_ += got;
  return static_cast<int>(got);
}

// Processes.

Role ModelKernel::TakeClone(unsigned long flags, const int* child_tid) {
  Demand(role_ == Role::kLaunched, "only the launched process clones");
  constexpr unsigned long kKnown = CLONE_PARENT | CLONE_CHILD_CLEARTID | SIGCHLD;
  Demand((flags & ~kKnown) == 0 && (flags & SIGCHLD) == SIGCHLD, "a clone is a plain process");
  const bool is_copy = Is(kThreaded) && !working_copy_;
  if (is_copy) {
    DemandAsked();
  } else {
    DemandAccepted();
    Demand(AllBlocked(), "signals are blocked around a clone");
  }
  const bool is_helper = !is_copy && !IsClassic() && bootstrap_->value().Creates(CLONE_NEWUSER) &&
                         (state_.created & CLONE_NEWUSER) == 0;
  const bool is_sibling = (flags & CLONE_PARENT) != 0;
  Demand(is_sibling == !(is_helper && working_copy_),
         "the parent reaps all but the helper of a working copy");
  int* const cleared = state_.told_tid_address ? state_.tid_address : cached_tid();
  Demand((flags & CLONE_CHILD_CLEARTID) == 0 || child_tid == cleared,
         "the kernel clears what it is to clear");
  if (is_copy) return Role::kLaunched;
  Demand(is_helper ? state_.joined == 0 && helper_ == 0 : init_ == 0,
         "the helper is cloned before any join, and each once");
  return is_helper ? Role::kHelper : Role::kInit;
}

void ModelKernel::DemandMayShare(Role child) const {
  const char* const copies = script_.Get("NSEXEC_COPY_MEMORY");
  Demand(!Is(kBuiltToCopy) && !Is(kSanitizer) && !Is(kShadowStack) && state_.is_new_kernel &&
             (copies == nullptr || *copies == '\0'),
         "memory is shared where that is sound only");
  if (child == Role::kHelper) {
    Demand(!state_.dumpable, "nobody can get at what a helper shares");
    return;
  }
  Demand(child == Role::kInit, "a working copy has memory of its own");
  Demand(!helper_shares_memory_ || helper_is_gone_,
         "there is one stack for those who share memory");
  Demand((state_.created & CLONE_NEWTIME) == 0,
         "who enters a time namespace has memory of its own");
  Demand(!IsClassic() || script_.Get("_LIBCONTAINER_CONSOLE_PATH") == nullptr,
         "who takes a console has memory of its own");
  Demand(state_.told_tid_address && state_.has_probed_sequences && state_.knows_alternate_stack,
         "what a clone that shares memory loses is known before");
}

ModelKernel::Process ModelKernel::CloneOf(unsigned long flags, int* child_tid) const {
  Process clone = process_;
  clone.tid_address = (flags & CLONE_CHILD_CLEARTID) != 0 ? child_tid : nullptr;
  clone.robust_list_known = false;
  if ((flags & CLONE_VM) != 0) {
    clone.sequences = nullptr;
    clone.alternate_stack = false;
  }
  return clone;
}

void ModelKernel::Born(Role child, unsigned variation) {
  for (Channel& channel : channels_) {
    if (!channel.with.has_value()) channel.with = child == Role::kLaunched ? Role::kWaiter : child;
  }
  if (child == Role::kLaunched) {
    working_copy_ = true;
    return;
  }
  cloned_ = true;
  if (child == Role::kHelper) {
    helper_ = kHelper;
  } else {
    // The helper's number can be free again.
    init_ = helper_is_done_ && variation % 2 != 0 ? helper_ : kInit;
  }
}

int ModelKernel::CloneProcess(unsigned long flags, int* child_tid) {
  const Role child = TakeClone(flags, child_tid);
  const Choice choice = Choose();
  if (choice.error != 0) return choice.error;
  Born(child, choice.variation);
  if (child == Role::kLaunched) {
    if (script_.follow == Role::kWaiter) {
      role_ = Role::kWaiter;
      return kWorkingCopy;
    }
  } else if (script_.follow != child) {
    return child == Role::kHelper ? helper_ : init_;
  }
  process_ = CloneOf(flags, child_tid);
  role_ = child;
  return 0;
}

int ModelKernel::CloneSharingMemory(unsigned long flags, int (*function)(void*), void* argument,
                                    int* child_tid) {
  const Role child = TakeClone(flags & ~static_cast<unsigned long>(CLONE_VM), child_tid);
  Demand((flags & CLONE_VM) != 0, "a process with a stack of its own shares memory");
  DemandMayShare(child);
  const Choice choice = Choose();
  if (choice.error != 0) return choice.error;
  Born(child, choice.variation);
  if (child == Role::kHelper) {
    helper_shares_memory_ = true;
    if (script_.follow != Role::kHelper) return helper_;
    process_ = CloneOf(flags, child_tid);
    role_ = Role::kHelper;
    function(argument);
    Fail("the helper does not return");
  }
  shares_memory_ = true;
  if (script_.follow != Role::kInit) return init_;
  sharing_init_ = {function, argument, CloneOf(flags, child_tid)};
  // First the launched process, to its end, unless it is killed here.
  if (choice.variation % 4 < 2) return init_;
  others_spoke_ = true;
  launched_status_ = SIGKILL;
  BecomeSharingInit();
}

void ModelKernel::BecomeSharingInit() {
  // The kernel lets go of the launched process's memory, and clears a word in it ...
  if (process_.tid_address != nullptr) *process_.tid_address = 0;
  // ... and then closes what it has open.
  for (const auto& [fd, file] : files_) {
    if (file.ours && file.kind == Kind::kChannel && file.sends) {
      held_until_the_end_.insert(file.channel);
    }
  }
  role_ = Role::kInit;
  failed_sent_ = false;
  process_ = std::move(sharing_init_.process);
  // It goes on in a stack frame of the launched process, which is still there: that one has called
  // us from it. Nothing in this stack frame is destroyed then.
  std::exchange(sharing_init_.function, nullptr)(sharing_init_.argument);
  Fail("the init process does not return on the stack it waited on");
}

int ModelKernel::RunChild(int (*function)(void*), void* argument) {
  Demand(role_ == Role::kHelper && !in_tool_child_, "the helper runs the mapping tool");
  const Choice choice = Choose();
  if (choice.error != 0) return choice.error;
  // The child has its own copies of these, and nothing else: it shares our memory.
  const Process before = process_;
  in_tool_child_ = true;
  if (setjmp(end_of_child_) == 0) {
    function(argument);
    Fail("the function of a vfork child does not return");
  }
  in_tool_child_ = false;
  process_ = before;
  return kTool;
}

int ModelKernel::WaitFor(pid_t pid, int* ret_status) {
  const bool is_helper = role_ == Role::kLaunched && working_copy_ && pid == helper_;
  Demand(is_helper || (role_ == Role::kHelper && pid == kTool),
         "only the mapping tool, or the helper of a working copy, is waited for");
  Demand(!is_helper || helper_is_done_, "a process that is reaped ends");
  const Choice choice = Choose();
  if (is_helper) helper_is_reaped_ = true;
  if (choice.error != 0) return choice.error;
  // Even: an exit status; odd: a signal.
  const int number = static_cast<int>(choice.variation / 2 % 64);
  *ret_status = choice.variation % 2 == 0 ? number << 8 : (number == 0 ? 9 : number);
  if (!is_helper && *ret_status == 0) state_.tools[state_.last_tool] = true;
  return pid;
}

// Signals.

int ModelKernel::SetMask(const sys::SignalSet& mask, sys::SignalSet* ret_old) {
  const bool blocks = Equals(mask, sys::kAllSignals);
  Demand(blocks || Equals(mask, kBlockedBefore), "what is blocked is all, or what was before");
  if (role_ == Role::kInit && !blocks) {
    Demand(state_.session, "no signal arrives before there is a session");
    Demand(state_.hang_up_dropped, "the other session's SIGHUP is dropped before signals arrive");
  }
  Demand(role_ != Role::kHelper || in_tool_child_ || blocks, "no handler runs in the helper");
  const int error = Choose().error;
  if (error != 0) return error;
  if (ret_old != nullptr) *ret_old = process_.blocked;
  process_.blocked = mask;
  return 0;
}

int ModelKernel::TakeSignal(int signal) {
  Demand(role_ == Role::kInit && signal == SIGHUP && state_.session && AllBlocked(),
         "a process that has left the session drops SIGHUP, before it arrives");
  const Choice choice = Choose();
  state_.hang_up_dropped = choice.error == 0 || choice.error == -EAGAIN;
  if (choice.error != 0) return choice.error;
  return choice.variation == 0 ? -EAGAIN : signal;
}

// What the kernel keeps for a thread.

int ModelKernel::RegisterSequences(void* area, unsigned size, unsigned signature) {
  void* const libcs = Is(kNoSequences) ? nullptr : state_.sequences;
  Demand(area != nullptr && size == kSequencesSize, "an area is registered");
  Demand(area != libcs || signature == kSequencesSignature,
         "libc's area is registered as libc does");
  Demand(area == libcs || (role_ == Role::kLaunched && libcs == nullptr),
         "what is registered is libc's, or was a probe");
  const Choice choice = Choose();
  int result = choice.error;
  if (result == 0 && process_.sequences != nullptr && choice.variation == 0) {
    result = area == process_.sequences ? -EBUSY : -EINVAL;
  }
  if (result == 0) process_.sequences = area;
  state_.has_probed_sequences = area == libcs ? result == -EBUSY : result == -ENOSYS;
  return result;
}

int ModelKernel::UnregisterSequences(void* area) {
  Demand(role_ == Role::kLaunched && area == process_.sequences && area != state_.sequences,
         "what is registered no longer was a probe");
  const int error = Choose().error;
  if (error != 0) {
    state_.foreign_sequences = true;
    return error;
  }
  process_.sequences = nullptr;
  state_.has_probed_sequences = true;
  return 0;
}

stack_t ModelKernel::AlternateStack(State& state) {
  stack_t stack = {};
  stack.ss_sp = state.alternate_stack;
  stack.ss_size = sizeof(state.alternate_stack);
  return stack;
}

int ModelKernel::SetAlternateStack(const stack_t* stack, stack_t* ret_old) {
  const Choice choice = Choose();
  if (stack == nullptr) {
    Demand(role_ == Role::kLaunched && ret_old != nullptr, "the launched process asks");
    if (choice.error != 0) return choice.error;
    state_.had_alternate_stack = process_.alternate_stack = choice.variation % 2 != 0;
    state_.knows_alternate_stack = true;
    *ret_old = AlternateStack(state_);
    if (!process_.alternate_stack) *ret_old = {nullptr, SS_DISABLE, 0};
    return 0;
  }
  const stack_t before = AlternateStack(state_);
  Demand(role_ == Role::kInit && shares_memory_ && state_.had_alternate_stack &&
             stack->ss_sp == before.ss_sp && stack->ss_size == before.ss_size &&
             stack->ss_flags == before.ss_flags,
         "the alternate stack is the one it was");
  if (choice.error == 0) process_.alternate_stack = true;
  return choice.error;
}

bool ModelKernel::IsToldMap(std::string_view path, char* const words[], bool is_uid) const {
  const Bootstrap& bootstrap = bootstrap_->value();
  if (path != (is_uid ? bootstrap.uid_map_tool : bootstrap.gid_map_tool)) return false;
  std::string told;
  for (char* const* word = words; *word != nullptr; ++word) told += std::string(*word) + " ";
  // The words of the map, one after the other.
  std::string all;
  for (const char c : is_uid ? bootstrap.uid_map.text : bootstrap.gid_map.text) {
    const bool blank = c == ' ' || c == '\t' || c == '\n';
    if (!blank || (!all.empty() && all.back() != ' ')) all += blank ? ' ' : c;
  }
  if (!all.empty() && all.back() != ' ') all += ' ';
  return told == all;
}

// Nothing here may own memory when it jumps: it would be lost.
int ModelKernel::Execute(const char* path, char* const argv[], char* const environment[]) {
  Demand(in_tool_child_, "only the mapping tool is executed");
  Demand(*path == '/' && argv[0] == std::string_view(path),
         "the mapping tool has an absolute path");
  Demand(environment[0] == nullptr, "the mapping tool has an empty environment");
  Demand(process_.dispositions[SIGPIPE] == SIG_DFL, "the mapping tool does not ignore SIGPIPE");
  Demand(Equals(process_.blocked, kBlockedBefore), "the mapping tool has the caller's signal mask");
  for (const auto& [fd, file] : files_) {
    Demand(fd <= STDERR_FILENO, "the mapping tool has no descriptor above 2");
  }
  const pid_t launched = working_copy_ ? kWorkingCopy : kLaunched;
  Demand(argv[1] == std::to_string(launched), "the mapping tool is told the launched process");
  const bool is_uid_tool = IsToldMap(path, argv + 2, true);
  const bool is_gid_tool = IsToldMap(path, argv + 2, false);
  Demand(is_uid_tool || is_gid_tool, "a mapping tool is told its own map");
  const Choice choice = Choose();
  if (choice.error != 0) return choice.error;
  // Where both have the same map and the same tool, whose turn it is tells them apart.
  const bool uid_map_is_next =
      !state_.tools.contains("uid_map") && !state_.proc_files.contains("uid_map");
  state_.last_tool = is_uid_tool && (uid_map_is_next || !is_gid_tool) ? "uid_map" : "gid_map";
  state_.tools[state_.last_tool] = false;
  longjmp(end_of_child_, 1);
}

void ModelKernel::Exit(int status) {
  if (in_tool_child_) longjmp(end_of_child_, 1);
  const bool is_waited_for = role_ == Role::kHelper || (role_ == Role::kLaunched && working_copy_);
  Demand(!failed_sent_ || status == 1, "who says that it has failed ends so");
  Demand(!is_waited_for || fatal_lines_ == 0 || failed_sent_,
         "a process that waits hears of a failure");
  if (sharing_init_.function != nullptr) {
    launched_status_ = status;
    Demand(status != 0 || reply_complete_, "the parent has the reply");
    BecomeSharingInit();
  }
  exited_ = true;
  status_ = status;
  longjmp(end_, 1);
}

// Promises.

int ModelKernel::Number(const char* name) const {
  const char* const value = script_.Get(name);
  return value == nullptr ? -1 : std::atoi(value);
}

void ModelKernel::DemandAccepted() {
  DemandAsked();
  Demand(!Is(kThreaded) || working_copy_, "a process with threads only copies itself");
}

void ModelKernel::DemandAsked() {
  Demand(!Is(kSecure) && !Is(kParentOutside) && !Is(kBeingLoaded), "an unfit process does nothing");
  if (IsClassic()) {
    Demand(Number("_LIBCONTAINER_INITPID") > 0, "nothing is done for a process that is none");
    return;
  }
  if (!bootstrap_.has_value()) {
    // Of the bytes that were taken only: it may be a message that has not arrived as a whole.
    bootstrap_.emplace(ParseMessage({script_.init_pipe.data(), bytes_read_}));
  }
  Demand(bootstrap_->ok(), "nothing is done for a message that is refused");
}

bool ModelKernel::MayJoin(int type) const {
  if ((state_.joined & type) != 0) return false;
  if (IsClassic()) return true;
  for (const NamespaceType& known : kNamespaceTypes) {
    const bool wanted = bootstrap_->value().Joins(known.clone_flag);
    if ((type & known.clone_flag) != 0 && !wanted) return false;
  }
  return !state_.dumpable;
}

void ModelKernel::DemandHidden() const {
  // In here dumpable is what the program has made of it; it begins as 1.
  const bool has_helper = (state_.created & CLONE_NEWUSER) != 0 && helper_ != 0;
  Demand(!has_helper || Is(kUnprivileged) || !state_.dumpable,
         "nobody can get at root until it is the user that it becomes");
}

void ModelKernel::CheckDescriptors() {
  for (const auto& [fd, file] : files_) {
    if (file.ours)
      Fail("every descriptor opened is closed: " + std::to_string(fd) + " " + file.name);
  }
  for (const int fd : {3, 4, 5, 6, 7}) Demand(Find(fd) != nullptr, "the parent's descriptors stay");
  Demand(mappings_.empty(), "all memory is given back");
}

bool ModelKernel::IsSilenced() const {
  const char* const level = script_.Get("_LIBCONTAINER_LOGLEVEL");
  return !IsClassic() && level != nullptr && level == std::string_view("0");
}

void ModelKernel::CheckLines() {
  const bool silenced = IsSilenced();
  // The init process that the parent knows of goes on, even if the copy that has replied cannot
  // tell the launched process so: that one ends with status 1 then.
  if (!exited_ || status_ == 0) {
    Demand(fatal_lines_ == 0 || last_word_failed_, "no fatal line without a failure");
  }
  if (!exited_ || status_ == 0) return;
  Demand(status_ == 1, "a failure is exit status 1");
  // A refusal of privileges is said in both places. Where a working copy could not say its last
  // word, it has said so, and the init process may fail after it.
  const unsigned most = (Is(kSecure) ? 2U : 1U) + (last_word_failed_ ? 1U : 0U);
  Demand(fatal_lines_ <= most, "a failure is at most one fatal line");
  if (fatal_lines_ == 2 && !last_word_failed_)
    Demand(lines_.front().json != lines_.back().json, "a line is said once");
  if (others_spoke_) return;
  // A line that is lost is one that was tried, or for which there was no room.
  Demand(fatal_lines_ != 0 || silenced || line_lost_, "a failure is one fatal line");
}

void ModelKernel::CheckMapsWritten() {
  const Bootstrap& bootstrap = bootstrap_->value();
  const auto written = [&](const char* name, std::string_view text) {
    const auto tool = state_.tools.find(name);
    return (tool != state_.tools.end() && tool->second) || state_.proc_files[name] == text;
  };
  Demand(written("uid_map", bootstrap.uid_map.text), "the uid map is written");
  Demand(written("gid_map", bootstrap.gid_map.text), "the gid map is written");
}

void ModelKernel::CheckServedNetlink() {
  const Bootstrap& bootstrap = bootstrap_->value();
  int joins = 0;
  for (std::size_t i = 0; i < bootstrap.join_count; ++i) {
    joins |= bootstrap.joins[i].type.clone_flag;
  }
  const int owned = state_.own_user_namespace ? CLONE_NEWUSER : 0;
  Demand((state_.joined | owned) == (joins | owned), "every namespace asked for is joined");
  Demand(state_.created == bootstrap.clone_flags, "every namespace asked for is created");
  Demand(state_.uid_zero && state_.gid_zero, "it is uid and gid 0");
  Demand(state_.groups_dropped == (bootstrap.setgroups && !bootstrap.rootless_euid),
         "the groups are given up where that is asked for");
  Demand(state_.proc_files["oom_score_adj"] == bootstrap.oom_score_adj, "the oom score is set");
  const bool offsets = bootstrap.Creates(CLONE_NEWTIME) && !bootstrap.time_offsets.empty();
  Demand(!offsets || state_.proc_files["timens_offsets"] == bootstrap.time_offsets,
         "the time offsets are set");
  Demand((joins == 0) == state_.dumpable,
         "a process that has joined namespaces is not dumpable, others are");
  if (bootstrap.Creates(CLONE_NEWUSER) && helper_ == 0) CheckMapsWritten();
  std::uint32_t size = 0;
  std::memcpy(&size, script_.init_pipe.data(), sizeof(size));
  Demand(bytes_read_ == size, "not a byte of what follows the message is taken");
}

void ModelKernel::CheckInitProcess() {
  Demand(state_.session, "the init process leads a session");
  Demand(IsClassic() || state_.name == "runc:[2:INIT]", "the init process has its name");
  Demand(process_.dispositions[SIGPIPE] == (Is(kSigpipeIgnored) ? SIG_IGN : SIG_DFL),
         "the disposition of SIGPIPE is what it was");
  Demand(process_.dispositions[SIGCHLD] == SIG_IGN, "the disposition of SIGCHLD is what it was");
  Demand(Equals(process_.blocked, kBlockedBefore), "the signal mask is what it was");
  Demand(shares_memory_ ? reply_complete_ : heard_ == nsenter::Word::kReported,
         "the init process goes on when the parent knows of it");
  const bool has_console = IsClassic() && script_.Get("_LIBCONTAINER_CONSOLE_PATH") != nullptr;
  Demand(state_.terminal_taken == has_console, "the init process has the console, if there is one");
  CheckThread();
}

void ModelKernel::CheckThread() {
  Demand(cached_tid() == nullptr || state_.tid == init_, "libc knows the thread's id");
  Demand(state_.tid_word == kTidWord, "what the kernel has cleared is what it was");
  Demand(!state_.told_tid_address || process_.tid_address == state_.tid_address,
         "the kernel tells of the thread's end where it did");
  Demand(!state_.told_robust_list || process_.robust_list_known, "the kernel has the robust list");
  void* const libcs = Is(kNoSequences) ? nullptr : state_.sequences;
  Demand(process_.sequences == libcs || state_.foreign_sequences,
         "restartable sequences are registered as they were");
  Demand(process_.alternate_stack == state_.had_alternate_stack,
         "the alternate stack is what it was");
}

std::string ModelKernel::SentTo(Role role, bool& ret_gone) const {
  std::string sent;
  for (const Channel& channel : channels_) {
    if (channel.with != role) continue;
    sent += channel.sent;
    ret_gone = ret_gone || channel.receiver_gone;
  }
  return sent;
}

void ModelKernel::CheckServed() {
  bool gone = false;
  if (role_ == Role::kWaiter) {
    Demand(heard_ == nsenter::Word::kReported, "the launched process ends as its copy does");
    return;
  }
  if (role_ == Role::kHelper) {
    CheckMapsWritten();
    // With shared memory it leaves word there, and its end is the answer.
    Demand(SentTo(Role::kHelper, gone) == (helper_shares_memory_ ? "" : "m") || gone,
           "the helper says that the maps are written");
    return;
  }
  if (IsClassic()) {
    constexpr int kJoined = CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS;
    Demand(state_.created == 0 && (state_.joined & ~kJoined) == 0,
           "the classic protocol creates nothing and joins five");
  } else {
    CheckServedNetlink();
  }
  if (role_ == Role::kInit) {
    CheckInitProcess();
  } else {
    Demand(reply_complete_, "the parent has the reply");
    Demand(SentTo(Role::kInit, gone) == (shares_memory_ ? "" : "r") || gone,
           "an init process with a copy is told that the parent knows of it, and no other");
    gone = false;
    Demand(SentTo(Role::kWaiter, gone) == (working_copy_ ? "r" : "") || gone,
           "the launched process is told that its copy is done");
    Demand(!working_copy_ || helper_ == 0 || helper_is_reaped_, "the helper of a copy is reaped");
  }
}

void ModelKernel::CheckEnd() {
  CheckLines();
  if (!exited_) CheckDescriptors();
  if (exited_ && status_ != 0) {
    Demand(reply_.empty() || reply_failed_ || others_spoke_ || reply_complete_,
           "nothing is on INITPIPE after a failure");
    return;
  }
  const bool served = role_ != Role::kLaunched || exited_;
  if (served) CheckServed();
  if (served) return;
  Demand(state_.joined == 0 && state_.created == 0 && !cloned_ && bytes_read_ == 0,
         "a process that is asked for nothing does nothing");
}

}  // namespace nsenter::fuzz

/// The core's getauxval, see tests/fuzz/run.
extern "C" unsigned long FuzzedGetauxval(unsigned long type) {
  using nsenter::fuzz::current;
  if (type == AT_PAGESZ) return 4096;
  if (type == AT_UID || type == AT_GID) return 1000;
  if (type == AT_EUID || type == AT_EGID) {
    return current != nullptr && current->Is(nsenter::fuzz::kUnprivileged) ? 1000 : 0;
  }
  return current != nullptr && current->Is(nsenter::fuzz::kSecure) ? 1 : 0;
}

namespace nsenter::sys {
namespace {

using fuzz::current;
using fuzz::ModelKernel;
using fuzz::Role;
using Kind = ModelKernel::Kind;

ModelKernel& Enter(const char* name, long number = 0, long other = 0, std::string_view text = "") {
  if (current == nullptr) std::abort();
  current->Enter(name, number, other, text);
  return *current;
}

/// A call that fails as the script says, or succeeds with 0.
int Simple(ModelKernel& kernel) { return kernel.Return(kernel.Choose().error); }

/// The user namespace at a path or descriptor: ours, or another one.
void ChooseUserNamespace(ModelKernel& kernel, unsigned variation, FileId* ret_id) {
  const bool own = variation % 2 != 0;
  if (own) kernel.state().own_user_namespace = true;
  *ret_id = own ? fuzz::kOwnUserNamespace : fuzz::kOtherUserNamespace;
}

/// A call that only the launched process makes, for a request that was accepted.
ModelKernel& EnterToChange(const char* name, long number = 0, long other = 0) {
  ModelKernel& kernel = Enter(name, number, other);
  kernel.DemandAccepted();
  kernel.Demand(kernel.role() == Role::kLaunched, "only the launched process changes itself");
  return kernel;
}

}  // namespace

int Open(int directory, const char* path, int flags) {
  ModelKernel& kernel = Enter("openat", directory, flags, path);
  kernel.LookUp(directory, path);
  const int error = kernel.Choose().error;
  if (error != 0) return kernel.Return(error);
  return kernel.Return(kernel.Allocate(Kind::kFile, path, flags));
}

void Close(int fd) {
  ModelKernel& kernel = Enter("close", fd);
  kernel.CloseFd(fd);
}

int Read(int fd, void* buffer, std::size_t size) {
  ModelKernel& kernel = Enter("read", fd, static_cast<long>(size));
  return kernel.Return(kernel.ReadFrom(fd, static_cast<char*>(buffer), size));
}

int Write(int fd, const void* data, std::size_t size) {
  const std::string_view text(static_cast<const char*>(data), size);
  ModelKernel& kernel = Enter("write", fd, 0, text);
  return kernel.Return(kernel.WriteTo(fd, text));
}

int Peek(int fd, void* buffer, std::size_t size) {
  ModelKernel& kernel = Enter("recv", fd);
  return kernel.Return(kernel.PeekAt(fd, static_cast<char*>(buffer), size));
}

int Poll(int fd, short events, int timeout_ms) {
  ModelKernel& kernel = Enter("poll", fd, events);
  return kernel.Return(kernel.PollFor(fd, events, timeout_ms));
}

int StatusFlags(int fd) {
  ModelKernel& kernel = Enter("fcntl F_GETFL", fd);
  const ModelKernel::File* const file = kernel.Find(fd);
  if (file == nullptr) return kernel.Return(-EBADF);
  const int error = kernel.Choose().error;
  return kernel.Return(error != 0 ? error : file->flags);
}

int DuplicateTo(int from, int to) {
  ModelKernel& kernel = Enter("dup2", from, to);
  const ModelKernel::File file = kernel.Ours(from);
  kernel.Demand(kernel.role() == Role::kInit && to <= STDERR_FILENO,
                "the console becomes the init process's 0, 1 and 2");
  const int error = kernel.Choose().error;
  if (error == 0) kernel.Replace(to, file);
  return kernel.Return(error == 0 ? to : error);
}

int CloseAllFrom(unsigned first) {
  ModelKernel& kernel = Enter("close_range", first);
  kernel.Demand(kernel.in_tool_child(), "only the mapping tool's process closes everything");
  const int error = kernel.Choose().error;
  if (error == 0) kernel.CloseAbove(static_cast<int>(first));
  return kernel.Return(error);
}

int Identify(int directory, const char* path, int flags, FileId* ret_id) {
  ModelKernel& kernel = Enter("fstatat", directory, flags, path);
  kernel.LookUp(directory, path);
  const ModelKernel::Choice choice = kernel.Choose();
  if (choice.error != 0) return kernel.Return(choice.error);
  if (path == std::string_view("/proc/self/ns/user")) {
    *ret_id = fuzz::kOwnUserNamespace;
  } else {
    ChooseUserNamespace(kernel, choice.variation, ret_id);
  }
  return kernel.Return(0);
}

int IdentifyOpen(int fd, FileId* ret_id) {
  ModelKernel& kernel = Enter("fstat", fd);
  (void)kernel.Ours(fd);
  const ModelKernel::Choice choice = kernel.Choose();
  if (choice.error == 0) ChooseUserNamespace(kernel, choice.variation, ret_id);
  return kernel.Return(choice.error);
}

int FileSystemType(int fd, long* ret_type) {
  ModelKernel& kernel = Enter("fstatfs", fd);
  const bool is_folder = (kernel.Ours(fd).flags & O_PATH) != 0;
  const ModelKernel::Choice choice = kernel.Choose();
  *ret_type = is_folder ? PROC_SUPER_MAGIC : NSFS_MAGIC;
  if (choice.variation != 0) *ret_type = TMPFS_MAGIC;
  return kernel.Return(choice.error);
}

int ReadLink(const char* path, char* buffer, std::size_t size) {
  ModelKernel& kernel = Enter("readlink", 0, 0, path);
  kernel.LookUp(AT_FDCWD, path);
  const ModelKernel::Choice choice = kernel.Choose();
  if (choice.error != 0) return kernel.Return(choice.error);
  // Another pid namespace's /proc: another pid, or one as long as the buffer.
  std::string link = std::to_string(kernel.pid() + static_cast<int>(choice.variation));
  if (choice.variation > 100) link = std::string(size, '1');
  std::memcpy(buffer, link.data(), std::min(size, link.size()));
  return kernel.Return(static_cast<int>(std::min(size, link.size())));
}

int Pipe(int ret_fds[2]) {
  ModelKernel& kernel = Enter("pipe2");
  return kernel.Return(kernel.MakeChannel(ret_fds));
}

int IsTerminal(int fd) {
  ModelKernel& kernel = Enter("ioctl TCGETS", fd);
  (void)kernel.Ours(fd);
  return Simple(kernel);
}

int MakeControllingTerminal(int fd) {
  ModelKernel& kernel = Enter("ioctl TIOCSCTTY", fd);
  (void)kernel.Ours(fd);
  kernel.Demand(kernel.role() == Role::kInit && kernel.state().session,
                "the console belongs to the init process, which leads a session");
  const int error = kernel.Choose().error;
  kernel.state().terminal_taken = error == 0;
  return kernel.Return(error);
}

int Map(std::size_t size, void** ret_address) {
  ModelKernel& kernel = Enter("mmap", static_cast<long>(size));
  int error = kernel.Choose().error;
  // More than any input fills; it would take longer than all the rest.
  constexpr std::size_t kMuch = 1U << 18U;
  if (size > kMuch && error == 0) error = -ENOMEM;
  if (error != 0) return kernel.Return(error);
  std::vector<char> memory(size);
  *ret_address = memory.data();
  kernel.mappings()[*ret_address] = std::move(memory);
  return kernel.Return(0);
}

void Unmap(void* address, std::size_t size) {
  ModelKernel& kernel = Enter("munmap", static_cast<long>(size));
  const auto found = kernel.mappings().find(address);
  kernel.Demand(found != kernel.mappings().end() && found->second.size() == size,
                "only memory that was mapped is given back, and all of it");
  kernel.mappings().erase(found);
}

int Setns(int fd, int type) {
  ModelKernel& kernel = EnterToChange("setns", fd, type);
  ModelKernel::File& file = kernel.Ours(fd);
  const bool one = (type & (type - 1)) == 0;
  kernel.Demand(type != 0 && (one || file.kind == Kind::kPidfd),
                "one namespace is joined at a time");
  kernel.Demand(kernel.MayJoin(type), "only namespaces that were asked for are joined, each once");
  kernel.Demand(!kernel.state().join_failed, "a join that failed for good is the last");
  const int error = kernel.Choose().error;
  if (error == 0) kernel.state().joined |= type;
  // What is not allowed now can be allowed in the user namespace, and what one call for all cannot
  // do many can.
  kernel.state().join_failed = error != 0 && error != -EPERM && file.kind != Kind::kPidfd;
  return kernel.Return(error);
}

int Unshare(int flags) {
  if (flags == CLONE_THREAD) {
    ModelKernel& kernel = Enter("unshare", CLONE_THREAD);
    return kernel.Return(kernel.HasThreads() ? -EINVAL : 0);
  }
  ModelKernel& kernel = EnterToChange("unshare", flags);
  kernel.Demand((flags & ~kAllNamespaces) == 0 && (flags & kernel.state().created) == 0,
                "only namespaces are created, each once");
  const int error = kernel.Choose().error;
  if (error == 0) kernel.state().created |= flags;
  return kernel.Return(error);
}

int NamespaceType(int fd) {
  ModelKernel& kernel = Enter("ioctl NS_GET_NSTYPE", fd);
  (void)kernel.Ours(fd);
  const ModelKernel::Choice choice = kernel.Choose();
  if (choice.error != 0) return kernel.Return(choice.error);
  return kernel.Return(kNamespaceTypes[choice.variation % kNamespaceTypeCount].clone_flag);
}

int OpenPidfd(pid_t pid) {
  ModelKernel& kernel = EnterToChange("pidfd_open", pid);
  kernel.LookForProcess(pid);
  const int error = kernel.Choose().error;
  if (error != 0) return kernel.Return(error);
  return kernel.Return(kernel.Allocate(Kind::kPidfd, "pidfd", 0));
}

int Clone(unsigned long flags, int* child_tid) {
  ModelKernel& kernel = Enter("clone", static_cast<long>(flags));
  return kernel.Return(kernel.CloneProcess(flags, child_tid));
}

int CloneOnStack(unsigned long flags, int (*function)(void*), void* argument, void* stack_end,
                 int* child_tid) {
  ModelKernel& kernel = Enter("clone", static_cast<long>(flags));
  kernel.Demand(reinterpret_cast<std::uintptr_t>(stack_end) % 16 == 0, "a stack is aligned");
  if ((flags & CLONE_VFORK) != 0) return kernel.Return(kernel.RunChild(function, argument));
  return kernel.Return(kernel.CloneSharingMemory(flags, function, argument, child_tid));
}

int Execute(const char* path, char* const argv[], char* const environment[]) {
  ModelKernel& kernel = Enter("execve", 0, 0, path);
  return kernel.Return(kernel.Execute(path, argv, environment));
}

int Wait(pid_t pid, int* ret_status) {
  ModelKernel& kernel = Enter("waitpid", pid);
  return kernel.Return(kernel.WaitFor(pid, ret_status));
}

void Exit(int status) { Enter("exit", status).Exit(status); }

pid_t ProcessId() {
  ModelKernel& kernel = Enter("getpid");
  return kernel.Return(kernel.pid());
}

pid_t ParentProcessId() {
  ModelKernel& kernel = Enter("getppid");
  return kernel.Return(kernel.Is(fuzz::kParentOutside) ? 0 : fuzz::kParent);
}

pid_t ThreadId() {
  ModelKernel& kernel = Enter("gettid");
  return kernel.Return(kernel.pid());
}

int ThreadIdAddress(int** ret_address) {
  ModelKernel& kernel = Enter("prctl PR_GET_TID_ADDRESS");
  ModelKernel::State& state = kernel.state();
  const ModelKernel::Choice choice = kernel.Choose();
  state.told_tid_address = choice.error == 0;
  if (choice.error != 0) return kernel.Return(choice.error);
  // The first time it is found where it is: where libc has the id, or elsewhere.
  if (state.tid_address == nullptr) {
    state.tid_address = choice.variation == 0 ? &state.tid : &state.tid_word;
    kernel.process().tid_address = state.tid_address;
  }
  *ret_address = state.tid_address;
  return kernel.Return(0);
}

int SetThreadIdAddress(int* address) {
  ModelKernel& kernel = Enter("set_tid_address");
  kernel.Demand(kernel.role() == Role::kInit && address == kernel.state().tid_address,
                "the thread id's address is the one it was");
  kernel.process().tid_address = address;
  return kernel.Return(kernel.pid());
}

int RobustList(void** ret_head, std::size_t* ret_size) {
  ModelKernel& kernel = Enter("get_robust_list");
  *ret_head = &kernel.state().robust_list;
  *ret_size = sizeof(kernel.state().robust_list);
  const int error = kernel.Choose().error;
  kernel.state().told_robust_list = error == 0;
  return kernel.Return(error);
}

int SetRobustList(void* head, std::size_t size) {
  ModelKernel& kernel = Enter("set_robust_list");
  kernel.Demand(head == &kernel.state().robust_list && size == sizeof(kernel.state().robust_list),
                "the robust list is the one it was");
  kernel.process().robust_list_known = true;
  return Simple(kernel);
}

int RegisterRestartableSequences(void* area, unsigned size, unsigned signature) {
  ModelKernel& kernel = Enter("rseq", size, signature);
  return kernel.Return(kernel.RegisterSequences(area, size, signature));
}

int UnregisterRestartableSequences(void* area, unsigned size, unsigned signature) {
  ModelKernel& kernel = Enter("rseq RSEQ_FLAG_UNREGISTER", size, signature);
  return kernel.Return(kernel.UnregisterSequences(area));
}

int SetAlternateStack(const stack_t* stack, stack_t* ret_old) {
  ModelKernel& kernel = Enter("sigaltstack");
  return kernel.Return(kernel.SetAlternateStack(stack, ret_old));
}

int SystemName(utsname* ret_name) {
  struct Release {
    const char* text;
    bool is_new;
  };
  constexpr Release kReleases[] = {
      {"6.1.0-13-amd64", true},   {"4.8.0", true},   {"10.0", true}, {"4.4.0", false},
      {"3.10.0-1160.el7", false}, {"4.7.10", false}, {"", false},    {"unknown", false},
  };
  ModelKernel& kernel = Enter("uname");
  const ModelKernel::Choice choice = kernel.Choose();
  const Release& release = kReleases[choice.variation % std::size(kReleases)];
  kernel.state().is_new_kernel = choice.error == 0 && release.is_new;
  if (choice.error == 0)
    (void)std::snprintf(ret_name->release, sizeof(ret_name->release), "%s", release.text);
  return kernel.Return(choice.error);
}

int Dumpable() {
  ModelKernel& kernel = Enter("prctl PR_GET_DUMPABLE");
  const int error = kernel.Choose().error;
  return kernel.Return(error != 0 ? error : (kernel.state().dumpable ? 1 : 0));
}

int SetDumpable(bool dumpable) {
  ModelKernel& kernel = EnterToChange("prctl PR_SET_DUMPABLE", dumpable ? 1 : 0);
  const int error = kernel.Choose().error;
  if (error == 0) kernel.state().dumpable = dumpable;
  return kernel.Return(error);
}

int SetName(const char* name) {
  ModelKernel& kernel = Enter("prctl PR_SET_NAME", 0, 0, name);
  kernel.Demand(kernel.role() == Role::kInit, "the init process takes the name");
  const int error = kernel.Choose().error;
  if (error == 0) kernel.state().name = name;
  return kernel.Return(error);
}

int NewSession() {
  ModelKernel& kernel = Enter("setsid");
  kernel.Demand(kernel.role() == Role::kInit, "the init process starts a session");
  const int error = kernel.Choose().error;
  if (error == 0) kernel.state().session = true;
  return kernel.Return(error);
}

int Affinity(unsigned long* mask, std::size_t size) {
  ModelKernel& kernel = Enter("sched_getaffinity");
  const ModelKernel::Choice choice = kernel.Choose();
  if (choice.error != 0) return kernel.Return(choice.error);
  std::memset(mask, static_cast<int>(choice.variation & 0xffU), size);
  return kernel.Return(static_cast<int>(size));
}

int SetSignalAction(int signal, const SignalAction& action, SignalAction* ret_old) {
  ModelKernel& kernel = Enter("sigaction", signal);
  const int error = kernel.Choose().error;
  if (error != 0) return kernel.Return(error);
  sighandler_t& disposition = kernel.process().dispositions[signal];
  if (ret_old != nullptr) {
    *ret_old = {.handler = disposition};
  }
  disposition = action.handler;
  return kernel.Return(0);
}

int SetSignalMask(const SignalSet& mask, SignalSet* ret_old) {
  ModelKernel& kernel = Enter("rt_sigprocmask", static_cast<long>(mask.bits[0]));
  return kernel.Return(kernel.SetMask(mask, ret_old));
}

int TakeSignal(int signal) {
  ModelKernel& kernel = Enter("rt_sigtimedwait", signal);
  return kernel.Return(kernel.TakeSignal(signal));
}

uid_t EffectiveUserId() {
  ModelKernel& kernel = Enter("geteuid");
  return static_cast<uid_t>(kernel.Return(kernel.Is(fuzz::kUnprivileged) ? 1000 : 0));
}

gid_t EffectiveGroupId() {
  ModelKernel& kernel = Enter("getegid");
  return static_cast<gid_t>(kernel.Return(kernel.Is(fuzz::kUnprivileged) ? 1000 : 0));
}

int SetAllUserIds(uid_t uid) {
  ModelKernel& kernel = EnterToChange("setresuid", uid);
  kernel.Demand(uid == 0, "the only id to become is 0");
  kernel.DemandHidden();
  const int error = kernel.Choose().error;
  if (error == 0) kernel.state().uid_zero = true;
  return kernel.Return(error);
}

int SetAllGroupIds(gid_t gid) {
  ModelKernel& kernel = EnterToChange("setresgid", gid);
  kernel.Demand(gid == 0, "the only id to become is 0");
  const int error = kernel.Choose().error;
  if (error == 0) kernel.state().gid_zero = true;
  return kernel.Return(error);
}

int DropSupplementaryGroups() {
  ModelKernel& kernel = EnterToChange("setgroups");
  const int error = kernel.Choose().error;
  if (error == 0) kernel.state().groups_dropped = true;
  return kernel.Return(error);
}

}  // namespace nsenter::sys

namespace nsenter::machine {

using fuzz::current;

bool IsBuiltToCopyMemory() { return current->Is(fuzz::kBuiltToCopy); }
bool HasSanitizer() { return current->Is(fuzz::kSanitizer); }
bool HasShadowStack() { return current->Is(fuzz::kShadowStack); }
bool IsBeingLoaded(int thread_id) {
  current->Demand(thread_id == current->pid(), "it is asked for the calling thread");
  return current->Is(fuzz::kBeingLoaded);
}

int* FindCachedThreadId(int thread_id, void* robust_list, int* tid_address) {
  fuzz::ModelKernel::State& state = current->state();
  current->Demand(thread_id == current->pid(), "it is asked for the calling thread");
  current->Demand(robust_list == (state.told_robust_list ? &state.robust_list : nullptr) &&
                      tid_address == (state.told_tid_address ? state.tid_address : nullptr),
                  "what the kernel does not tell is not believed");
  int* const cached = current->cached_tid();
  return cached != nullptr && *cached == thread_id ? cached : nullptr;
}

RestartableSequences LibcsRestartableSequences() {
  RestartableSequences sequences;
  if (current->Is(fuzz::kNoSequences)) return sequences;
  sequences.area = current->state().sequences;
  sequences.size = fuzz::kSequencesSize;
  sequences.signature = fuzz::kSequencesSignature;
  return sequences;
}

}  // namespace nsenter::machine
