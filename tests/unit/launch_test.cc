// SPDX-License-Identifier: Apache-2.0
//
// The parent's side as a library. That it encodes messages as nsenter/bootstrap does is tested
// there.

#include "nsexec/parent.h"

#include "child.h"

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <gtest/gtest.h>
#include <initializer_list>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <set>
#include <string>
#include <string_view>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace nsenter::parent {
namespace {

std::string LinkOf(const std::string& path) {
  char target[PATH_MAX];
  const ssize_t size = readlink(path.c_str(), target, sizeof(target));
  return size < 0 ? "(none)" : std::string(target, static_cast<std::size_t>(size));
}

std::string NamespaceOf(pid_t pid, const std::string& kind) {
  return LinkOf("/proc/" + std::to_string(pid) + "/ns/" + kind);
}

std::size_t OpenFiles() {
  std::size_t count = 0;
  DIR* const folder = opendir("/proc/self/fd");
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return count;
}

/// Demands that a test leaves no descriptor and no child.
class LaunchTest : public testing::Test {
 protected:
  void SetUp() override { files_ = OpenFiles(); }
  void TearDown() override {
    EXPECT_EQ(OpenFiles(), files_);
    EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
  }

 private:
  std::size_t files_ = 0;
};

/// The program that was built for this, its output in a pipe.
class Probe {
 public:
  Probe() {
    int pipe[2];
    EXPECT_EQ(pipe2(pipe, O_CLOEXEC), 0);
    output_ = Fd(pipe[0]);
    theirs_ = Fd(pipe[1]);
    command_.path = LAUNCHED_PROGRAM;
    command_.args = {"launched"};
    command_.dir = "/";
    command_.standard_output = theirs_.get();
    command_.standard_error = STDERR_FILENO;
    command_.timeout *= test::Slower();
  }

  [[nodiscard]] Command& command() { return command_; }

  /// Returns when nsexec has, in the init process.
  void AwaitOutput() {
    pollfd wait = {output_.get(), POLLIN, 0};
    EXPECT_EQ(poll(&wait, 1, -1), 1);
  }

  [[nodiscard]] std::string ReadOutput() {
    theirs_.Close();
    std::string text;
    char buffer[100];
    for (;;) {
      const ssize_t size = read(output_.get(), buffer, sizeof(buffer));
      if (size <= 0) return text;
      text.append(buffer, static_cast<std::size_t>(size));
    }
  }

  /// Says something to the program, and demands that it comes back and the program ends as it
  /// should.
  void Converse(Process& process) {
    EXPECT_EQ(send(process.conn().get(), "document\n", 9, MSG_NOSIGNAL), 9);
    EXPECT_EQ(shutdown(process.conn().get(), SHUT_WR), 0);
    EXPECT_EQ(ReadOutput(), "ready\ndocument\n");
    const Result<int> status = process.Wait();
    ASSERT_TRUE(status.ok()) << status.error().text;
    EXPECT_TRUE(WIFEXITED(*status) && WEXITSTATUS(*status) == 7) << *status;
  }

 private:
  Command command_;
  Fd output_;
  Fd theirs_;
};

Command Shell(const std::string& script) {
  Command command;
  command.path = "/bin/sh";
  command.args = {"sh", "-c", script};
  command.timeout *= test::Slower();
  return command;
}

Error FailureOf(const Command& command) {
  const Result<Process> process = command.Start();
  EXPECT_FALSE(process.ok());
  return process ? Error{} : process.error();
}

const std::vector<IdRange> kIds = {{0, 100000, 65536}};

TEST_F(LaunchTest, CreatesNamespaces) {
  NEEDS_ROOT();
  Probe probe;
  probe.command().message.create = kUser | kNet | kPid;
  probe.command().message.uid_map = kIds;
  probe.command().message.gid_map = kIds;
  Result<Process> process = probe.command().Start();
  ASSERT_TRUE(process.ok()) << process.error().text;
  for (const char* kind : {"user", "net", "pid"}) {
    EXPECT_NE(NamespaceOf(process->pid(), kind), NamespaceOf(getpid(), kind)) << kind;
  }
  EXPECT_EQ(NamespaceOf(process->pid(), "uts"), NamespaceOf(getpid(), "uts"));
  const Result<Fd> pidfd = process->OpenPidfd();
  // Old kernels do not have it, and neither has valgrind.
  EXPECT_TRUE(pidfd.ok() || pidfd.error().code == ENOSYS);
  probe.Converse(*process);
}

TEST_F(LaunchTest, JoinsNamespaces) {
  NEEDS_ROOT();
  Probe other;
  other.command().message.create = kUts | kNet | kPid;
  Result<Process> target = other.command().Start();
  ASSERT_TRUE(target.ok()) << target.error().text;
  Probe probe;
  const std::string folder = "/proc/" + std::to_string(target->pid()) + "/ns/";
  probe.command().message.join = {{kUts, folder + "uts"}, {kPid, folder + "pid"}};
  probe.command().message.create = kIpc;
  Result<Process> process = probe.command().Start();
  ASSERT_TRUE(process.ok()) << process.error().text;
  EXPECT_EQ(NamespaceOf(process->pid(), "uts"), NamespaceOf(target->pid(), "uts"));
  EXPECT_EQ(NamespaceOf(process->pid(), "pid"), NamespaceOf(target->pid(), "pid"));
  EXPECT_EQ(NamespaceOf(process->pid(), "net"), NamespaceOf(getpid(), "net"));
  EXPECT_NE(NamespaceOf(process->pid(), "ipc"), NamespaceOf(target->pid(), "ipc"));
  probe.Converse(*process);
  other.Converse(*target);
}

TEST_F(LaunchTest, PutsDescriptorsOnTheirNumbers) {
  NEEDS_ROOT();
  Probe probe;
  const Fd low(open("/dev/full", O_RDONLY | O_CLOEXEC));
  const Fd high(fcntl(low.get(), F_DUPFD_CLOEXEC, 200));
  const Fd other(open("/dev/zero", O_RDONLY | O_CLOEXEC));
  probe.command().extra_fds = {other.get(), high.get(), low.get()};
  Result<Process> process = probe.command().Start();
  ASSERT_TRUE(process.ok()) << process.error().text;
  const std::string folder = "/proc/" + std::to_string(process->pid()) + "/fd/";
  EXPECT_EQ(LinkOf(folder + "0"), "/dev/null");
  EXPECT_EQ(LinkOf(folder + "3"), "/dev/zero");
  EXPECT_EQ(LinkOf(folder + "4"), "/dev/full");
  EXPECT_EQ(LinkOf(folder + "5"), "/dev/full");
  EXPECT_EQ(LinkOf(folder + "6").substr(0, 7), "socket:");
  EXPECT_EQ(LinkOf(folder + "7").substr(0, 5), "pipe:");
  probe.Converse(*process);
}

TEST_F(LaunchTest, LeavesVariablesOfAnotherLaunchOut) {
  NEEDS_ROOT();
  Probe probe;
  probe.command().env = {"_LIBCONTAINER_STATEDIR=/x", "KEPT=1", "_LIBCONTAINER_INITPIPE=99"};
  Result<Process> process = probe.command().Start();
  ASSERT_TRUE(process.ok()) << process.error().text;
  std::ifstream file("/proc/" + std::to_string(process->pid()) + "/environ");
  const std::string environment{std::istreambuf_iterator<char>(file), {}};
  constexpr char kWanted[] =
      "KEPT=1\0_LIBCONTAINER_INITPIPE=3\0_LIBCONTAINER_LOGPIPE=4\0_LIBCONTAINER_LOGLEVEL=1";
  EXPECT_EQ(environment, std::string(kWanted, sizeof(kWanted)));
  probe.Converse(*process);
}

TEST_F(LaunchTest, SendsALargeMessage) {
  NEEDS_ROOT();
  Probe probe;
  Message& message = probe.command().message;
  message.create = kUser | kUts;
  message.uid_map = message.gid_map = kIds;
  // Not called, since root writes maps itself.
  message.uid_map_tool = message.gid_map_tool = "/" + std::string(65000, 'x');
  for (const char* kind : {"net", "mnt", "ipc"}) {
    // The shortest way is not asked for.
    std::string path = "/proc/self/ns/" + std::string(kind);
    path.insert(0, 4000 - path.size(), '/');
    message.join.push_back({std::string(kind) == "net"   ? kNet
                            : std::string(kind) == "mnt" ? kMount
                                                         : kIpc,
                            path});
  }
  ASSERT_GT(message.Encode()->size(), 140000U);
  Result<Process> process = probe.command().Start();
  ASSERT_TRUE(process.ok()) << process.error().text;
  probe.Converse(*process);
}

TEST_F(LaunchTest, TellsTheFatalLine) {
  NEEDS_ROOT();
  Probe probe;
  probe.command().message.join = {{kNet, "/no/such \"file\"\n\x01"}};
  const Error error = FailureOf(probe.command());
  EXPECT_EQ(error.kind, Error::Kind::kLaunched);
  EXPECT_EQ(error.text,
            "failed to open net namespace /no/such \"file\"\n\x01: No such file or directory");
  EXPECT_EQ(probe.ReadOutput(), "");
}

TEST_F(LaunchTest, RefusesBeforeAnythingStarts) {
  bool started = false;
  Command command;
  command.before_message = [&started](pid_t) {
    started = true;
    return std::nullopt;
  };
  Error error;
  if (test::VforkSharesMemory()) {
    command.path = "/no/such/program";
    error = FailureOf(command);
    EXPECT_EQ(error.kind, Error::Kind::kSystem);
    EXPECT_EQ(error.code, ENOENT);
    EXPECT_EQ(error.text, "failed to start /no/such/program: No such file or directory");
  }
  command.path = "/bin/true";
  command.message.create = kUser;
  error = FailureOf(command);
  EXPECT_EQ(error.kind, Error::Kind::kInvalid);
  EXPECT_EQ(error.text, "a new user namespace needs a UIDMAP with uid 0 inside");
  command.message.create = 0;
  command.extra_fds = {1000000};
  error = FailureOf(command);
  EXPECT_EQ(error.code, EBADF);
  EXPECT_FALSE(started);
}

/// Launches the program while the caller has descriptors without close-on-exec on low and on high
/// numbers, and demands that the init process has those it is given, and no others.
void ExpectNothingElseIsGiven(std::size_t extra_fds, bool by_number) {
  const Fd given(open("/usr", O_RDONLY | O_CLOEXEC));
  const Fd opened(open(LAUNCHED_PROGRAM, O_RDONLY | O_CLOEXEC));
  const Fd program(fcntl(opened.get(), F_DUPFD_CLOEXEC, 100));  // no number that is given
  Probe probe;
  if (by_number) probe.command().path = "/proc/self/fd/" + std::to_string(program.get());
  probe.command().extra_fds.assign(extra_fds, given.get());
  Result<Process> process = probe.command().Start();
  ASSERT_TRUE(process.ok()) << process.error().text;
  probe.AwaitOutput();
  const std::string folder = "/proc/" + std::to_string(process->pid()) + "/fd/";
  std::set<std::size_t> numbers;
  DIR* const entries = opendir(folder.c_str());
  ASSERT_NE(entries, nullptr);
  while (const dirent* const entry = readdir(entries)) {
    const std::string name = entry->d_name;
    if (name[0] == '.') continue;
    numbers.insert(std::stoul(name));
    EXPECT_NE(LinkOf(folder + name), "/etc") << name;
  }
  closedir(entries);
  // The standard streams, the extra ones, INITPIPE and LOGPIPE.
  EXPECT_EQ(numbers.size(), extra_fds + 5);
  EXPECT_EQ(*numbers.rbegin(), extra_fds + 4);
  for (std::size_t i = 0; i < extra_fds; ++i) {
    EXPECT_EQ(LinkOf(folder + std::to_string(3 + i)), "/usr");
  }
  probe.Converse(*process);
}

/// In as many launches at a time as there are kinds of them.
void ExpectNothingElseIsEverGiven() {
  std::vector<Fd> open_here;
  const Fd folder(open("/etc", O_RDONLY | O_CLOEXEC));
  for (const int lowest : {9, 10, 200, 900}) {
    open_here.emplace_back(fcntl(folder.get(), F_DUPFD, lowest));
    ASSERT_TRUE(open_here.back().valid());
  }
  std::vector<std::thread> threads;
  for (const std::size_t extra_fds : {0U, 1U, 5U, 20U}) {
    for (const bool by_number : {false, true}) {
      threads.emplace_back(ExpectNothingElseIsGiven, extra_fds, by_number);
    }
  }
  for (std::thread& thread : threads) thread.join();
  for (const Fd& fd : open_here) EXPECT_EQ(fcntl(fd.get(), F_GETFD), 0) << fd.get();
}

TEST_F(LaunchTest, GivesTheProgramNothingElse) {
  NEEDS_ROOT();
  ExpectNothingElseIsEverGiven();
}

// Emulators, and valgrind, answer themselves what is asked of filters.
#ifndef NSEXEC_EMULATED

/// From now on these system calls fail with ENOSYS, as on a kernel that does not have them.
void DoWithout(std::initializer_list<int> calls) {
  std::vector<sock_filter> program;
  program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
  for (const int call : calls) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter = {static_cast<unsigned short>(program.size()), program.data()};
  ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L), 0);
  ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

TEST_F(LaunchTest, GivesTheProgramNothingElseOnAnOldKernel) {
  NEEDS_ROOT();
  test::ExpectSilentSuccess(test::RunInChild([] {
    DoWithout({SYS_close_range});
    ExpectNothingElseIsEverGiven();
  }));
}

// As if there was no /proc.
TEST_F(LaunchTest, GivesTheProgramNothingElseWhereDescriptorsCannotBeListed) {
  NEEDS_ROOT();
  test::ExpectSilentSuccess(test::RunInChild([] {
    const Fd folder(open("/etc", O_RDONLY | O_CLOEXEC));
    const Fd here(fcntl(folder.get(), F_DUPFD, 200));
    DoWithout({SYS_close_range, SYS_getdents64});
    Probe probe;
    Result<Process> process = probe.command().Start();
    ASSERT_TRUE(process.ok()) << process.error().text;
    const std::string name =
        "/proc/" + std::to_string(process->pid()) + "/fd/" + std::to_string(here.get());
    EXPECT_EQ(LinkOf(name), "(none)");
    probe.Converse(*process);
  }));
}

#endif

TEST_F(LaunchTest, TellsProgramsThatSpeakNoProtocol) {
  for (const auto& [script, text] : {
           std::pair<const char*, const char*>{"exit 0",
                                               "the launched process ended without a reply"},
           {"exit 3", "the launched process ended without a reply: exit status 3"},
           {"kill -9 $$", "the launched process ended without a reply: signal 9"},
           {"echo hello >&3", "no reply: hello\n"},
           {R"(echo '{"stage1_pid":1,"stage2_pid":1}' >&3)",
            "no reply: {\"stage1_pid\":1,\"stage2_pid\":1}\n"},
           {R"(echo '{"stage1_pid":0,"stage2_pid":99999999999}' >&3)",
            "no reply: {\"stage1_pid\":0,\"stage2_pid\":99999999999}\n"},
       }) {
    const Error error = FailureOf(Shell(script));
    EXPECT_EQ(error.kind, Error::Kind::kEnded);
    EXPECT_EQ(error.text, text);
  }
}

TEST_F(LaunchTest, KillsWhatIsStuckAndWhatThatHasStarted) {
  for (const char* script :
       {"sleep 60 & sleep 60; :", "exec 3>&- 4>&-; sleep 60",
        R"(echo "{\"stage1_pid\":$PPID,\"stage2_pid\":$$}" >&3; sleep 60)",
        R"(echo "{\"stage1_pid\":2147483647,\"stage2_pid\":$$}" >&3; sleep 60)"}) {
    const bool lets_go = std::string_view(script).find("3>&-") != std::string_view::npos;
    Command command = Shell(script);
    // Enough for a shell to let go of its pipes; that it does is noticed at once.
    command.timeout = std::chrono::milliseconds(lets_go ? 20000 * test::Slower() : 100);
    const auto start = std::chrono::steady_clock::now();
    const Error error = FailureOf(command);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5 * test::Slower()))
        << script;
    if (lets_go) {
      EXPECT_EQ(error.text, "the launched process ended without a reply");
    } else {
      EXPECT_EQ(error.kind, Error::Kind::kTimeout) << script << error.text;
      EXPECT_EQ(error.text, "the launch took longer than 100 ms");
    }
  }
}

TEST_F(LaunchTest, CallsBackBeforeTheMessage) {
  NEEDS_ROOT();
  Probe probe;
  probe.command().before_message = [](pid_t pid) -> std::optional<Error> {
    std::ofstream("/proc/" + std::to_string(pid) + "/oom_score_adj") << 77;
    return std::nullopt;
  };
  Result<Process> process = probe.command().Start();
  ASSERT_TRUE(process.ok()) << process.error().text;
  EXPECT_EQ(test::ReadFile("/proc/" + std::to_string(process->pid()) + "/oom_score_adj"), "77\n");
  probe.Converse(*process);

  probe.command().before_message = [](pid_t) { return Error{Error::Kind::kSystem, "no room", 0}; };
  probe.command().standard_output = -1;
  const Error error = FailureOf(probe.command());
  EXPECT_EQ(error.kind, Error::Kind::kCaller);
  EXPECT_EQ(error.text, "no room");
}

TEST_F(LaunchTest, KillsAProcessAtTheEndOfItsLife) {
  NEEDS_ROOT();
  Probe probe;
  pid_t pid = -1;
  {
    Result<Process> process = probe.command().Start();
    ASSERT_TRUE(process.ok()) << process.error().text;
    const Process moved = std::move(*process);
    pid = moved.pid();
    EXPECT_EQ(kill(pid, 0), 0);
  }
  EXPECT_EQ(kill(pid, 0), -1);
  Result<Process> process = probe.command().Start();
  ASSERT_TRUE(process.ok()) << process.error().text;
  pid = process->Release();
  process = Error{};
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);  // INITPIPE is closed by now
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST_F(LaunchTest, TellsThatSomebodyElseHasReapedTheProcess) {
  NEEDS_ROOT();
  Probe probe;
  Result<Process> process = probe.command().Start();
  ASSERT_TRUE(process.ok()) << process.error().text;
  process->Kill();
  EXPECT_EQ(waitpid(process->pid(), nullptr, 0), process->pid());
  EXPECT_EQ(process->Wait().error().code, ECHILD);
  EXPECT_EQ(process->Wait().error().code, ECHILD);
}

}  // namespace
}  // namespace nsenter::parent
