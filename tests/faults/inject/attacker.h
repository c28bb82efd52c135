// SPDX-License-Identifier: Apache-2.0
//
// Processes that try to get at others: each stands where somebody stands whom nsexec does not
// trust.

#pragma once

#include "fd.h"
#include "scenario.h"
#include "world.h"

#include <cstdint>
#include <string>
#include <sys/types.h>
#include <vector>

namespace inject {

/// What is tried. All of it takes what ptrace(2) takes, see "Ptrace access mode checking" there.
enum Try : std::uint32_t {
  kRoot = 1U << 0U,  // /proc/PID/root and so on is opened
  kCwd = 1U << 1U,
  kExe = 1U << 2U,
  kFd = 1U << 3U,  // what is behind a descriptor, through /proc/PID/fd/0
  kMem = 1U << 4U,
  kMaps = 1U << 5U,
  kEnviron = 1U << 6U,
  kNs = 1U << 7U,
  kRead = 1U << 8U,     // process_vm_readv(2)
  kCompare = 1U << 9U,  // kcmp(2)
  kGetFd = 1U << 10U,   // pidfd_getfd(2)
  kTrace = 1U << 11U,   // PTRACE_SEIZE, where nobody else traces the process
};
inline constexpr std::uint32_t kAllButTrace = kTrace - 1;

/// "everything", or names.
std::string NamesOf(std::uint32_t tries);

struct Place {
  // kContainers: all that do not give power over processes of others. No container has more unless
  // somebody gives it more.
  enum class Caps { kAll, kContainers, kNone };

  const char* name;
  FixtureKind fixture;    // whose user namespace it is in
  bool own_pids = false;  // it is in the fixture's other namespaces too, or else in ours
  uid_t uid = 0;          // in that user namespace
  Caps caps = Caps::kNone;
};

/// Where attackers stand. Those with our pids are the stronger ones: they see every process.
const std::vector<Place>& Places();

class Attacker {
 public:
  /// Starts the process, which waits to be asked.
  Attacker(const Place& place, const World& world);

  [[nodiscard]] const Place& place() const { return *place_; }
  /// The number by which the attacker sees the process, 0 if it does not.
  [[nodiscard]] pid_t NumberOf(pid_t pid) const;
  /// What the attacker gets at. `number` is its own for the process.
  [[nodiscard]] std::uint32_t Ask(pid_t number, bool trace) const;
  /// The same for a process that differs in nothing from the attacker, dumpable or not.
  [[nodiscard]] std::uint32_t AskForTwin(bool dumpable) const;

 private:
  [[noreturn]] void Become(const World& world, int socket);

  const Place* place_;
  std::string pid_namespace_;
  Fd socket_;
};

}  // namespace inject
