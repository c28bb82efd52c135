// SPDX-License-Identifier: Apache-2.0
//
// The parent's part of a launch. nsenter/parent is the same in Go, with both orders and both
// protocols.

#include "nsexec/parent.h"

#include "call_numbers.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <poll.h>
#include <pthread.h>
#include <string_view>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace nsenter::parent {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

Error SystemError(std::string what, int code) {
  return {Error::Kind::kSystem, std::move(what) + ": " + std::generic_category().message(code),
          code};
}

/// The time until then for poll(2), rounded up.
int MillisecondsUntil(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 1'000'000));
}

int PidfdOpen(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

/// Waits for one child. It does not matter if other code has done so.
int Reap(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return 0;
  }
  return status;
}

enum class Ended { kNo, kYes, kUnknown };

/// Tells whether a child has ended, and leaves it a zombie, whose number nobody else gets. If other
/// code has reaped it, the answer is unknown.
Ended HasEnded(pid_t pid, int& ret_status) {
  siginfo_t info = {};
  while (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT | WNOHANG) < 0) {
    if (errno != EINTR) return Ended::kUnknown;
  }
  if (info.si_pid == 0) return Ended::kNo;
  ret_status = info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status;
  return Ended::kYes;
}

/// As HasEnded, after waiting for it no longer than until the deadline.
Ended WaitUntilEnded(pid_t pid, Clock::time_point deadline, int& ret_status) {
  const Fd pidfd(PidfdOpen(pid));
  for (;;) {
    const Ended ended = HasEnded(pid, ret_status);
    if (ended != Ended::kNo || Clock::now() >= deadline) return ended;
    if (pidfd.valid()) {
      pollfd wait = {pidfd.get(), POLLIN, 0};
      poll(&wait, 1, MillisecondsUntil(deadline));
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  }
}

/// Reaps all children in a process group, which are about to end. It waits a second at most for
/// those that have not ended. It reaps those that have, however late we are.
void ReapGroup(pid_t group) {
  const auto deadline = Clock::now() + std::chrono::seconds(1);
  for (;;) {
    const pid_t pid = waitpid(-group, nullptr, WNOHANG);
    if (pid < 0 && errno != EINTR) return;  // ECHILD: none is left
    if (pid != 0) continue;
    if (Clock::now() >= deadline) return;
    std::this_thread::sleep_for(milliseconds(1));
  }
}

/// Appends what is there to read. False at the end of the file.
bool Drain(const Fd& fd, std::string& text) {
  char buffer[4096];
  for (;;) {
    pollfd ready = {fd.get(), POLLIN, 0};
    if (poll(&ready, 1, 0) <= 0) return true;
    const ssize_t size = read(fd.get(), buffer, sizeof(buffer));
    if (size <= 0) return size < 0 && errno == EINTR;
    text.append(buffer, static_cast<std::size_t>(size));
  }
}

/// The text of a JSON string that begins after a quote.
std::string Unescaped(std::string_view json) {
  std::string text;
  for (std::size_t i = 0; i < json.size() && json[i] != '"'; ++i) {
    if (json[i] != '\\' || i + 1 == json.size()) {
      text.push_back(json[i]);
      continue;
    }
    const char escape = json[++i];
    constexpr std::string_view kNames = "bfnrt";
    constexpr std::string_view kMeanings = "\b\f\n\r\t";
    if (const auto name = kNames.find(escape); name != std::string_view::npos) {
      text.push_back(kMeanings[name]);
    } else if (escape == 'u' && json.size() - i > 4) {
      unsigned code = 0;  // a control character or a byte that is not UTF-8
      std::from_chars(json.data() + i + 1, json.data() + i + 5, code, 16);
      text.push_back(static_cast<char>(code));
      i += 4;
    } else {
      text.push_back(escape);
    }
  }
  return text;
}

/// The first fatal line of a log, without the prefix that tells which process has said it; empty if
/// there is none.
std::string FatalText(std::string_view log) {
  while (!log.empty()) {
    const auto end = std::min(log.find('\n'), log.size());
    const std::string_view line = log.substr(0, end);
    log.remove_prefix(std::min(end + 1, log.size()));
    constexpr std::string_view kFatal = "{\"level\":\"fatal\", \"msg\": \"";
    if (line.substr(0, kFatal.size()) != kFatal) continue;
    const std::string text = Unescaped(line.substr(kFatal.size()));
    const auto prefix = text.find("]: ");
    return text.rfind("nsexec", 0) == 0 && prefix != std::string::npos ? text.substr(prefix + 3)
                                                                       : text;
  }
  return {};
}

/// Stands for a process that does not exist in `stage1_pid`: above any pid that Linux gives
/// (PID_MAX_LIMIT, 1 << 22).
constexpr pid_t kNoStage1 = std::numeric_limits<pid_t>::max();

struct Reply {
  pid_t stage1 = kNoStage1;
  pid_t init = 0;  // 0: no reply

  /// The parent itself is none either: an older program names it where it has none.
  [[nodiscard]] bool HasStage1() const { return stage1 != kNoStage1 && stage1 != getpid(); }
};

bool TakeNumber(std::string_view& text, std::string_view before, pid_t& ret_pid) {
  if (text.substr(0, before.size()) != before) return false;
  text.remove_prefix(before.size());
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), ret_pid);
  text.remove_prefix(static_cast<std::size_t>(parsed.ptr - text.data()));
  return parsed.ec == std::errc() && ret_pid > 0;
}

/// Pids that can be somebody's, and nothing else.
Reply ParseReply(std::string_view line) {
  Reply reply;
  if (TakeNumber(line, "{\"stage1_pid\":", reply.stage1) &&
      TakeNumber(line, ",\"stage2_pid\":", reply.init) && line == "}\n" &&
      reply.stage1 != reply.init) {
    return reply;
  }
  return {};
}

/// A launch under way.
class Launch {
 public:
  explicit Launch(const Command& command)
      : command_(command), deadline_(Clock::now() + command.timeout) {}

  [[nodiscard]] std::optional<Error> Fork();
  [[nodiscard]] std::optional<Error> Drive(std::string_view message);
  [[nodiscard]] Error Undo(Error failure);

  [[nodiscard]] pid_t init() const { return reply_.init; }
  [[nodiscard]] Fd TakeConn() { return std::move(conn_); }
  [[nodiscard]] Fd TakeLog() { return std::move(log_); }

 private:
  [[nodiscard]] std::optional<Error> Spawn(const std::vector<Fd>& files);
  [[nodiscard]] std::vector<std::string> Environment(std::size_t initpipe) const;
  [[nodiscard]] std::optional<Error> Send(std::string_view& message) const;
  [[nodiscard]] std::optional<Error> Converse(std::string_view message);
  [[nodiscard]] bool ReadReply();
  [[nodiscard]] std::optional<Error> WaitFor(pid_t pid, int& ret_status) const;

  [[nodiscard]] Error TooLong() const {
    return {Error::Kind::kTimeout,
            "the launch took longer than " + std::to_string(command_.timeout.count()) + " ms", 0};
  }

  const Command& command_;
  Clock::time_point deadline_;
  pid_t pid_ = -1;  // of the launched process, whose process group it names
  bool reaped_ = false;
  Fd conn_;  // our end of INITPIPE
  Fd log_;   // our end of LOGPIPE
  std::string log_text_;
  std::string reply_text_;
  bool conn_ended_ = false;
  Reply reply_;
};

/// Makes what the launched process gets as its descriptors, and starts it.
std::optional<Error> Launch::Fork() {
  const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid()) return SystemError("failed to open /dev/null", errno);
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
    return SystemError("failed to make a socket pair", errno);
  }
  conn_ = Fd(pair[0]);
  const Fd conn_theirs(pair[1]);
  if (pipe2(pair, O_CLOEXEC) < 0) return SystemError("failed to make a pipe", errno);
  log_ = Fd(pair[0]);
  const Fd log_theirs(pair[1]);

  std::vector<int> wanted = {command_.standard_input, command_.standard_output,
                             command_.standard_error};
  for (int& fd : wanted) {
    if (fd < 0) fd = null.get();
  }
  wanted.insert(wanted.end(), command_.extra_fds.begin(), command_.extra_fds.end());
  wanted.push_back(conn_theirs.get());
  wanted.push_back(log_theirs.get());
  // Above the numbers on which they are put, one after the other.
  std::vector<Fd> files;
  for (const int fd : wanted) {
    files.emplace_back(fcntl(fd, F_DUPFD_CLOEXEC, static_cast<int>(wanted.size())));
    if (!files.back().valid()) {
      return SystemError("failed to duplicate descriptor " + std::to_string(fd), errno);
    }
  }
  return Spawn(files);
}

std::vector<std::string> Launch::Environment(std::size_t initpipe) const {
  constexpr std::string_view kPrefix = "_LIBCONTAINER_";
  std::vector<std::string> environment;
  for (const std::string& setting : command_.env) {
    if (setting.compare(0, kPrefix.size(), kPrefix) != 0) environment.push_back(setting);
  }
  const std::string prefix(kPrefix);
  environment.push_back(prefix + "INITPIPE=" + std::to_string(initpipe));
  environment.push_back(prefix + "LOGPIPE=" + std::to_string(initpipe + 1));
  environment.push_back(prefix + "LOGLEVEL=1");  // the fatal line only
  return environment;
}

/// The steps of the child between vfork and exec. It has the caller's memory there and may allocate
/// nothing.
struct Child {
  const Fd* files;
  int file_count;
  const char* dir;  // or nullptr
  const char* path;
  char* const* arguments;
  char* const* environment;
  sigset_t signal_mask;
  volatile int error;

  [[noreturn]] void Execute();
};

/// Lets exec close the descriptor.
void CloseOnExec(int fd) {
  if (const int flags = fcntl(fd, F_GETFD); flags >= 0) fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
}

/// As CloseOnExec for all descriptors that /proc lists, from `first` on. False without /proc.
bool CloseListedOnExec(int first) {
  // Only the beginning of a record of getdents64(2), which has no wrapper that allocates nothing.
  struct Entry {
    std::uint64_t inode;
    std::int64_t offset;
    unsigned short size;
    unsigned char type;
    char name[1];
  };
  const int folder = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return false;
  alignas(Entry) char buffer[2048];
  for (;;) {
    const long size = syscall(SYS_getdents64, folder, buffer, sizeof(buffer));
    if (size <= 0) {
      close(folder);
      return size == 0;
    }
    for (long at = 0; at < size;) {
      const auto* const entry = reinterpret_cast<const Entry*>(buffer + at);
      const char* digit = entry->name;
      int fd = 0;
      for (; *digit >= '0' && *digit <= '9'; ++digit) fd = 10 * fd + (*digit - '0');
      if (digit != entry->name && fd >= first) CloseOnExec(fd);
      at += entry->size;
    }
  }
}

/// Lets exec close all descriptors from `first` on. They are the child's alone: nobody opens one
/// meanwhile. They are not closed at once, since the program may be one of them (/proc/self/fd/N).
void CloseAllOnExec(int first) {
  constexpr unsigned kCloexec = 1 << 2;  // Linux 5.11
  if (syscall(SYS_close_range, first, ~0U, kCloexec) == 0) return;
  if (CloseListedOnExec(first)) return;
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  constexpr rlim_t kMost = 1 << 20;  // the kernel's limit, unless fs.nr_open has been raised
  for (int fd = first; fd < static_cast<int>(std::min(limit.rlim_max, kMost)); ++fd) {
    CloseOnExec(fd);
  }
}

void Child::Execute() {
  // No handler of the caller's may run here.
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action = {};
    if (sigaction(number, nullptr, &action) == 0 && action.sa_handler != SIG_IGN &&
        action.sa_handler != SIG_DFL) {
      action = {};
      sigaction(number, &action, nullptr);
    }
  }
  // The launched process leads a process group. Until we are told of them, all processes are in it,
  // and waitpid(2) can be asked for it.
  bool done = setpgid(0, 0) == 0;
  for (int i = 0; i < file_count && done; ++i) done = dup2(files[i].get(), i) == i;
  if (done && dir != nullptr) done = chdir(dir) == 0;
  if (done) {
    CloseAllOnExec(file_count);
    sigprocmask(SIG_SETMASK, &signal_mask, nullptr);
    execve(path, arguments, environment);
  }
  error = errno;
  _exit(127);
}

/// Pointers to texts, as C wants them.
std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Not posix_spawn(3), which can close everything else only where libc is new, and closes at once.
std::optional<Error> Launch::Spawn(const std::vector<Fd>& files) {
  std::vector<std::string> arguments = command_.args;
  if (arguments.empty()) arguments.push_back(command_.path);
  std::vector<std::string> environment = Environment(files.size() - 2);
  const std::vector<char*> argument_pointers = Pointers(arguments);
  const std::vector<char*> environment_pointers = Pointers(environment);
  Child child = {};
  child.files = files.data();
  child.file_count = static_cast<int>(files.size());
  child.dir = command_.dir.empty() ? nullptr : command_.dir.c_str();
  child.path = command_.path.c_str();
  child.arguments = argument_pointers.data();
  child.environment = environment_pointers.data();

  int cancel_state = 0;  // cancellation points of the child are not the caller's
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &child.signal_mask);
  // A copy of the caller's page tables would take longer than everything else.
  // NOLINTNEXTLINE(clang-analyzer-security.insecureAPI.vfork,bugprone-unsafe-functions,cert-msc24-c,cert-msc33-c): as above
  const pid_t pid = vfork();
  if (pid == 0) child.Execute();  // NOLINT(clang-analyzer-unix.Vfork): takes no locks, no memory
  pid_ = pid;
  const int code = pid_ < 0 ? errno : child.error;
  pthread_sigmask(SIG_SETMASK, &child.signal_mask, nullptr);
  pthread_setcancelstate(cancel_state, nullptr);
  if (code == 0) return std::nullopt;
  if (pid_ > 0) Reap(pid_);
  return SystemError("failed to start " + command_.path, code);
}

/// Sends as much as there is room for.
std::optional<Error> Launch::Send(std::string_view& message) const {
  while (!message.empty()) {
    const ssize_t sent =
        send(conn_.get(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      message.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      return std::nullopt;
    } else if (errno == EPIPE || errno == ECONNRESET) {
      message = {};  // it ends before it has read everything, and says why, or its status does
    } else if (errno != EINTR) {
      return SystemError("failed to send the bootstrap message", errno);
    }
  }
  return std::nullopt;
}

/// Takes the bytes of the reply off INITPIPE, and not a byte more: the following bytes are the
/// program's. True if that was all.
bool Launch::ReadReply() {
  constexpr std::size_t kLongest = 128;
  while (!conn_ended_) {
    char buffer[kLongest];
    ssize_t size = recv(conn_.get(), buffer, sizeof(buffer), MSG_PEEK | MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return false;
    conn_ended_ = size <= 0;  // ECONNRESET: it has left part of the message behind
    if (conn_ended_) break;
    const auto* end =
        static_cast<const char*>(std::memchr(buffer, '\n', static_cast<std::size_t>(size)));
    if (end != nullptr) size = end + 1 - buffer;
    if (recv(conn_.get(), buffer, static_cast<std::size_t>(size), MSG_DONTWAIT) != size) continue;
    reply_text_.append(buffer, static_cast<std::size_t>(size));
    if (end != nullptr || reply_text_.size() >= kLongest) {
      reply_ = ParseReply(reply_text_);
      return true;
    }
  }
  return true;
}

/// Sends the message and reads the reply, as far as each can go on.
std::optional<Error> Launch::Converse(std::string_view message) {
  bool log_ended = false;
  for (;;) {
    if (auto error = Send(message)) return error;
    if (ReadReply()) break;
    if (Clock::now() >= deadline_) return TooLong();
    pollfd wait[] = {
        {conn_.get(), static_cast<short>(message.empty() ? POLLIN : POLLIN | POLLOUT), 0},
        {log_ended ? -1 : log_.get(), POLLIN, 0},
    };
    poll(wait, std::size(wait), MillisecondsUntil(deadline_));
    if (wait[1].revents != 0) log_ended = !Drain(log_, log_text_);
  }
  if (reply_.init != 0) return std::nullopt;
  if (!reply_text_.empty()) return Error{Error::Kind::kEnded, "no reply: " + reply_text_, 0};
  return Error{Error::Kind::kEnded, "the launched process ended without a reply", 0};
}

/// Waits until a child has ended, and reaps it.
std::optional<Error> Launch::WaitFor(pid_t pid, int& ret_status) const {
  switch (WaitUntilEnded(pid, deadline_, ret_status)) {
    case Ended::kNo:
      return TooLong();
    case Ended::kYes:
      break;
    case Ended::kUnknown:
      // The caller reaps everything, or ignores SIGCHLD. INITPIPE has told whether all went well.
      ret_status = 0;
      break;
  }
  return std::nullopt;
}

std::optional<Error> Launch::Drive(std::string_view message) {
  if (command_.before_message) {
    if (auto error = command_.before_message(pid_)) {
      error->kind = Error::Kind::kCaller;
      return error;
    }
  }
  if (auto error = Converse(message)) return error;
  int status = 0;
  if (reply_.HasStage1()) {
    if (auto error = WaitFor(reply_.stage1, status)) return error;
    Reap(reply_.stage1);        // whatever came of it
    reply_.stage1 = kNoStage1;  // its number is free now, and may be another child's when we undo
  }
  if (auto error = WaitFor(pid_, status)) return error;
  if (status != 0)
    return Error{Error::Kind::kEnded, "the launched process failed after its reply", 0};
  reaped_ = true;
  Reap(pid_);
  return std::nullopt;
}

std::string StatusText(int status) {
  return WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                             : "exit status " + std::to_string(WEXITSTATUS(status));
}

/// Ends what is left of a failed launch, and returns the failure, or the fatal line that explains
/// it.
Error Launch::Undo(Error failure) {
  // The launched process, and the others with it, ends by itself when INITPIPE is shut down, unless
  // it is stuck.
  shutdown(conn_.get(), SHUT_RDWR);
  if (!reaped_) {
    constexpr milliseconds kPatience(200);
    int status = 0;
    const Ended ended = WaitUntilEnded(pid_, Clock::now() + kPatience, status);
    if (ended == Ended::kYes && status != 0 && failure.kind == Error::Kind::kEnded) {
      failure.text += ": " + StatusText(status);
    }
    // Those that have not been reported. The number is nobody else's: the process is not reaped.
    if (ended != Ended::kUnknown) kill(-pid_, SIGKILL);
    if (ended == Ended::kNo) WaitUntilEnded(pid_, Clock::now() + kPatience, status);
  }
  // Only an init process that has been reported still writes to INITPIPE.
  if (reply_.init == 0 && reply_text_.empty()) (void)ReadReply();
  if (reply_.init != 0) {
    kill(reply_.init, SIGKILL);
    Reap(reply_.init);
    if (reply_.HasStage1()) Reap(reply_.stage1);
  }
  ReapGroup(pid_);
  conn_.Close();
  const auto deadline = Clock::now() + std::chrono::seconds(1);
  while (Drain(log_, log_text_) && Clock::now() < deadline) {
    pollfd wait = {log_.get(), POLLIN, 0};
    poll(&wait, 1, MillisecondsUntil(deadline));
  }
  // If the launched process has ended for no other known reason, its last words are the reason.
  if (failure.kind == Error::Kind::kEnded) {
    if (std::string text = FatalText(log_text_); !text.empty()) {
      return {Error::Kind::kLaunched, std::move(text), 0};
    }
  }
  return failure;
}

}  // namespace

void Fd::Close() {
  if (const int fd = Release(); fd >= 0) close(fd);
}

Result<Process> Command::Start() const {
  const Result<std::string> encoded = message.Encode();
  if (!encoded) return encoded.error();
  Launch launch(*this);
  if (auto error = launch.Fork()) return *error;
  if (auto error = launch.Drive(*encoded)) return launch.Undo(std::move(*error));
  return Process(launch.init(), launch.TakeConn(), launch.TakeLog());
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      conn_(std::move(other.conn_)),
      log_(std::move(other.log_)) {}

Process& Process::operator=(Process&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(conn_, other.conn_);
  std::swap(log_, other.log_);
  return *this;
}

Process::~Process() {
  if (pid_ < 0) return;
  Kill();
  Reap(pid_);
}

Result<Fd> Process::OpenPidfd() const {
  Fd pidfd(PidfdOpen(pid_));
  if (!pidfd.valid()) return SystemError("failed to open a pidfd", errno);
  return pidfd;
}

void Process::Kill() const {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  // Its session's first group. The number belongs to the process, or to its zombie.
  kill(-pid_, SIGKILL);
}

Result<int> Process::Wait() {
  if (pid_ < 0) return SystemError("failed to wait for the init process", ECHILD);
  int status = 0;
  const pid_t pid = std::exchange(pid_, -1);
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return SystemError("failed to wait for the init process", errno);
  }
  conn_.Close();
  std::string log;
  Drain(log_, log);
  if (std::string text = FatalText(log); !text.empty()) {
    return Error{Error::Kind::kLaunched, std::move(text), 0};
  }
  return status;
}

}  // namespace nsenter::parent
