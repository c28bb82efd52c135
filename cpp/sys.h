// SPDX-License-Identifier: Apache-2.0
//
// Every system call the core makes, once each, and nothing else. Each returns what the kernel does:
// a number that is not negative, or an errno, negated. All but Close are made again on EINTR.
//
// Every descriptor made here is close-on-exec and above 2, even if 0, 1 or 2 were free: what is
// written to standard error must never arrive in a pipe of ours, and the init process's console
// goes there.
//
// This is the link-time seam: a test that brings its own definitions has a scripted kernel.

#pragma once

#include "base.h"

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <sys/types.h>

namespace nsenter::sys {

/// What tells two files apart.
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
/// The magic number of the file system that `fd` lies on (statfs(2)), as an errno or 0.
int FileSystemType(int fd, long* ret_type);
int ReadLink(const char* path, char* buffer, std::size_t size);
int Pipe(int ret_fds[2]);
int SocketPair(int ret_fds[2]);
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
/// False where a process that shares our memory could not later go on in our place: in a program
/// with a sanitizer, which keeps track of one stack; with a shadow stack, which belongs to one; or
/// if this was compiled with headers that do not tell how libc registers restartable sequences.
bool CanShareMemory();
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
/// Where the kernel clears the thread id when this thread ends (PR_GET_TID_ADDRESS).
int ThreadIdAddress(int** ret_address);
int SetThreadIdAddress(int* address);
/// The list of mutexes that the kernel releases if this thread dies (get_robust_list(2)).
int RobustList(void** ret_head, std::size_t* ret_size);
int SetRobustList(void* head, std::size_t size);
/// libc lets the kernel write into its memory on which CPU a thread runs (rseq(2)). A process that
/// shares memory starts without that; this registers it again if libc had it registered.
int RestoreRestartableSequences();
/// Sleeps while `*word` is `value` (futex(2)); -EAGAIN if it is not. Woken by the
/// kernel too, when it clears a thread id at `word`.
int WaitWhile(const int* word, int value);
/// prctl(2): 1 if others with our ids may look at us.
int Dumpable();
int SetDumpable(bool dumpable);
int SetName(const char* name);
int NewSession();
int Affinity(unsigned long* mask, std::size_t size);
int SetSignalAction(int signal, const struct sigaction* action, struct sigaction* ret_old);

// Credentials.
uid_t EffectiveUserId();
gid_t EffectiveGroupId();
int SetAllUserIds(uid_t uid);
int SetAllGroupIds(gid_t gid);
int DropSupplementaryGroups();

}  // namespace nsenter::sys
