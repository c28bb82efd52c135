// SPDX-License-Identifier: Apache-2.0
//
/// @namespace nsenter::parent
///
/// The parent's side of the protocol, for C++ programs: starts a program that links nsexec, tells
/// it which namespaces to join and to create, and gives the process inside them as a handle. It is
/// for C++17 or newer; docs/packaging.md says how to link it.
///
/// It throws only std::bad_alloc, so you can use it with -fno-exceptions: a function that fails
/// returns a Result with an Error. Many threads may call functions at a time, on different objects.
/// It waits only for children that it has started itself.

#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <variant>
#include <vector>

namespace nsenter::parent {

/// A set of kinds of namespaces: the CLONE_NEW* bits of clone(2).
using Namespaces = std::uint32_t;

/// @name The kinds
/// @{
inline constexpr Namespaces kTime = 0x00000080;    ///< time_namespaces(7)
inline constexpr Namespaces kMount = 0x00020000;   ///< mount_namespaces(7)
inline constexpr Namespaces kCgroup = 0x02000000;  ///< cgroup_namespaces(7)
inline constexpr Namespaces kUts = 0x04000000;     ///< uts_namespaces(7)
inline constexpr Namespaces kIpc = 0x08000000;     ///< ipc_namespaces(7)
inline constexpr Namespaces kUser = 0x10000000;    ///< user_namespaces(7)
inline constexpr Namespaces kPid = 0x20000000;     ///< pid_namespaces(7)
inline constexpr Namespaces kNet = 0x40000000;     ///< network_namespaces(7)
/// @}

/// Why something failed.
struct Error {
  /// The sort of failure.
  enum class Kind {
    kInvalid,   ///< what was asked for is refused, before anything was started
    kSystem,    ///< a system call of the caller's own failed
    kLaunched,  ///< the launched process, or one of its own, said this with its fatal line
    kEnded,     ///< the launched process ended without a reply and without a word
    kTimeout,   ///< it took longer than it may
    kCaller,    ///< what Command::before_message returned
  };
  Kind kind = Kind::kSystem;  ///< its sort
  std::string text;           ///< lower case, without a full stop, strerror(3) included
  int code = 0;               ///< an errno, where the caller's own system call failed
};

/// A T, or an Error.
template <typename T>
class [[nodiscard]] Result {
 public:
  // Not explicit: `return value;` is how a function succeeds and `return error;` how it fails.

  /// A success.
  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {
  }  // NOLINT(google-explicit-constructor): see above

  /// A failure.
  Result(Error error)
      : state_(std::in_place_index<1>, std::move(error)) {
  }  // NOLINT(google-explicit-constructor): see above

  /// Whether there is a T.
  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  /// The same.
  explicit operator bool() const { return ok(); }

  /// @name Only if it is ok
  /// @{
  [[nodiscard]] T& operator*() { return *std::get_if<0>(&state_); }              ///< the T
  [[nodiscard]] const T& operator*() const { return *std::get_if<0>(&state_); }  ///< the T
  [[nodiscard]] T* operator->() { return std::get_if<0>(&state_); }              ///< of the T
  [[nodiscard]] const T* operator->() const { return std::get_if<0>(&state_); }  ///< of the T
  /// @}

  /// Only if it is not.
  [[nodiscard]] const Error& error() const { return *std::get_if<1>(&state_); }

 private:
  std::variant<T, Error> state_;
};

/// A file descriptor, closed at the end of its life. -1 is none.
class Fd {
 public:
  Fd() = default;
  /// Takes it: nobody else closes it.
  explicit Fd(int fd) : fd_(fd) {}

  /// Leaves none behind.
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  /// Exchanges the two.
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { Close(); }

  /// Its number; it stays with this object.
  [[nodiscard]] int get() const { return fd_; }
  /// Whether there is one.
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  /// The caller closes it.
  [[nodiscard]] int Release() { return std::exchange(fd_, -1); }
  /// Closes it now. Afterwards it is none.
  void Close();

 private:
  int fd_ = -1;
};

/// A namespace to join.
struct Join {
  Namespaces kind = 0;  ///< one
  /// In the mount namespace, and relative to the working directory, of the launched process.
  std::string path;
};

/// A line of a map: `count` ids from `inside` on are those from `outside` on outside.
struct IdRange {
  std::uint32_t inside = 0;   ///< the first id in the new user namespace
  std::uint32_t outside = 0;  ///< the first id in the caller's
  std::uint32_t count = 0;    ///< how many there are
};

/// How far a clock of a new time namespace is ahead. Nanoseconds are added to the seconds even
/// where those are negative.
struct TimeOffset {
  std::string clock;              ///< "boottime" or "monotonic"
  std::int64_t seconds = 0;       ///< may be negative
  std::uint32_t nanoseconds = 0;  ///< less than a second
};

/// The request: the bootstrap message (docs/protocol.md).
struct Message {
  Namespaces create = 0;   ///< new namespaces
  std::vector<Join> join;  ///< existing ones, at most one of each kind

  /// @name The maps of a new user namespace
  /// Each must have a 0 inside. They are not sent without one.
  /// @{
  std::vector<IdRange> uid_map;  ///< of users
  std::vector<IdRange> gid_map;  ///< of groups
  /// @}

  /// @name Programs that write a map where the caller may not
  /// Absolute paths.
  /// @{
  std::string uid_map_tool;  ///< of newuidmap(1)
  std::string gid_map_tool;  ///< of newgidmap(1)
  /// @}

  bool drop_groups = false;  ///< the init process gives up its supplementary groups
  bool rootless = false;     ///< the caller is not root (user_namespaces(7) on /proc/PID/setgroups)

  std::optional<int> oom_score_adj;  ///< from -1000 to 1000; none leaves it as it is
  /// Those of a new time namespace. They are not sent without one.
  std::vector<TimeOffset> time_offsets;

  /// The bytes for INITPIPE. Encode refuses every message that nsexec would refuse, with its texts,
  /// and messages that only the kernel would refuse later.
  [[nodiscard]] Result<std::string> Encode() const;
};

/// The init process: the program inside the namespaces, a child of the caller. At the end of its
/// life it is killed and reaped, unless it was waited for or released.
class Process {
 public:
  /// Leaves nothing to be killed or waited for behind.
  Process(Process&& other) noexcept;
  /// Exchanges the two.
  Process& operator=(Process&& other) noexcept;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  /// In the caller's pid namespace; -1 if it was waited for or released.
  [[nodiscard]] pid_t pid() const { return pid_; }

  /// The other end of the process's INITPIPE: a stream socket, to say to the program what else it
  /// has to know. Blocking and close-on-exec; Wait closes it.
  [[nodiscard]] Fd& conn() { return conn_; }

  /// A pidfd of the process (pidfd_open(2), Linux 5.3), for poll(2) and setns(2).
  [[nodiscard]] Result<Fd> OpenPidfd() const;

  /// Kills the process and what is left of its process group.
  void Kill() const;

  /// Waits for the end of the process. The status is as from waitpid(2). If the process failed on
  /// its last steps to the program, that is an Error of kLaunched. If other code has reaped it, it
  /// is one of kSystem with ECHILD.
  [[nodiscard]] Result<int> Wait();

  /// Leaves the process to the caller, who has to wait for it.
  [[nodiscard]] pid_t Release() { return std::exchange(pid_, -1); }

 private:
  friend struct Command;
  Process(pid_t pid, Fd conn, Fd log) : pid_(pid), conn_(std::move(conn)), log_(std::move(log)) {}

  pid_t pid_ = -1;  // -1: nothing to be killed or waited for
  Fd conn_;
  Fd log_;
};

/// A program to be launched.
struct Command {
  std::string path;               ///< of the program, not looked up
  std::vector<std::string> args;  ///< args[0] is the name under which it is started
  /// The whole environment, except for the protocol's own variables: those of another launch are
  /// left out, and this launch's are added.
  std::vector<std::string> env;
  std::string dir;  ///< the working directory; the caller's if empty

  /// @name Descriptors of the program
  /// -1 is /dev/null. All stay the caller's. The program has no others, close-on-exec or not.
  /// @{
  int standard_input = -1;     ///< 0
  int standard_output = -1;    ///< 1
  int standard_error = -1;     ///< 2
  std::vector<int> extra_fds;  ///< 3 and following; INITPIPE and LOGPIPE come after them
  /// @}

  Message message;  ///< the request

  /// Called when the launched process exists and waits for its message. The init process
  /// inherits what the launched process gets then: a cgroup, CPU affinity. An Error undoes the
  /// launch.
  std::function<std::optional<Error>(pid_t)> before_message;

  /// The time limit of a launch, mapping tools included.
  std::chrono::milliseconds timeout = std::chrono::seconds(10);

  /// Launches the program, and returns when the init process exists and is the only process left of
  /// the launch. If it fails, no process, zombie or descriptor is left.
  [[nodiscard]] Result<Process> Start() const;
};

}  // namespace nsenter::parent
