// SPDX-License-Identifier: Apache-2.0

#include "observe.h"

#include "check.h"
#include "pipes.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <linux/kcmp.h>
#include <set>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bench {
namespace {

std::string InProc(pid_t pid, const char* name) {
  return "/proc/" + std::to_string(pid) + '/' + name;
}

bool ShareMemory(pid_t one, pid_t other) {
  return Must(syscall(SYS_kcmp, one, other, KCMP_VM, 0, 0), "kcmp") == 0;
}

/// Of those that live, in KiB.
long PageTablesOf(const std::set<pid_t>& processes) {
  long sum = 0;
  std::set<pid_t> counted;
  for (const pid_t pid : processes) {
    std::ifstream file(InProc(pid, "status"));
    const std::string status{std::istreambuf_iterator<char>(file), {}};
    if (status.find("\nVmPTE:") == std::string::npos) continue;  // it has ended
    const bool shares = std::any_of(counted.begin(), counted.end(),
                                    [&](pid_t other) { return ShareMemory(pid, other); });
    if (!shares) sum += std::stol(StatusOf(status, "VmPTE"));
    counted.insert(pid);
  }
  return sum;
}

bool IsThread(pid_t pid) {
  return std::stoi(StatusOf(ReadFile(InProc(pid, "status")), "Tgid")) != pid;
}

}  // namespace

long PageTables(const Scenario& scenario, const Contestant& contestant, const pid_t* targets) {
  const Pipes pipes = MakePipes(scenario);
  SendMessage(scenario, targets, pipes.init);
  const Program program(scenario, contestant.paths[0].c_str(), targets);
  alarm(30);
  const pid_t launched = fork();
  Must(launched, "fork");
  if (launched == 0) {
    Must(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr), "ptrace");
    program.Execute();
  }
  close(kInitPipe);
  if (scenario.log) close(kLogPipe);
  Must(shutdown(pipes.init, SHUT_WR), "shutdown");

  long most = 0;
  std::set<pid_t> processes;
  for (;;) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, __WALL);
    if (pid < 0 && errno == ECHILD) break;
    Must(pid, "waitpid");
    if (!WIFSTOPPED(status)) {
      processes.erase(pid);
      if (status != 0)
        Die("%s: %s ended with status 0x%x", scenario.name, contestant.label, status);
      continue;
    }
    const int signal = WSTOPSIG(status);
    const int event = status >> 16;
    long passed_on = 0;
    if (processes.empty() && pid == launched) {  // it has executed the program
      const long follow =
          PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;
      Must(ptrace(PTRACE_SETOPTIONS, pid, nullptr, follow), "ptrace");
      processes.insert(pid);
    } else if (event != 0) {
      unsigned long created = 0;
      Must(ptrace(PTRACE_GETEVENTMSG, pid, nullptr, &created), "ptrace");
      const auto child = static_cast<pid_t>(created);
      if (!IsThread(child)) {  // those are Go's
        processes.insert(child);
        most = std::max(most, PageTablesOf(processes));
      }
    } else if (signal != SIGSTOP) {  // with which whoever is created begins
      passed_on = signal;
    }
    ptrace(PTRACE_CONT, pid, nullptr, passed_on);  // unless it has been killed meanwhile
  }
  alarm(0);
  close(pipes.init);
  if (scenario.log) close(pipes.log);
  return most;
}

bool StartsIn(const std::string& cgroup, const Scenario& scenario, const Contestant& contestant,
              const pid_t* targets) {
  const Pipes pipes = MakePipes(scenario);
  const Program program(scenario, contestant.paths[0].c_str(), targets);
  alarm(30);
  const pid_t launched = vfork();
  if (launched == 0) program.Execute();
  Must(launched, "vfork");
  close(kInitPipe);
  if (scenario.log) close(kLogPipe);

  // Until it waits for the message.
  const auto waits = [&] {
    const std::string call = ReadFile(InProc(launched, "syscall"));
    const auto is = [&](long number) {
      return call.rfind(std::to_string(number) + " 0x" + std::to_string(kInitPipe) + ' ', 0) == 0;
    };
    return is(SYS_recvfrom) || is(SYS_read);
  };
  for (int patience = 5000; patience > 0 && !waits(); --patience) usleep(1000);
  if (!waits()) Die("%s: %s does not wait for a message", scenario.name, contestant.label);
  std::ofstream(cgroup + "/cgroup.procs") << launched << std::flush;
  SendMessage(scenario, targets, pipes.init);
  const std::string reply = ReadLine(pipes.init);
  shutdown(pipes.init, SHUT_WR);

  bool started = !reply.empty();
  for (;;) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, __WALL);
    if (pid < 0 && errno == ECHILD) break;
    Must(pid, "waitpid");
    if (status != 0) started = false;
  }
  alarm(0);
  close(pipes.init);
  if (scenario.log) close(pipes.log);
  return started;
}

}  // namespace bench
