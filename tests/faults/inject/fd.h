// SPDX-License-Identifier: Apache-2.0
//
// Owners of descriptors, and what is read in /proc.

#pragma once

#include "world.h"

#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <string>
#include <unistd.h>

namespace inject {

struct Fd {
  int fd = -1;
  Fd() = default;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { Close(); }
  void Close() {
    if (fd >= 0) close(fd);
    fd = -1;
  }
};

struct Pipe {
  Fd read, write;
  Pipe() {
    int ends[2];
    Must(pipe2(ends, O_CLOEXEC), "pipe2");
    read.fd = ends[0];
    write.fd = ends[1];
  }
};

/// Empty if it is no link, or not for us to read.
inline std::string LinkOf(const std::string& path) {
  char link[4096] = "";
  const ssize_t size = readlink(path.c_str(), link, sizeof(link) - 1);
  return size > 0 ? std::string(link, static_cast<std::size_t>(size)) : "";
}

inline std::string ProcOf(pid_t pid, const std::string& name) {
  return "/proc/" + std::to_string(pid) + "/" + name;
}

inline std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// As in /proc/PID/stat; empty if there is no such process.
inline std::string StateLetterOf(pid_t pid) {
  const std::string stat = ReadAll(ProcOf(pid, "stat"));
  const std::size_t end = stat.rfind(')');
  return end == std::string::npos || stat.size() < end + 3 ? "" : stat.substr(end + 2, 1);
}

/// Makes the file if there is none.
inline void WriteTo(const std::string& path, const std::string& text) {
  const int fd =
      Must(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), path.c_str());
  if (write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) Die(path.c_str());
  close(fd);
}

}  // namespace inject
