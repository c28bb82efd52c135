// SPDX-License-Identifier: Apache-2.0

#include "world.h"

#include "fd.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace inject {
namespace {

constexpr const char* kFixtureName = "fixture";

/// Puts a file with `text` in the place of `path`, in this mount namespace only.
void Replace(const char* path, const std::string& text) {
  char source[] = "/tmp/nsexec-inject-XXXXXX";
  close(Must(mkstemp(source), source));
  WriteTo(source, text);
  Must(chmod(source, 0644), source);
  Must(mount(source, path, nullptr, MS_BIND, nullptr), path);
  // The mount keeps the file.
  Must(unlink(source), source);
}

pid_t CloneInto(int flags) {
  return static_cast<pid_t>(
      syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
}

constexpr const char* kUserMap = "0 100000 65536\n";

/// True if the other end said something, false if it is gone.
template <typename T>
bool Receive(const Pipe& pipe, T* value) {
  return read(pipe.read.fd, value, sizeof(*value)) == sizeof(*value);
}

template <typename T>
void Send(const Pipe& pipe, const T& value) {
  if (write(pipe.write.fd, &value, sizeof(value)) != sizeof(value)) Die("pipe of a fixture");
}

/// In the maker of a fixture: what it unshares is its user's, and the fixture starts in all of it.
/// (A process that unshares a time namespace itself enters it by execve(2) only since Linux 6.3.)
[[noreturn]] void MakeFixture(int flags, uid_t owner, const Pipe& unshared, const Pipe& mapped,
                              const Pipe& told) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (owner != 0) {
    Must(setresgid(owner, owner, owner), "setresgid");
    Must(setresuid(owner, owner, owner), "setresuid");
  }
  Must(unshare(flags), "unshare of a fixture's namespaces");
  Send(unshared, 'u');
  char byte = 0;
  if (!Receive(mapped, &byte)) Die("map of a fixture");
  // CLONE_PARENT makes it a child of our parent, which wants it.
  const pid_t pid = Must(CloneInto(CLONE_PARENT), "clone of a fixture");
  if (pid != 0) {
    Send(told, pid);
    _exit(0);
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // What has changed its user is readable for nobody, until it executes something.
  execl("/proc/self/exe", "fixture", kFixtureArgument, nullptr);
  Die("exec of the fixture");
}

pid_t StartFixture(int extra_flags, uid_t owner = 0, const char* map = kUserMap) {
  Pipe unshared, mapped, told;
  const int flags = CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID |
                    CLONE_NEWUTS | kNewTime | extra_flags;
  const pid_t maker = Must(CloneInto(0), "clone of a fixture's maker");
  if (maker == 0) MakeFixture(flags, owner, unshared, mapped, told);
  char byte = 0;
  unshared.write.Close();
  if (!Receive(unshared, &byte)) Die("start of a fixture");
  if ((extra_flags & CLONE_NEWUSER) != 0) {
    WriteTo(ProcOf(maker, "uid_map"), map);
    WriteTo(ProcOf(maker, "gid_map"), map);
  }
  Send(mapped, 'm');
  told.write.Close();
  pid_t pid = 0;
  if (!Receive(told, &pid)) Die("clone of a fixture");
  waitpid(maker, nullptr, 0);
  for (int i = 0; ReadAll(ProcOf(pid, "comm")) != std::string(kFixtureName) + "\n"; ++i) {
    if (i == 5000) Die("exec of a fixture");
    usleep(1000);
  }
  return pid;
}

}  // namespace

void Die(const char* what) {
  fprintf(stderr, "injector: %s: %s\n", what, strerror(errno));
  _exit(3);
}

int Must(int result, const char* what) {
  if (result < 0) Die(what);
  return result;
}

void RunFixture() {
  prctl(PR_SET_NAME, kFixtureName);
  for (;;) pause();
}

World World::Make() {
  Must(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make mounts private");
  Must(mount("proc", "/proc", "proc", 0, nullptr), "mount of /proc");
  Replace("/etc/passwd", "root:x:0:0::/root:/bin/sh\nrootless:x:1000:1000::/:/bin/sh\n");
  Replace("/etc/group", "root:x:0:\nrootless:x:1000:\n");
  Replace("/etc/subuid", "rootless:100000:65536\n");
  Replace("/etc/subgid", "rootless:100000:65536\n");
  const rlimit none = {0, 0};
  Must(setrlimit(RLIMIT_CORE, &none), "setrlimit");
  // Where close_range(2) fails, descriptors are closed one by one, each with two stops of the
  // tracer.
  const rlimit few = {256, 256};
  Must(setrlimit(RLIMIT_NOFILE, &few), "setrlimit");
  return {.plain = StartFixture(0), .user = StartFixture(CLONE_NEWUSER)};
}

namespace {

/// In the fixture `pid`, as its root: mounts files over /proc that say that any process is in the
/// fixture's user namespace already.
void CoverProc(pid_t pid) {
  const pid_t child = Must(CloneInto(0), "clone");
  if (child != 0) {
    int status = 0;
    if (waitpid(child, &status, 0) != child || status != 0) Die("covering of /proc");
    return;
  }
  const std::string namespaces = ProcOf(pid, "ns/");
  const int user = Must(open((namespaces + "user").c_str(), O_RDONLY), "open");
  const int mounts = Must(open((namespaces + "mnt").c_str(), O_RDONLY), "open");
  Must(setns(user, CLONE_NEWUSER), "setns");
  Must(setns(mounts, CLONE_NEWNS), "setns");
  Must(setresgid(0, 0, 0), "setresgid");
  Must(setresuid(0, 0, 0), "setresuid");
  Must(mount("lies", "/tmp", "tmpfs", 0, nullptr), "mount");
  Must(mkdir("/tmp/self", 0755), "mkdir");
  Must(mkdir("/tmp/self/ns", 0755), "mkdir");
  WriteTo("/tmp/self/ns/user", "");
  Must(mount("/proc/self/ns/user", "/tmp/self/ns/user", nullptr, MS_BIND, nullptr), "mount");
  Must(mount("/tmp", "/proc", nullptr, MS_BIND | MS_REC, nullptr), "mount");
  _exit(0);
}

}  // namespace

World World::MakeForAttack() {
  World world = Make();
  world.owned = StartFixture(CLONE_NEWUSER, kRootlessUid, "0 1000 1\n1 100000 65535\n");
  world.hostile = StartFixture(CLONE_NEWUSER);
  CoverProc(world.hostile);
  return world;
}

pid_t World::Find(FixtureKind kind) const {
  switch (kind) {
    case FixtureKind::kNone:
    case FixtureKind::kPlain:
      return plain;
    case FixtureKind::kUser:
      return user;
    case FixtureKind::kOwned:
      return owned;
    case FixtureKind::kHostile:
      return hostile;
  }
  return 0;
}

pid_t StartWorker(const std::function<int()>& work) {
  fflush(nullptr);
  const pid_t pid =
      Must(CloneInto(CLONE_NEWPID | CLONE_NEWNS), "clone of a worker (root is needed)");
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setsid();  // no signal to a process group gets out, or in
  const int status = work();
  fflush(nullptr);
  _exit(status);
}

}  // namespace inject
