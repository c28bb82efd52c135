// SPDX-License-Identifier: Apache-2.0
//
// What a fuzzer's bytes say about one launch: the environment, what is on INITPIPE, and how the
// kernel answers.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace nsenter::fuzz {

/// The state of the machine in which nsexec starts: the first byte after the sections, and six bits
/// of the second.
enum WorldBit : unsigned {
  kStdinClosed = 1U << 0U,
  kStdoutClosed = 1U << 1U,
  kStderrClosed = 1U << 2U,
  kSigpipeIgnored = 1U << 3U,
  kUnprivileged = 1U << 4U,   // uid and gid are 1000 instead of 0
  kSecure = 1U << 5U,         // AT_SECURE: set-uid or the like
  kThreaded = 1U << 6U,       // there is a second thread
  kParentOutside = 1U << 7U,  // getppid() is 0
  kBuiltToCopy = 1U << 8U,    // NSEXEC_COPY_MEMORY; from here on in the second byte
  kSanitizer = 1U << 9U,      // is in the program
  kShadowStack = 1U << 10U,   // is on
  kNoSequences = 1U << 11U,   // libc registers no restartable sequences
  kBeingLoaded = 1U << 12U,   // the code is in a library that is being loaded
  kNoCachedId = 1U << 13U,    // libc's thread id is in none of the known places
};

/// Our processes. A run follows one of them: a clone returns in that one, and what the others would
/// say to it is among the answers. Where there are threads kLaunched is the working copy, which
/// does the launched process's work, and kWaiter the launched process itself.
enum class Role { kLaunched, kHelper, kInit, kWaiter };

struct Script {
  /// Name and value, no name twice.
  std::vector<std::pair<std::string, std::string>> environment;
  std::string init_pipe;  // the bytes that the parent sends
  unsigned world = 0;     // of WorldBit
  Role follow = Role::kLaunched;
  std::vector<uint8_t> faults;  // one for each system call that has a choice; then all go well

  /// The value of a variable, null if it is not set.
  [[nodiscard]] const char* Get(const std::string& name) const;
};

/// Two sections, each ended by a backslash and any byte but another backslash (two of them stand
/// for one), so that a mutation in one section does not shift the meaning of the next: the
/// environment, entries separated by NUL of which the first letter says which variable it is; the
/// bytes on INITPIPE. Then the world; whom to follow (two
/// bits) and the rest of the world; and the faults.
Script ParseScript(const uint8_t* data, std::size_t size);

}  // namespace nsenter::fuzz
