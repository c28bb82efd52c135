// SPDX-License-Identifier: Apache-2.0

#include "fixture.h"

#include "check.h"
#include "pipes.h"

#include <csignal>
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bench {
namespace {

/// The child of a child: makes one target and lives as long as the lifeline.
[[noreturn]] void Keep(int report, int lifeline) {
  int flags = 0;
  for (int i = 0; i < kNamespaceTypes; ++i) flags |= NamespaceTypes()[i].clone_flag;
  Must(unshare(flags & ~CLONE_NEWUSER), "unshare");
  const pid_t target = fork();
  Must(target, "fork");
  if (target == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(report);
    for (;;) pause();
  }
  Must(write(report, &target, sizeof(target)), "write");
  close(report);
  char byte = 0;
  (void)!read(lifeline, &byte, 1);
  kill(target, SIGKILL);
  _exit(0);
}

}  // namespace

Fixture::Fixture() {
  int lifeline[2];
  Must(pipe2(lifeline, O_CLOEXEC), "pipe");
  for (pid_t& target : targets_) {
    int report[2];
    Must(pipe2(report, O_CLOEXEC), "pipe");
    const pid_t between = fork();
    Must(between, "fork");
    if (between == 0) {
      close(lifeline[1]);
      if (fork() == 0) Keep(report[1], lifeline[0]);
      _exit(0);
    }
    close(report[1]);
    Must(waitpid(between, nullptr, 0), "waitpid");
    if (read(report[0], &target, sizeof(target)) != sizeof(target)) {
      Die("cannot make a process in namespaces of its own: this needs root");
    }
    close(report[0]);
  }
  close(lifeline[0]);
  // Out of the way of the descriptors that launched programs get.
  lifeline_ = MoveAway(lifeline[1]);
}

Fixture::~Fixture() { close(lifeline_); }

}  // namespace bench
