// SPDX-License-Identifier: Apache-2.0

#include "launch.h"

#include "scenario.h"
#include "world.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <linux/capability.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace inject {
namespace {

// Above the numbers that are given away.
constexpr int kOutOfTheWay = 100;

std::string FileOf(int fd) { return LinkOf("/proc/self/fd/" + std::to_string(fd)); }

/// Writes until nothing fits any more.
void Fill(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  const std::string junk(4096, '.');
  while (write(fd, junk.data(), junk.size()) > 0) {
  }
  while (write(fd, ".", 1) > 0) {
  }
  fcntl(fd, F_SETFL, flags);
}

/// By what is executed, although its uid is not 0.
void HaveCapabilitiesInherited() {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[2] = {};
  Must(static_cast<int>(syscall(SYS_capget, &header, data)), "capget");
  for (__user_cap_data_struct& half : data) half.inheritable = half.permitted;
  Must(static_cast<int>(syscall(SYS_capset, &header, data)), "capset");
  for (unsigned long cap = 0; cap < 64; ++cap) {
    if ((data[cap / 32].permitted >> (cap % 32) & 1U) == 0) continue;
    Must(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0), "PR_CAP_AMBIENT_RAISE");
  }
}

/// The path of a new pseudoterminal, with both its sides open.
std::string OpenTerminalPair(int flags, Fd& ret_master, Fd& ret_slave) {
  const int fd = Must(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | flags), "posix_openpt");
  ret_master.fd = fd;
  Must(grantpt(fd), "grantpt");
  Must(unlockpt(fd), "unlockpt");
  char path[64];
  if (ptsname_r(fd, path, sizeof(path)) != 0) Die("ptsname");
  ret_slave.fd = Must(open(path, O_RDWR | O_NOCTTY | O_CLOEXEC), path);
  return path;
}

/// Reaps, as a parent does. The injector hears of processes that it does not trace only in
/// this way.
[[noreturn]] void ReapAndReport(int reports) {
  for (;;) {
    int report[2] = {};
    report[0] = waitpid(-1, &report[1], 0);
    if (report[0] < 0) {
      if (errno == ECHILD) usleep(1000);
      continue;
    }
    (void)!write(reports, report, sizeof(report));
  }
}

}  // namespace

Launch::Launch(const Plan& plan, pid_t fixture, int program)
    : plan_(plan), fixture_(fixture), program_(program) {
  int ends[2];
  Must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "socketpair");
  initpipe.fd = ends[0];
  their_initpipe_.fd = ends[1];
  if (plan.scenario->console) OpenConsole();
  if (plan.scenario->leads_session) OpenTerminal();
  known_ = {.initpipe = FileOf(their_initpipe_.fd),
            .log = FileOf(log.write.fd),
            .output = FileOf(output.write.fd),
            .errors = FileOf(errors.write.fd),
            .console = console_path_};
  environment_ = EnvironmentOf(*plan.scenario, fixture, console_path_, plan.log_level);
  if (plan.memory >= 0) memory_ = std::make_unique<Cgroup>(CgroupLimit::kMemory, plan.memory);
  const long threads = plan.scenario->threads ? 1 : 0;  // which are counted
  if (plan.pids >= 0) {
    processes_ = std::make_unique<Cgroup>(CgroupLimit::kProcesses, plan.pids + threads);
  }
}

void Launch::OpenConsole() {
  // Reading from the other side is an error whenever nobody has this one open.
  console_path_ = OpenTerminalPair(O_NONBLOCK, console, held_console_);
}

void Launch::OpenTerminal() { OpenTerminalPair(0, terminal_, own_terminal_); }

void Launch::SendMessage() {
  std::string message = MessageOf(*plan_.scenario, fixture_);
  if (plan_.close_after >= 0) {
    message.resize(std::min(message.size(), static_cast<std::size_t>(plan_.close_after)));
  }
  const ssize_t sent = send(initpipe.fd, message.data(), message.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(message.size())) Die("send of the message");
  if (plan_.reply == ReplyMode::kFull) Fill(their_initpipe_.fd);
  if (plan_.log == LogMode::kFull) Fill(log.write.fd);
  if (plan_.log == LogMode::kClosed) log.read.Close();
  if (plan_.close_after >= 0) initpipe.Close();
}

void Launch::Start() {
  SendMessage();
  for (const Fd* fd : {&log.read, &output.read, &errors.read}) {
    if (fd->fd >= 0) fcntl(fd->fd, F_SETFL, O_NONBLOCK);
  }
  // The parent and the launched process take two, and its second thread one.
  const long taken = plan_.scenario->threads ? 3 : 2;
  if (plan_.free_pids >= 0) pids_ = std::make_unique<PidLimit>(plan_.free_pids + taken);
  const Pipe told;
  parent_ = Must(fork(), "fork");
  if (parent_ == 0) BecomeParent(told);
  if (!plan_.no_namespaces.empty()) MapLimitedUserNamespace();
  reports.write.Close();
  fcntl(reports.read.fd, F_SETFL, O_NONBLOCK);
  if (read(told.read.fd, &launched_, sizeof(launched_)) != sizeof(launched_)) {
    Die("start of the parent");
  }
  their_initpipe_.Close();
  log.write.Close();
  output.write.Close();
  errors.write.Close();
  go_.read.Close();
  if (memory_) WriteTo(memory_->procs(), std::to_string(launched_));
  if (processes_) WriteTo(processes_->procs(), std::to_string(launched_));
}

void Launch::KillParent() {
  kill(parent_, SIGKILL);
  initpipe.Close();
}

void Launch::BecomeParent(const Pipe& told) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  if (!plan_.no_namespaces.empty()) EnterLimitedUserNamespace();
  const pid_t child = Must(fork(), "fork");
  if (child == 0) BecomeLaunched();
  if (write(told.write.fd, &child, sizeof(child)) != sizeof(child)) _exit(3);
  // Nobody else's end may seem open because of us.
  const int kept = dup2(reports.write.fd, 0);
  close_range(1, ~0U, 0);
  ReapAndReport(kept);
}

/// A user namespace that maps every id to itself, so that the limit is nobody else's.
void Launch::EnterLimitedUserNamespace() {
  Must(unshare(CLONE_NEWUSER), "unshare");
  char byte = 0;
  if (write(unshared_.write.fd, &byte, 1) != 1) Die("write");
  if (read(mapped_.read.fd, &byte, 1) != 1) Die("read");
  WriteTo("/proc/sys/user/max_" + plan_.no_namespaces + "_namespaces", "0");
}

void Launch::MapLimitedUserNamespace() {
  char byte = 0;
  if (read(unshared_.read.fd, &byte, 1) != 1) Die("start of the parent");
  WriteTo(ProcOf(parent_, "uid_map"), "0 0 4294967295");
  WriteTo(ProcOf(parent_, "gid_map"), "0 0 4294967295");
  if (write(mapped_.write.fd, &byte, 1) != 1) Die("write");
}

void Launch::PutDescriptorsInPlace() const {
  const int sources[] = {open("/dev/null", O_RDONLY), output.write.fd, errors.write.fd,
                         their_initpipe_.fd, log.write.fd};
  constexpr int kCount = std::size(sources);
  int saved[kCount];
  for (int i = 0; i < kCount; ++i) {
    saved[i] = Must(fcntl(sources[i], F_DUPFD_CLOEXEC, kOutOfTheWay), "dup");
  }
  for (int i = 0; i < kCount; ++i) {
    if (i == kLogFd && plan_.scenario->classic) {
      close(i);
      continue;
    }
    Must(dup2(saved[i], i), "dup2");
  }
  close_range(kCount, kOutOfTheWay - 1, 0);
}

void Launch::BecomeLaunched() {
  const int go = Must(fcntl(go_.read.fd, F_DUPFD_CLOEXEC, kOutOfTheWay), "dup");
  const int program = Must(fcntl(program_, F_DUPFD_CLOEXEC, kOutOfTheWay), "dup");
  if (plan_.scenario->leads_session) {
    Must(setsid(), "setsid");
    Must(ioctl(own_terminal_.fd, TIOCSCTTY, 0), "TIOCSCTTY");
  }
  PutDescriptorsInPlace();
  if (plan_.scenario->uid != 0) {
    if (plan_.scenario->capable) Must(prctl(PR_SET_KEEPCAPS, 1), "PR_SET_KEEPCAPS");
    Must(setgid(plan_.scenario->uid), "setgid");
    Must(setuid(plan_.scenario->uid), "setuid");
    if (plan_.scenario->capable) HaveCapabilitiesInherited();
  }
  std::vector<char*> environment;
  for (std::string& variable : environment_) environment.push_back(variable.data());
  environment.push_back(nullptr);
  char byte = 0;
  (void)!read(go, &byte, 1);  // until the injector looks
  if (!plan_.strace.empty()) ExecStrace(program, environment);
  std::vector<std::string> words = {"probe", "tell-dumpable"};
  if (plan_.scenario->threads) words.push_back("threads");
  if (plan_.nofile >= 0) words.push_back("nofile=" + std::to_string(plan_.nofile));
  if (plan_.nproc >= 0) words.push_back("nproc=" + std::to_string(plan_.nproc));
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  syscall(SYS_execveat, program, "", argv.data(), environment.data(), AT_EMPTY_PATH);
  Die("exec of the program under test");
}

void Launch::ExecStrace(int program, std::vector<char*>& environment) const {
  const std::string path = FileOf(program);
  const std::string inject = "inject=" + plan_.strace;
  const char* argv[] = {"strace", "-D",        "-f", "-qq",          "-o",         "/dev/null",
                        "-e",     "trace=all", "-e", inject.c_str(), path.c_str(), nullptr};
  execve("/usr/bin/strace", const_cast<char**>(argv), environment.data());
  Die("exec of strace");
}

}  // namespace inject
