// SPDX-License-Identifier: Apache-2.0

#include "child.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <set>
#include <sstream>
#include <string_view>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace nsenter::test {
namespace {

// For a machine that is busy with something else; nothing here takes a second.
constexpr int kDeadlineMs = 20000;

int NowMs() {
  timespec now = {};
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int>(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

[[noreturn]] void RunBody(const std::function<void()>& body, int output) {
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  close(output);
  body();
  (void)std::fflush(nullptr);
  _exit(::testing::Test::HasFailure() ? 99 : 0);
}

/// The pids of our children but those in `others`.
std::set<pid_t> Children(const std::set<pid_t>& others = {}) {
  std::istringstream pids(ReadFile("/proc/self/task/" + std::to_string(gettid()) + "/children"));
  std::set<pid_t> children;
  for (pid_t pid = 0; pids >> pid;) {
    if (!others.contains(pid)) children.insert(pid);
  }
  return children;
}

/// Kills whoever has become our child, until none is left.
void KillAll(const std::set<pid_t>& others) {
  for (std::set<pid_t> left = Children(others); !left.empty(); left = Children(others)) {
    for (const pid_t pid : left) kill(pid, SIGKILL);
    for (const pid_t pid : left) waitpid(pid, nullptr, 0);
  }
}

/// Reads until everybody has closed `fd`. False at the deadline.
bool ReadAll(int fd, int deadline, std::string& ret_text) {
  for (;;) {
    pollfd entry = {fd, POLLIN, 0};
    if (poll(&entry, 1, std::max(0, deadline - NowMs())) <= 0) return false;
    std::array<char, 4096> buffer = {};
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got <= 0) return true;
    ret_text.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

/// Waits for everybody. False at the deadline.
bool ReapAll(pid_t child, const std::set<pid_t>& others, int deadline, Outcome& outcome) {
  for (;;) {
    const std::set<pid_t> left = Children(others);
    if (left.empty()) return true;
    if (NowMs() >= deadline) return false;
    for (const pid_t pid : left) {
      int status = 0;
      if (waitpid(pid, &status, WNOHANG) != pid) continue;
      if (pid == child) outcome.status = status;
      if (pid != child) outcome.siblings.push_back(status);
    }
    usleep(500);
  }
}

}  // namespace

Outcome RunInChild(const std::function<void()>& body) {
  // Orphans of the child are found, too.
  prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L);
  Outcome outcome;
  int output[2];
  if (pipe2(output, O_CLOEXEC) != 0) {
    ADD_FAILURE() << "no pipe";
    return outcome;
  }
  (void)std::fflush(nullptr);
  const int deadline = NowMs() + kDeadlineMs * Slower();
  const std::set<pid_t> others = Children();
  const pid_t child = fork();
  if (child == 0) {
    close(output[0]);
    (void)std::signal(SIGHUP, SIG_DFL);  // ignored where nohup(1) has started us
    RunBody(body, output[1]);
  }
  close(output[1]);
  if (!ReadAll(output[0], deadline, outcome.output) || !ReapAll(child, others, deadline, outcome)) {
    ADD_FAILURE() << "not all processes had ended at the deadline; they said: " << outcome.output;
    KillAll(others);
  }
  close(output[0]);
  return outcome;
}

void ExpectSilentSuccess(const Outcome& outcome, const std::string& output) {
  ExpectExit(outcome, 0, output);
  for (const int status : outcome.siblings) EXPECT_EQ(status, 0) << "of a sibling";
}

void ExpectExit(const Outcome& outcome, int status, const std::string& output) {
  EXPECT_TRUE(WIFEXITED(outcome.status)) << "wait status " << outcome.status;
  EXPECT_EQ(WEXITSTATUS(outcome.status), status);
  EXPECT_EQ(outcome.output, output);
}

std::string ReadFile(const std::string& path) {
  const std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return file ? text.str() : "(cannot be read)";
}

TemporaryFolder::TemporaryFolder() {
  std::string path = "/tmp/nsexec-test-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) ADD_FAILURE() << "no temporary folder";
  path_ = path;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryFolder::WriteProgram(const std::string& name, const std::string& text) const {
  std::string path = path_ + "/" + name;
  std::ofstream(path) << text;
  chmod(path.c_str(), 0755);
  return path;
}

bool VforkSharesMemory() {
  static volatile bool shared = false;
  // NOLINTNEXTLINE(clang-analyzer-security.insecureAPI.vfork,bugprone-unsafe-functions): asked about
  const pid_t child = vfork();
  if (child == 0) {
    shared = true;  // NOLINT(clang-analyzer-unix.Vfork): see above
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  return shared;
}

namespace {

// Of a call's number, and of the half of its arguments that holds a small one.
constexpr unsigned kNumber = offsetof(seccomp_data, nr);
constexpr unsigned kLowHalf = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0;
constexpr unsigned kArgument = offsetof(seccomp_data, args) + kLowHalf;
#if defined(__s390__) || defined(__CRIS__)
constexpr unsigned kCloneFlags = kArgument + sizeof(std::uint64_t);  // clone(2)
#else
constexpr unsigned kCloneFlags = kArgument;
#endif

void Filter(std::vector<sock_filter> program) {
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter = {static_cast<unsigned short>(program.size()), program.data()};
  ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L), 0);
  ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

}  // namespace

void Forbid(std::initializer_list<int> calls) {
  std::vector<sock_filter> program = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kNumber)};
  for (const int call : calls) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
  }
  Filter(program);
}

void ForbidSharingMemory() {
  Filter({
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kNumber),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kCloneFlags),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_VM, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
  });
}

void HideThreadIdAddress() {
  Filter({
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kNumber),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kArgument),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_GET_TID_ADDRESS, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
  });
}

int Slower() {
  const char* const factor = std::getenv("NSEXEC_TEST_SLOWER");
  return factor == nullptr ? 1 : std::max(1, std::atoi(factor));
}

bool MustNotSkip() {
  const char* const value = getenv("REQUIRE_ALL");
  return value != nullptr && std::string_view(value) == "1";
}

}  // namespace nsenter::test
