// SPDX-License-Identifier: Apache-2.0

#include "sweep.h"

#include "cgroup.h"
#include "pid_limit.h"
#include "summary.h"
#include "worker.h"
#include "world.h"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace inject {
namespace {

// A worker that says nothing for so long hangs.
constexpr int kSilenceMs = 120000;

/// Takes lines from a worker.
struct Source {
  int fd;
  std::string rest;
  bool ended = false;

  void Read(Summary& summary) {
    char buffer[65536];
    const ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got <= 0) {
      ended = true;
      return;
    }
    rest.append(buffer, static_cast<std::size_t>(got));
    for (std::size_t end; (end = rest.find('\n')) != std::string::npos;) {
      summary.Take(Report::FromLine(rest.substr(0, end)));
      rest.erase(0, end + 1);
    }
  }
};

void ReadAll(std::vector<Source>& sources, Summary& summary) {
  for (;;) {
    std::vector<pollfd> fds;
    for (const Source& source : sources) {
      if (!source.ended) fds.push_back({source.fd, POLLIN, 0});
    }
    if (fds.empty()) return;
    if (poll(fds.data(), fds.size(), kSilenceMs) <= 0) {
      printf("VIOLATION: nothing was heard of the workers for %d ms\n", kSilenceMs);
      return;
    }
    for (const pollfd& ready : fds) {
      for (Source& source : sources) {
        if (source.fd == ready.fd && ready.revents != 0) source.Read(summary);
      }
    }
  }
}

/// False if anything is left out that must not be.
bool SayWhatIsLeftOut() {
  bool complete = true;
  const auto say = [&](bool can, const char* what) {
    if (!can) printf("left out, as it cannot be made here: %s\n", what);
    complete = complete && can;
  };
  say(Cgroup::CanBeMade(CgroupLimit::kMemory), "memory cgroup");
  say(Cgroup::CanBeMade(CgroupLimit::kProcesses), "pids cgroup");
  say(PidLimit::CanBeMade(), "pid namespace full (Linux 6.14)");
  const char* const require_all = getenv("REQUIRE_ALL");
  return complete || require_all == nullptr || strcmp(require_all, "1") != 0;
}

}  // namespace

bool SweepOptions::Wants(const Scenario& scenario) const {
  if (netlink_only && scenario.classic) return false;
  return scenarios.empty() ||
         ("," + scenarios + ",").find("," + std::string(scenario.name) + ",") != std::string::npos;
}

int Sweep(const SweepOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const int program =
      Must(open(options.program.c_str(), O_PATH | O_CLOEXEC), options.program.c_str());
  const bool all_there = SayWhatIsLeftOut();
  Summary summary(options);
  std::vector<Source> sources;
  std::vector<pid_t> workers;
  for (int i = 0; i < options.jobs; ++i) {
    int ends[2];
    Must(pipe2(ends, O_CLOEXEC), "pipe2");
    workers.push_back(StartWorker([&] {
      close(ends[0]);
      return Worker(options, i, program, ends[1]).Work();
    }));
    close(ends[1]);
    sources.push_back({ends[0], ""});
  }
  ReadAll(sources, summary);
  for (const pid_t worker : workers) {
    kill(worker, SIGKILL);
    waitpid(worker, nullptr, __WALL);
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const bool good = summary.Print(seconds.count());
  if (!all_there) printf("VIOLATION: something is left out, and REQUIRE_ALL is set\n");
  return good && all_there ? 0 : 1;
}

}  // namespace inject
