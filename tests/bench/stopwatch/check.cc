// SPDX-License-Identifier: Apache-2.0

#include "check.h"

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

namespace bench {
namespace {

ino_t NamespaceOf(const std::string& process, const char* type) {
  struct stat status = {};
  const std::string path = "/proc/" + process + "/ns/" + type;
  Must(stat(path.c_str(), &status), path.c_str());
  return status.st_ino;
}

void Expect(bool holds, const Scenario& scenario, const char* label, const std::string& what) {
  if (!holds) Die("%s: the init process of %s: %s", scenario.name, label, what.c_str());
}

}  // namespace

void Die(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::fputs("stopwatch: ", stderr);
  std::vfprintf(stderr, format, arguments);
  std::fputc('\n', stderr);
  va_end(arguments);
  std::exit(1);
}

long Must(long result, const char* what) {
  if (result < 0) Die("%s: %s", what, std::strerror(errno));
  return result;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) Die("cannot open %s", path.c_str());
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string StatusOf(const std::string& status, const std::string& name) {
  const std::size_t start = status.find("\n" + name + ":\t");
  if (start == std::string::npos) Die("/proc/PID/status has no %s", name.c_str());
  const std::size_t value = start + name.size() + 3;
  return status.substr(value, status.find('\n', value) - value);
}

nsenter::test::Reply ParseReply(const Scenario& scenario, const std::string& text) {
  const nsenter::test::Reply reply = nsenter::test::ParseReply(text, scenario.classic);
  if (!reply.whole || reply.init <= 0 || reply.stage1 <= 0 || reply.init == reply.stage1) {
    Die("%s: unexpected reply: %s", scenario.name, text.c_str());
  }
  return reply;
}

void CheckInitProcess(const Scenario& scenario, const char* label, pid_t init,
                      const pid_t* targets) {
  const std::string pid = std::to_string(init);
  // It may still be on its way into the Go program: the reply comes before that.
  const auto has_arrived = [&] {
    return getsid(init) == init &&
           (scenario.classic || ReadFile("/proc/" + pid + "/comm") == "runc:[2:INIT]\n");
  };
  for (int patience = 5000; patience > 0 && !has_arrived(); --patience) usleep(1000);
  Expect(has_arrived(), scenario, label, "leads no session or has another name");
  for (int i = 0; i < kNamespaceTypes; ++i) {
    const NamespaceType& type = NamespaceTypes()[i];
    const ino_t actual = NamespaceOf(pid, type.name);
    const ino_t ours = NamespaceOf("self", type.name);
    const int target = scenario.TargetOf(type.name);
    if (target >= 0) {
      Expect(actual == NamespaceOf(std::to_string(targets[target]), type.name), scenario, label,
             std::string("has not joined ") + type.name);
    } else if ((scenario.clone_flags & type.clone_flag) != 0) {
      bool fresh = actual != ours;
      for (int t = 0; t < kTargets; ++t) {
        fresh = fresh && actual != NamespaceOf(std::to_string(targets[t]), type.name);
      }
      Expect(fresh, scenario, label, std::string("has no new ") + type.name);
    } else {
      Expect(actual == ours, scenario, label, std::string("has left ") + type.name);
    }
  }

  const std::string status = ReadFile("/proc/" + pid + "/status");
  const bool user = scenario.map_lines != 0;
  const std::string id = std::to_string(user ? kFirstIdOutside : 0U);
  const std::string ids = id + '\t' + id + '\t' + id + '\t' + id;
  Expect(StatusOf(status, "Uid") == ids, scenario, label, "has uids " + StatusOf(status, "Uid"));
  Expect(StatusOf(status, "Gid") == ids, scenario, label, "has gids " + StatusOf(status, "Gid"));
  Expect(std::stoi(StatusOf(status, "PPid")) == getpid(), scenario, label, "is not our child");
  if (user) {
    for (const char* file : {"uid_map", "gid_map"}) {
      std::string map = ReadFile("/proc/" + pid + '/' + file);
      std::string expected;
      // The kernel aligns the columns.
      for (int i = 0; i < scenario.map_lines; ++i) {
        char line[64];
        std::snprintf(line, sizeof(line), "%10d %10u %10d\n", i,
                      kFirstIdOutside + 2 * static_cast<unsigned>(i), 1);
        expected += line;
      }
      Expect(map == expected, scenario, label, std::string("has ") + file + ' ' + map);
    }
    Expect(StatusOf(status, "Groups").find_first_of("0123456789") == std::string::npos, scenario,
           label, "has groups " + StatusOf(status, "Groups"));
  }
}

}  // namespace bench
