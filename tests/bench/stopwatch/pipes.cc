// SPDX-License-Identifier: Apache-2.0

#include "pipes.h"

#include "check.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace bench {
namespace {

constexpr int kFirstOwn = 10;

void Place(int fd, int number) {
  Must(dup2(fd, number), "dup2");
  close(fd);
}

}  // namespace

int MoveAway(int fd) {
  const auto moved = static_cast<int>(Must(fcntl(fd, F_DUPFD_CLOEXEC, kFirstOwn), "fcntl"));
  close(fd);
  return moved;
}

Pipes MakePipes(const Scenario& scenario) {
  Pipes pipes;
  int ends[2];
  Must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "socketpair");
  pipes.init = MoveAway(ends[0]);
  Place(MoveAway(ends[1]), kInitPipe);
  if (scenario.log) {
    Must(pipe2(ends, O_CLOEXEC), "pipe2");
    pipes.log = MoveAway(ends[0]);
    Place(MoveAway(ends[1]), kLogPipe);
  }
  return pipes;
}

}  // namespace bench
