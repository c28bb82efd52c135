// SPDX-License-Identifier: Apache-2.0
//
// Keeps the counters of an instrumented program in a file that all its processes map, so that no
// process has to flush them: its counts are there however it ends (_exit, execve, SIGKILL), with
// any ids, and even if it can open no file by then. Linked into every program of
// tests/tools/coverage, with counters.ld, which puts the counters into pages of their own.
//
// With COVERAGE_WRITE in its environment a program only writes the content of the file named there,
// the way the compiler's runtime does it.

#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the names are theirs
extern "C" {
extern char nsexec_counters_begin[];
extern char nsexec_counters_end[];
#ifdef __clang__
// Defined here, it keeps the runtime from writing a file whenever a process ends.
int __llvm_profile_runtime = 0;
int __llvm_profile_write_file();
void __llvm_profile_set_filename(const char* name);
#else
void __gcov_dump();
// What every instrumented object calls when a process ends, by the linker's --wrap.
void __wrap___gcov_exit() {}
#endif
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

namespace {

[[noreturn]] void Die(const std::string& what) {
  const std::string line = "coverage: " + what + "\n";
  (void)!write(STDERR_FILENO, line.data(), line.size());
  abort();
}

/// COVERAGE_FOLDER/NAME: by its name in /proc, which is what was built, whatever argv says.
std::string PathOfCounters() {
  char link[4096];
  const ssize_t size = readlink("/proc/self/exe", link, sizeof(link));
  if (size <= 0) Die("cannot read /proc/self/exe");
  const std::string program(link, static_cast<std::size_t>(size));
  return std::string(COVERAGE_FOLDER) + "/" + program.substr(program.rfind('/') + 1);
}

[[gnu::constructor(101)]] void MapCounters() {
  const char* const to_write = getenv("COVERAGE_WRITE");
  const std::string path = to_write != nullptr ? to_write : PathOfCounters();
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) Die("cannot open " + path);
  (void)fchmod(fd, 0666);  // others come as somebody else
  const auto size = static_cast<std::size_t>(nsexec_counters_end - nsexec_counters_begin);
  if (ftruncate(fd, static_cast<off_t>(size)) != 0) Die("cannot resize " + path);
  if (mmap(nsexec_counters_begin, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
      MAP_FAILED) {
    Die("cannot map " + path);
  }
  close(fd);
  if (to_write == nullptr) return;
#ifdef __clang__
  __llvm_profile_set_filename((path + ".profraw").c_str());
  if (__llvm_profile_write_file() != 0) Die("cannot write " + path + ".profraw");
#else
  __gcov_dump();
#endif
  _exit(0);
}

}  // namespace
