// SPDX-License-Identifier: Apache-2.0
//
// Starts a program as a later kernel would, one with more in struct rseq than any has so far: libc
// (glibc 2.41 and newer) then registers more than 32 bytes for restartable sequences, as
// AT_RSEQ_FEATURE_SIZE tells it to. The kernel takes that: it asks for 32 bytes or more.
//
//   later_kernel PROGRAM [ARGUMENT...]

#include <cstdio>
#include <elf.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

// Newer than the headers this may be compiled with.
constexpr unsigned long kRseqFeatureSize = 27;
constexpr unsigned long kRseqAlign = 28;
// What linux/rseq.h had in 6.18, and more than one new member.
constexpr unsigned long kLaterSize = 44;
constexpr unsigned long kLaterAlign = 64;

/// A word of the process that is traced.
unsigned long Peek(pid_t pid, unsigned long address) {
  return static_cast<unsigned long>(ptrace(PTRACE_PEEKDATA, pid, address, nullptr));
}

int Fail(const char* what) {
  std::perror(what);
  return 125;
}

}  // namespace

int main(int, char* argv[]) {
  const pid_t pid = fork();
  if (pid < 0) return Fail("fork");
  if (pid == 0) {
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0) execv(argv[1], argv + 1);
    return Fail(argv[1]);
  }
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) return Fail("waitpid");
  if (!WIFSTOPPED(status)) return 125;

  // At the first instruction the stack has: argc, argv and a null, environment and a null, the
  // auxiliary vector.
  user_regs_struct registers = {};
  if (ptrace(PTRACE_GETREGS, pid, nullptr, &registers) != 0) return Fail("PTRACE_GETREGS");
  constexpr unsigned long kWord = sizeof(unsigned long);
  unsigned long address = registers.rsp;
  address += (Peek(pid, address) + 2) * kWord;
  while (Peek(pid, address) != 0) address += kWord;
  address += kWord;
  for (; Peek(pid, address) != AT_NULL; address += 2 * kWord) {
    const unsigned long type = Peek(pid, address);
    if (type != kRseqFeatureSize && type != kRseqAlign) continue;
    const unsigned long value = type == kRseqAlign ? kLaterAlign : kLaterSize;
    if (ptrace(PTRACE_POKEDATA, pid, address + kWord, value) != 0) return Fail("PTRACE_POKEDATA");
  }

  if (ptrace(PTRACE_DETACH, pid, nullptr, nullptr) != 0) return Fail("PTRACE_DETACH");
  if (waitpid(pid, &status, 0) != pid) return Fail("waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
