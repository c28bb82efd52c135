// SPDX-License-Identifier: Apache-2.0

#include "world.h"

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

constexpr int kNewTime = 0x80;

void WriteFile(const std::string& path, const std::string& text, mode_t mode = 0644) {
  const int fd =
      Must(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode), path.c_str());
  if (write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) Die(path.c_str());
  close(fd);
}

/// Puts a file with `text` in the place of `path`, in this mount namespace only.
void Replace(const char* path, const std::string& text) {
  char source[] = "/tmp/nsexec-inject-XXXXXX";
  close(Must(mkstemp(source), source));
  WriteFile(source, text);
  Must(chmod(source, 0644), source);
  Must(mount(source, path, nullptr, MS_BIND, nullptr), path);
  // The mount keeps the file.
  Must(unlink(source), source);
}

pid_t CloneInto(int flags) {
  return static_cast<pid_t>(
      syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
}

std::string TimeNamespaceOf(pid_t pid) {
  char link[64] = "";
  const std::string path = "/proc/" + std::to_string(pid) + "/ns/time";
  return readlink(path.c_str(), link, sizeof(link) - 1) > 0 ? link : "";
}

pid_t StartFixture(int extra_flags) {
  int go[2];
  Must(pipe2(go, O_CLOEXEC), "pipe2");
  const std::string own_time = TimeNamespaceOf(getpid());
  const pid_t pid = Must(CloneInto(CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWNET |
                                   CLONE_NEWPID | CLONE_NEWUTS | extra_flags),
                         "clone of a fixture");
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(go[1]);
    char byte = 0;
    (void)!read(go[0], &byte, 1);
    // A new time namespace is entered by what is executed.
    Must(unshare(kNewTime), "unshare of the time namespace");
    execl("/proc/self/exe", "fixture", kFixtureArgument, nullptr);
    Die("exec of the fixture");
  }
  if ((extra_flags & CLONE_NEWUSER) != 0) {
    const std::string proc = "/proc/" + std::to_string(pid);
    WriteFile(proc + "/uid_map", "0 100000 65536\n");
    WriteFile(proc + "/gid_map", "0 100000 65536\n");
  }
  close(go[0]);
  close(go[1]);
  for (int i = 0; TimeNamespaceOf(pid) == own_time || TimeNamespaceOf(pid).empty(); ++i) {
    if (i == 5000) Die("the fixture has no time namespace of its own (a kernel before 6.0?)");
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
  prctl(PR_SET_NAME, "fixture");
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
