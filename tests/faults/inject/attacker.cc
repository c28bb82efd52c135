// SPDX-License-Identifier: Apache-2.0

#include "attacker.h"

#include <cerrno>
#include <csignal>
#include <linux/capability.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <sstream>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

namespace inject {
namespace {

struct Question {
  enum class Whom { kProcess, kDumpableTwin, kTwin } whom = Whom::kProcess;
  pid_t number = 0;
  bool trace = false;
};

constexpr std::pair<Try, const char*> kFiles[] = {
    {kRoot, "root"}, {kCwd, "cwd"},   {kExe, "exe"},         {kFd, "fd/0"},
    {kMem, "mem"},   {kMaps, "maps"}, {kEnviron, "environ"}, {kNs, "ns/mnt"},
};

bool Opens(const std::string& path) {
  // O_PATH would be no more than a look at a file, but follows a link, which is what matters.
  const bool link = path.find("mem") == std::string::npos &&
                    path.find("maps") == std::string::npos &&
                    path.find("environ") == std::string::npos;
  Fd file;
  file.fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | (link ? O_PATH : 0));
  return file.fd >= 0;
}

bool Reads(pid_t pid) {
  char byte = 0;
  iovec local = {&byte, 1};
  iovec remote = {reinterpret_cast<void*>(8), 1};
  // Nothing lies there, which is only said to who may know.
  return process_vm_readv(pid, &local, 1, &remote, 1, 0) == 1 || errno == EFAULT;
}

bool GetsFd(pid_t pid) {
  Fd pidfd, got;
  pidfd.fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (pidfd.fd < 0) return false;
  got.fd = static_cast<int>(syscall(SYS_pidfd_getfd, pidfd.fd, 0, 0));
  return got.fd >= 0;
}

bool Traces(pid_t pid) {
  if (ptrace(PTRACE_SEIZE, pid, 0, 0) != 0) return false;
  ptrace(PTRACE_INTERRUPT, pid, 0, 0);
  int status = 0;
  waitpid(pid, &status, __WALL);
  ptrace(PTRACE_DETACH, pid, 0, 0);
  return true;
}

std::uint32_t TryAll(pid_t pid, bool trace) {
  std::uint32_t got = 0;
  for (const auto& [one, name] : kFiles) {
    if (Opens(ProcOf(pid, name))) got |= one;
  }
  if (Reads(pid)) got |= kRead;
  if (syscall(SYS_kcmp, getpid(), pid, KCMP_VM, 0, 0) >= 0) got |= kCompare;
  if (GetsFd(pid)) got |= kGetFd;
  if (trace && Traces(pid)) got |= kTrace;
  return got;
}

void GiveUp(Place::Caps kept) {
  if (kept == Place::Caps::kAll) return;
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[2] = {};
  if (kept == Place::Caps::kContainers) {
    Must(static_cast<int>(syscall(SYS_capget, &header, data)), "capget");
    // With one of the other two over the initial user namespace, maps and environment can be read.
    data[0].permitted &= ~(1U << CAP_SYS_PTRACE | 1U << CAP_SYS_ADMIN);
    data[1].permitted &= ~(1U << (CAP_PERFMON - 32));
    for (__user_cap_data_struct& half : data) half.effective = half.permitted;
  }
  Must(static_cast<int>(syscall(SYS_capset, &header, data)), "capset");
}

pid_t StartTwin(bool dumpable) {
  Pipe ready;
  const pid_t pid = Must(fork(), "fork");
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_DUMPABLE, dumpable ? 1 : 0);
    ready.write.Close();
    RunFixture();
  }
  ready.write.Close();
  char byte = 0;
  (void)!read(ready.read.fd, &byte, 1);
  return pid;
}

[[noreturn]] void Serve(int socket) {
  prctl(PR_SET_NAME, "attacker");
  const pid_t dumpable = StartTwin(true);
  const pid_t twin = StartTwin(false);
  for (Question question; read(socket, &question, sizeof(question)) == sizeof(question);) {
    const pid_t number = question.whom == Question::Whom::kProcess        ? question.number
                         : question.whom == Question::Whom::kDumpableTwin ? dumpable
                                                                          : twin;
    const std::uint32_t got = TryAll(number, question.trace);
    if (write(socket, &got, sizeof(got)) != sizeof(got)) break;
  }
  _exit(0);
}

std::uint32_t AskOf(int socket, const Question& question) {
  if (write(socket, &question, sizeof(question)) != sizeof(question)) Die("an attacker is gone");
  std::uint32_t got = 0;
  if (read(socket, &got, sizeof(got)) != sizeof(got)) Die("an attacker is gone");
  return got;
}

}  // namespace

std::string NamesOf(std::uint32_t tries) {
  if ((tries & kAllButTrace) == kAllButTrace) return "everything";
  std::string names;
  const auto add = [&](std::uint32_t one, const char* name) {
    if ((tries & one) != 0) names += (names.empty() ? "" : ",") + std::string(name);
  };
  for (const auto& [one, name] : kFiles) add(one, name);
  add(kRead, "process_vm_readv");
  add(kCompare, "kcmp");
  add(kGetFd, "pidfd_getfd");
  add(kTrace, "ptrace");
  return names;
}

const std::vector<Place>& Places() {
  using Caps = Place::Caps;
  static const std::vector<Place> places = {
      {.name = "root-of-container",
       .fixture = FixtureKind::kPlain,
       .own_pids = true,
       .caps = Caps::kContainers},
      {.name = "root-of-container-our-pids",
       .fixture = FixtureKind::kPlain,
       .caps = Caps::kContainers},
      {.name = "root-of-userns",
       .fixture = FixtureKind::kUser,
       .own_pids = true,
       .caps = Caps::kAll},
      {.name = "root-of-userns-our-pids", .fixture = FixtureKind::kUser, .caps = Caps::kAll},
      {.name = "root-of-rootless",
       .fixture = FixtureKind::kOwned,
       .own_pids = true,
       .caps = Caps::kAll},
      {.name = "root-of-rootless-our-pids", .fixture = FixtureKind::kOwned, .caps = Caps::kAll},
      {.name = "uid-0", .fixture = FixtureKind::kNone},
      {.name = "uid-1000", .fixture = FixtureKind::kNone, .uid = kRootlessUid},
  };
  return places;
}

Attacker::Attacker(const Place& place, const World& world) : place_(&place) {
  int ends[2];
  Must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), "socketpair");
  socket_.fd = ends[0];
  Fd theirs;
  theirs.fd = ends[1];
  const pid_t viewed = place.own_pids ? world.Find(place.fixture) : getpid();
  pid_namespace_ = LinkOf(ProcOf(viewed, "ns/pid"));
  const pid_t pid = Must(fork(), "fork");
  if (pid == 0) Become(world, ends[1]);
  // It answers once it is in its place.
  (void)AskForTwin(false);
}

void Attacker::Become(const World& world, int socket) {
  socket_.Close();
  const std::string namespaces = ProcOf(world.Find(place_->fixture), "ns/");
  if (place_->own_pids) {
    int fds[5];
    const std::pair<const char*, int> joined[] = {{"ipc", CLONE_NEWIPC},
                                                  {"uts", CLONE_NEWUTS},
                                                  {"net", CLONE_NEWNET},
                                                  {"pid", CLONE_NEWPID},
                                                  {"mnt", CLONE_NEWNS}};
    const int user = Must(open((namespaces + "user").c_str(), O_RDONLY | O_CLOEXEC), "open");
    for (int i = 0; i < 5; ++i) {
      const std::string path = namespaces + joined[i].first;
      fds[i] = Must(open(path.c_str(), O_RDONLY | O_CLOEXEC), path.c_str());
    }
    for (int i = 0; i < 5; ++i) Must(setns(fds[i], joined[i].second), joined[i].first);
    if (place_->fixture != FixtureKind::kPlain) Must(setns(user, CLONE_NEWUSER), "setns user");
    const pid_t inside = Must(fork(), "fork");
    if (inside != 0) _exit(0);
    // One mount for each pid namespace is enough, more do no harm.
    Must(mount("proc", "/proc", "proc", 0, nullptr), "mount of a container's /proc");
  } else if (place_->fixture == FixtureKind::kUser || place_->fixture == FixtureKind::kOwned) {
    const int user = Must(open((namespaces + "user").c_str(), O_RDONLY | O_CLOEXEC), "open");
    Must(setns(user, CLONE_NEWUSER), "setns user");
  }
  Must(setresgid(place_->uid, place_->uid, place_->uid), "setresgid");
  Must(setresuid(place_->uid, place_->uid, place_->uid), "setresuid");
  GiveUp(place_->caps);
  Serve(socket);
}

pid_t Attacker::NumberOf(pid_t pid) const {
  // Two levels are all there are here: the worker's, and those of containers.
  const std::string link = LinkOf(ProcOf(pid, "ns/pid"));
  if (!place_->own_pids) return pid;
  if (link != pid_namespace_) return 0;
  std::istringstream status(ReadAll(ProcOf(pid, "status")));
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("NSpid:", 0) != 0) continue;
    return atoi(line.substr(line.rfind('\t') + 1).c_str());
  }
  return 0;
}

std::uint32_t Attacker::Ask(pid_t number, bool trace) const {
  return AskOf(socket_.fd, {.whom = Question::Whom::kProcess, .number = number, .trace = trace});
}

std::uint32_t Attacker::AskForTwin(bool dumpable) const {
  return AskOf(
      socket_.fd,
      {.whom = dumpable ? Question::Whom::kDumpableTwin : Question::Whom::kTwin, .trace = true});
}

}  // namespace inject
