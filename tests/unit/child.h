// SPDX-License-Identifier: Apache-2.0
//
// Processes of tests: what changes the process it runs in, or could hang, runs in one of its own.

#pragma once

#include <functional>
#include <gtest/gtest.h>
#include <initializer_list>
#include <string>
#include <vector>

namespace nsenter::test {

/// How all the processes of a test ended.
struct Outcome {
  /// As waitpid(2) gives it: of the child that was forked, and of the siblings it made, in the
  /// order in which they ended.
  int status = -1;
  std::vector<int> siblings;
  /// Everything that any of them wrote to standard output or standard error.
  std::string output;
};

/// Forks, runs `body` in the child, which exits with 0 when that returns (and with 99 if an
/// expectation failed in it), and waits until the child, its siblings and its descendants have
/// ended (other children of the caller are left alone). At the deadline all of them are killed and
/// the test fails.
Outcome RunInChild(const std::function<void()>& body);

/// All went well and nothing was said but `output`.
void ExpectSilentSuccess(const Outcome& outcome, const std::string& output = "");

/// The child exited with `status`.
void ExpectExit(const Outcome& outcome, int status, const std::string& output);

/// The content of a file, "(cannot be read)" if there is none.
std::string ReadFile(const std::string& path);

/// A folder that is removed with its content in the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Writes an executable file and returns its path.
  [[nodiscard]] std::string WriteProgram(const std::string& name, const std::string& text) const;

 private:
  std::string path_;
};

/// False under valgrind, which forks instead: a child that cannot execute a program then has no way
/// to say so.
bool VforkSharesMemory();

/// From now on these system calls fail with EPERM, as under a filter of a container's. Not under
/// emulators and valgrind (NSEXEC_EMULATED), which have no filters.
void Forbid(std::initializer_list<int> calls);

/// From now on no process can be created that shares memory (CLONE_VM), as above.
void ForbidSharingMemory();

/// Makes the kernel one without CONFIG_CHECKPOINT_RESTORE, as far as this process can tell
/// (PR_GET_TID_ADDRESS), as above.
void HideThreadIdAddress();

/// By how much deadlines are longer here than on a machine of today: the environment variable
/// NSEXEC_TEST_SLOWER, which emulated machines are given, or 1.
int Slower();

/// True if a test that needs something that is missing has to fail.
bool MustNotSkip();

}  // namespace nsenter::test

/// Ends a test that cannot do its work here: as skipped, or with REQUIRE_ALL=1 as failed.
#define NEEDS(condition, what)                                   \
  do {                                                           \
    if (condition) break;                                        \
    if (::nsenter::test::MustNotSkip()) FAIL() << "needs " what; \
    GTEST_SKIP() << "needs " what;                               \
  } while (false)

#define NEEDS_ROOT() NEEDS(geteuid() == 0, "root, to join and create namespaces")
