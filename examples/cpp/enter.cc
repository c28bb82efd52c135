// SPDX-License-Identifier: Apache-2.0
//
// Usage: enter PID QUESTION
//
// Says what a process sees that it is in all namespaces of process PID: its own pid, the host name,
// and how many network interfaces there are. The program starts itself once more; nsexec() puts
// that process where it is to be, and it answers the question that it is asked through INITPIPE.

#include <cstdlib>
#include <iostream>
#include <net/if.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nsexec.h"
#include "nsexec/parent.h"

namespace parent = nsenter::parent;

namespace {

// What runs inside.
int Answer() {
  const char* const initpipe = std::getenv("_LIBCONTAINER_INITPIPE");
  char question[100] = {};
  if (initpipe == nullptr) return 1;
  const int pipe = static_cast<int>(std::strtol(initpipe, nullptr, 10));
  if (read(pipe, question, sizeof(question) - 1) < 0) return 1;
  char name[100] = {};
  gethostname(name, sizeof(name) - 1);
  int interfaces = 0;
  struct if_nameindex* const list = if_nameindex();
  while (list != nullptr && list[interfaces].if_index != 0) ++interfaces;
  std::cout << question << " pid " << getpid() << ", host " << name << ", " << interfaces
            << " interfaces\n";
  return 0;
}

bool IsShared(const std::string& a, const std::string& b) {
  struct stat first = {};
  struct stat second = {};
  return stat(a.c_str(), &first) == 0 && stat(b.c_str(), &second) == 0 &&
         first.st_ino == second.st_ino;
}

// All namespaces of the process that we are not in already.
std::vector<parent::Join> NamespacesOf(const std::string& pid) {
  std::vector<parent::Join> joins;
  for (const auto& [kind, name] : {std::pair{parent::kCgroup, "cgroup"},
                                   {parent::kIpc, "ipc"},
                                   {parent::kMount, "mnt"},
                                   {parent::kNet, "net"},
                                   {parent::kPid, "pid"},
                                   {parent::kTime, "time"},
                                   {parent::kUser, "user"},
                                   {parent::kUts, "uts"}}) {
    const std::string path = "/proc/" + pid + "/ns/" + name;
    if (!IsShared(path, std::string("/proc/self/ns/") + name)) joins.push_back({kind, path});
  }
  return joins;
}

int Ask(const std::string& pid, const std::string& question) {
  parent::Command command;
  command.path = "/proc/self/exe";
  command.args = {"enter"};
  command.env = {"ENTER_INSIDE=1"};
  command.dir = "/";
  command.standard_output = STDOUT_FILENO;
  command.standard_error = STDERR_FILENO;
  command.message.join = NamespacesOf(pid);
  command.message.rootless = geteuid() != 0;
  auto process = command.Start();
  if (!process) {
    std::cerr << "enter: " << process.error().text << '\n';
    return 1;
  }
  send(process->conn().get(), question.data(), question.size(), MSG_NOSIGNAL);
  const auto status = process->Wait();
  if (!status) std::cerr << "enter: " << status.error().text << '\n';
  return status && *status == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  nsexec();  // before there is a second thread; at once, if nobody has launched us
  if (std::getenv("ENTER_INSIDE") != nullptr) return Answer();
  if (argc != 3) {
    std::cerr << "usage: enter PID QUESTION\n";
    return 2;
  }
  return Ask(argv[1], argv[2]);
}
