// SPDX-License-Identifier: Apache-2.0

#include "launch.h"

#include "check.h"
#include "pipes.h"

#include <cerrno>
#include <csignal>
#include <ctime>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace bench {
namespace {

std::int64_t Now() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * std::int64_t{1000000000} + now.tv_nsec;
}

void Add(Sample& sample, const rusage& usage) {
  ++sample.processes;
  sample.cpu_us += (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * std::int64_t{1000000} +
                   usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
  sample.faults += usage.ru_minflt;
  sample.major_faults += usage.ru_majflt;
  sample.voluntary_switches += usage.ru_nvcsw;
  sample.involuntary_switches += usage.ru_nivcsw;
  sample.peak_kb += usage.ru_maxrss;
}

}  // namespace

Program::Program(const Scenario& scenario, const char* path, const pid_t* targets)
    : path_(path), variables_(Environment(scenario, targets, kInitPipe, kLogPipe)) {
  for (const std::string& variable : variables_) {
    environment_.push_back(const_cast<char*>(variable.c_str()));
  }
  environment_.push_back(nullptr);
}

void Program::Execute() const {
  char* const arguments[] = {const_cast<char*>(path_), nullptr};
  execve(path_, arguments, environment_.data());
  _exit(127);
}

void SendMessage(const Scenario& scenario, const pid_t* targets, int pipe) {
  const std::string message = BootstrapMessage(scenario, targets);
  if (message.empty()) return;
  const ssize_t sent = write(pipe, message.data(), message.size());
  if (sent != static_cast<ssize_t>(message.size())) Die("the message does not fit into a socket");
}

std::string ReadLine(int fd) {
  char buffer[256];
  std::size_t size = 0;
  while (size < sizeof(buffer) && (size == 0 || buffer[size - 1] != '\n')) {
    const ssize_t got = read(fd, buffer + size, sizeof(buffer) - size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    size += static_cast<std::size_t>(got);
  }
  return {buffer, size};
}

Sample Launch(const Scenario& scenario, const Contestant& contestant, std::size_t layout,
              const pid_t* targets, bool check) {
  const Pipes pipes = MakePipes(scenario);
  SendMessage(scenario, targets, pipes.init);
  const Program program(scenario, contestant.paths[layout].c_str(), targets);

  // A launch that hangs ends us, and the process group with us.
  alarm(30);
  Sample sample;
  const std::int64_t start = Now();
  const pid_t launched = vfork();
  if (launched == 0) program.Execute();
  Must(launched, "vfork");
  close(kInitPipe);
  if (scenario.log) close(kLogPipe);
  std::string reply;
  if (scenario.asks && contestant.answer != Answer::kNone) {
    reply = ReadLine(pipes.init);
    sample.reply_ns = Now() - start;
  }

  if (check && scenario.asks && contestant.answer == Answer::kReply) {
    const nsenter::test::Reply parsed = ParseReply(scenario, reply);
    // Only when the launched process has ended it is clear that it had nothing to complain about.
    int status = 0;
    rusage usage = {};
    Must(wait4(launched, &status, 0, &usage), "wait4");
    if (status != 0) Die("%s: %s ended with status %d", scenario.name, contestant.label, status);
    Add(sample, usage);
    CheckInitProcess(scenario, contestant.label, parsed.init, targets);
  }

  Must(shutdown(pipes.init, SHUT_WR), "shutdown");
  for (;;) {
    int status = 0;
    rusage usage = {};
    const pid_t pid = wait4(-1, &status, __WALL, &usage);
    if (pid < 0 && errno == ECHILD) break;
    Must(pid, "wait4");
    if (status != 0) {
      Die("%s: a process of %s ended with status 0x%x", scenario.name, contestant.label,
          static_cast<unsigned>(status));
    }
    Add(sample, usage);
  }
  sample.total_ns = Now() - start;
  alarm(0);

  if (!reply.empty() && contestant.answer == Answer::kReply) ParseReply(scenario, reply);
  if (reply.empty() && scenario.asks && contestant.answer != Answer::kNone) {
    Die("%s: no reply from %s", scenario.name, contestant.label);
  }
  close(pipes.init);
  if (scenario.log) close(pipes.log);
  return sample;
}

}  // namespace bench
