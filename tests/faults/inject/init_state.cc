// SPDX-License-Identifier: Apache-2.0

#include "init_state.h"

#include "fd.h"

#include <algorithm>

namespace inject {
namespace {

constexpr const char* kNamespaces[] = {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"};
constexpr const char* kFromStatus[] = {"Name",   "Uid",    "Gid",    "Groups",
                                       "SigBlk", "SigIgn", "CapInh", "CapPrm",
                                       "CapEff", "CapBnd", "CapAmb", "NoNewPrivs"};
constexpr const char* kFiles[] = {"oom_score_adj", "uid_map", "gid_map", "setgroups",
                                  "timens_offsets"};

std::string Namespaces(pid_t init, pid_t fixture) {
  std::string state;
  for (const std::string type : kNamespaces) {
    const std::string theirs = LinkOf(ProcOf(init, "ns/" + type));
    const bool own = theirs == LinkOf(ProcOf(getpid(), "ns/" + type));
    const bool joined = theirs == LinkOf(ProcOf(fixture, "ns/" + type));
    state += type + (own ? ":own " : joined ? ":joined " : ":new ");
  }
  return state;
}

std::string Status(pid_t init) {
  std::string state;
  std::istringstream status(ReadAll(ProcOf(init, "status")));
  for (std::string line; std::getline(status, line);) {
    for (const std::string key : kFromStatus) {
      if (line.rfind(key + ":", 0) == 0) state += line + " ";
    }
    if (line.rfind("NSpid:", 0) == 0) {
      state += "levels:" + std::to_string(std::count(line.begin(), line.end(), '\t')) + " ";
    }
  }
  std::replace(state.begin(), state.end(), '\t', ' ');
  return state;
}

std::string Files(pid_t init) {
  std::string state;
  for (const std::string file : kFiles) {
    std::istringstream words(ReadAll(ProcOf(init, file)));
    state += file + ":";
    for (std::string word; words >> word;) state += word + " ";
  }
  return state;
}

std::string Family(pid_t init, const Surroundings& surroundings) {
  // The name is in parentheses; behind it: state, parent, group, session, terminal.
  const std::string stat = ReadAll(ProcOf(init, "stat"));
  std::istringstream fields(stat.substr(stat.rfind(')') + 1));
  std::string letter;
  long parent = 0, group = 0, session = 0, terminal = 0;
  fields >> letter >> parent >> group >> session >> terminal;
  return std::string("parent:") +
         (parent == surroundings.parent ? "right"
          : surroundings.parent_ended   ? "died"
                                        : "wrong") +
         " session:" + (session == init ? "leader" : "none") +
         " terminal:" + (terminal != 0 ? "yes" : "no");
}

std::string Descriptors(pid_t init, const KnownFiles& known) {
  std::string state = " fds:";
  for (int fd = 0; fd < 64; ++fd) {
    const std::string file = LinkOf(ProcOf(init, "fd/" + std::to_string(fd)));
    if (file.empty()) continue;
    state += " " + std::to_string(fd) + "=" +
             (file == known.initpipe  ? "initpipe"
              : file == known.log     ? "log"
              : file == known.output  ? "stdout"
              : file == known.errors  ? "stderr"
              : file == known.console ? "console"
              : file == "/dev/null"   ? "null"
                                      : "other");
  }
  return state;
}

}  // namespace

std::string StateOf(pid_t init, const Surroundings& surroundings) {
  return Namespaces(init, surroundings.fixture) + Status(init) + Files(init) +
         Family(init, surroundings) + Descriptors(init, surroundings.known);
}

}  // namespace inject
