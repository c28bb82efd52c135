// SPDX-License-Identifier: Apache-2.0
//
// Every system call that the core makes, once each. Each function returns the kernel's answer: a
// number that is not negative, or an errno, negated. All but Close repeat the call on EINTR.
//
// Every descriptor made here is close-on-exec and above 2, even if 0, 1 or 2 were free: output to
// standard error must never arrive in a pipe of ours, and the init process's console goes there.
//
// A test that brings its own definitions at link time has a scripted kernel.

#pragma once

#include "base.h"

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <sys/types.h>
#include <sys/utsname.h>

namespace nsenter::sys {

/// These two numbers identify a file.
struct FileId {
  dev_t device;
  ino_t inode;
};

// Files.
int Open(int directory, const char* path, int flags);
void Close(int fd);
int Read(int fd, void* buffer, std::size_t size);
int Write(int fd, const void* data, std::size_t size);
/// recv(MSG_PEEK): looks at what can be read without taking it. -ENOTSOCK where that cannot be
/// done.
int Peek(int fd, void* buffer, std::size_t size);
/// The events that have occurred, 0 after `timeout_ms` milliseconds.
int Poll(int fd, short events, int timeout_ms);
int StatusFlags(int fd);
/// dup3(2): `to` is not close-on-exec.
int DuplicateTo(int from, int to);
int CloseAllFrom(unsigned first);
int Identify(int directory, const char* path, int flags, FileId* ret_id);
int IdentifyOpen(int fd, FileId* ret_id);
/// The magic number of the file system on which `fd` lies (statfs(2)), or an errno, negated.
int FileSystemType(int fd, long* ret_type);
int ReadLink(const char* path, char* buffer, std::size_t size);
int Pipe(int ret_fds[2]);
int IsTerminal(int fd);
int MakeControllingTerminal(int fd);

// Memory.
/// Fresh, zeroed memory.
int Map(std::size_t size, void** ret_address);
void Unmap(void* address, std::size_t size);

// Namespaces.
int Setns(int fd, int type);
int Unshare(int flags);
/// The CLONE_NEW* constant of the namespace that `fd` refers to; -ENOTTY if it is none.
int NamespaceType(int fd);
int OpenPidfd(pid_t pid);

// Processes.
/// clone(2) without a stack, so that it returns twice, as fork does. `child_tid` is where the
/// kernel stores the child's thread id with CLONE_CHILD_SETTID.
int Clone(unsigned long flags, int* child_tid);
/// clone(2) of a process that runs `function(argument)` on a stack of its own. It begins at
/// `stack_end`, the end of its memory, and grows down, as on every machine we know. For CLONE_VM.
/// The function must not return; it ends in Execute or Exit.
int CloneOnStack(unsigned long flags, int (*function)(void*), void* argument, void* stack_end,
                 int* child_tid);
int Execute(const char* path, char* const argv[], char* const environment[]);
int Wait(pid_t pid, int* ret_status);
[[noreturn]] void Exit(int status);
pid_t ProcessId();
pid_t ParentProcessId();
pid_t ThreadId();
/// Where the kernel clears a word when this thread ends while others use its memory
/// (PR_GET_TID_ADDRESS).
int ThreadIdAddress(int** ret_address);
int SetThreadIdAddress(int* address);
/// The list of mutexes that the kernel releases if this thread dies (get_robust_list(2)).
int RobustList(void** ret_head, std::size_t* ret_size);
int SetRobustList(void* head, std::size_t size);
/// rseq(2): lets the kernel write on which CPU the calling thread runs. -EBUSY if just that is
/// registered already.
int RegisterRestartableSequences(void* area, unsigned size, unsigned signature);
int UnregisterRestartableSequences(void* area, unsigned size, unsigned signature);
/// The stack that handlers of signals run on; `ret_old` may be null, and `stack` too: leave it.
int SetAlternateStack(const stack_t* stack, stack_t* ret_old);
/// prctl(PR_GET_SHADOW_STACK_STATUS): not 0 if the thread has a shadow stack (Linux 6.13; for
/// machines that cannot be asked otherwise).
int ShadowStackStatus();
/// The kernel's release, "6.1.0-13-amd64".
int SystemName(utsname* ret_name);
/// prctl(2): 1 if others with our ids may look at us.
int Dumpable();
int SetDumpable(bool dumpable);
int SetName(const char* name);
int NewSession();
int Affinity(unsigned long* mask, std::size_t size);
/// The kernel's form of a signal's disposition: libc's structure is another. It has room for all
/// that the kernel keeps on any machine that Go has. (libc's function would be one more search for
/// a symbol, see sys_call.h.) The core gives back exactly what it has read, libc's restorer
/// included.
struct SignalAction {
#ifdef __mips__
  unsigned flags = 0;
#endif
  void (*handler)(int) = SIG_DFL;
  unsigned long others[8] = {};
};
/// `ret_old` may be null.
int SetSignalAction(int signal, const SignalAction& action, SignalAction* ret_old);
/// The kernel's set of signals, which is smaller than libc's.
struct SignalSet {
  unsigned long bits[_NSIG / 8 / sizeof(unsigned long)];
};
inline constexpr SignalSet kAllSignals = [] {
  SignalSet all = {};
  for (unsigned long& bits : all.bits) bits = ~0UL;
  return all;
}();
/// Blocks the signals in `mask` and no others; `ret_old` may be null.
int SetSignalMask(const SignalSet& mask, SignalSet* ret_old);
/// Takes `signal`, which is blocked, if it is pending; -EAGAIN if it is not.
int TakeSignal(int signal);

// Credentials.
uid_t EffectiveUserId();
gid_t EffectiveGroupId();
int SetAllUserIds(uid_t uid);
int SetAllGroupIds(gid_t gid);
int DropSupplementaryGroups();

}  // namespace nsenter::sys
