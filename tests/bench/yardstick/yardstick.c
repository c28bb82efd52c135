// SPDX-License-Identifier: Apache-2.0
//
// The cheapest ways known to do what the scenarios ask for:
//
//   - setns on a pidfd joins all namespaces of a process at once;
//   - the helper that writes id maps, and the init process, share the memory of the launched
//   process, so
//     that nothing is copied and nothing faults again. The init process waits until the launched
//     process has ended, because both run on its stack: a pipe that nobody can write to any more
//     says so (the kernel's word, set_tid_address, says it too early: docs/decisions/0010);
//   - a process cannot enter a new time namespace with memory that it shares: there the init
//   process is a copy (one that is joined is entered at once);
//   - one function of libc for all system calls: each function costs a symbol lookup when first
//   called.
//
// It leaves out: errors, EINTR and short reads; logging; the order of joins, and the reaction to
// one that is refused; the data that a libc with restartable sequences wants restored; anything
// that no scenario needs.

#define _GNU_SOURCE

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

static char message[16384];
static char helper_stack[8192] __attribute__((aligned(64)));
static char init_stack[8192] __attribute__((aligned(64)));

static uint32_t clone_flags;
static char* paths;
static char *uid_map, *gid_map;
static uint32_t uid_map_size, gid_map_size;
static int setgroups_asked;

static void parse(long size) {
  for (char* at = message + 16; at < message + size;) {
    uint16_t length = *(uint16_t*)at;
    char* value = at + 4;
    switch (*(uint16_t*)(at + 2)) {
      case 27281:
        clone_flags = *(uint32_t*)value;
        break;
      case 27282:
        paths = value;
        break;
      case 27283:
        uid_map = value;
        uid_map_size = length - 5u;
        break;
      case 27284:
        gid_map = value;
        gid_map_size = length - 5u;
        break;
      case 27285:
        setgroups_asked = *(int*)value;
        break;
    }
    at += (length + 3) & ~3;
  }
}

static int number(const char** text) {
  int value = 0;
  while (**text >= '0' && **text <= '9') value = value * 10 + *(*text)++ - '0';
  return value;
}

static char* append(char* end, const char* text) {
  while (*text != '\0') *end++ = *text++;
  return end;
}

static char* append_number(char* end, int value) {
  if (value >= 10) end = append_number(end, value / 10);
  *end++ = (char)('0' + value % 10);
  return end;
}

static int flag_of(const char* type) {
  switch (type[0]) {
    case 'c':
      return CLONE_NEWCGROUP;
    case 'i':
      return CLONE_NEWIPC;
    case 'm':
      return CLONE_NEWNS;
    case 'n':
      return CLONE_NEWNET;
    case 'p':
      return CLONE_NEWPID;
    case 't':
      return CLONE_NEWTIME;
    default:
      return type[1] == 's' ? CLONE_NEWUSER : CLONE_NEWUTS;
  }
}

static void join_process(int pid, int flags) {
  long pidfd = syscall(SYS_pidfd_open, pid, 0);
  syscall(SYS_setns, pidfd, flags);
  syscall(SYS_close, pidfd);
}

// One setns for each process, as all paths are /proc/PID/ns/TYPE.
static void join(void) {
  int pids[8], flags[8], count = 0;
  for (const char* at = paths; *at != '\0';) {
    int flag = flag_of(at);
    while (*at < '0' || *at > '9') ++at;
    int pid = number(&at);
    int i = 0;
    while (i < count && pids[i] != pid) ++i;
    if (i == count) {
      pids[count] = pid;
      flags[count++] = 0;
    }
    flags[i] |= flag;
    while (*at != '\0' && *at++ != ',') {
    }
  }
  for (int i = 0; i < count; ++i) join_process(pids[i], flags[i]);
}

static void wait_while(volatile int* word, int value) {
  while (*word == value) syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static void write_map(int pid, const char* name, const char* map, uint32_t size) {
  char path[64];
  *append(append(append_number(append(path, "/proc/"), pid), "/"), name) = '\0';
  long fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
  if (syscall(SYS_write, fd, map, size) < 0) syscall(SYS_exit_group, 1);
  syscall(SYS_close, fd);
}

// The helper writes the maps as soon as there is a user namespace. Its end says that it has.
static volatile int created, helper_lives = 1;
static int launched;

static int helper_main(void* unused) {
  (void)unused;
  wait_while(&created, 0);
  write_map(launched, "uid_map", uid_map, uid_map_size);
  write_map(launched, "gid_map", gid_map, gid_map_size);
  return (int)syscall(SYS_exit_group, 0);
}

static int create_user_namespace(void) {
  launched = (int)syscall(SYS_getpid);
  int helper =
      clone(helper_main, helper_stack + sizeof(helper_stack),
            CLONE_VM | CLONE_PARENT | CLONE_CHILD_CLEARTID, NULL, NULL, NULL, &helper_lives);
  syscall(SYS_unshare, CLONE_NEWUSER);
  created = 1;
  syscall(SYS_futex, &created, FUTEX_WAKE, 1, NULL, NULL, 0);
  wait_while(&helper_lives, 1);
  syscall(SYS_setresuid, 0, 0, 0);
  syscall(SYS_setresgid, 0, 0, 0);
  return helper;
}

static int is_classic;

static void reply_and_leave(int pipe, int stage1, int init) {
  char reply[80];
  char* end = reply;
  if (is_classic) {
    end = append(append_number(append(end, "{ \"pid\" : "), init), " }\n");
  } else {
    end = append(append_number(append(end, "{\"stage1_pid\":"), stage1), ",\"stage2_pid\":");
    end = append(append_number(end, init), "}\n");
  }
  long size = end - reply;
  syscall(SYS_exit_group, syscall(SYS_write, pipe, reply, size) != size);
}

static void become_init(void) {
  syscall(SYS_setsid);
  if (!is_classic) syscall(SYS_prctl, PR_SET_NAME, "runc:[2:INIT]", 0, 0, 0);
}

static int gate[2];
static jmp_buf before_clone;

static void wait_for_launched(void) {
  char byte;
  syscall(SYS_close, gate[1]);
  syscall(SYS_read, gate[0], &byte, 1);
  syscall(SYS_close, gate[0]);
}

static int init_main(void* unused) {
  (void)unused;
  become_init();
  wait_for_launched();
  longjmp(before_clone, 1);
}

// Replies and ends; returns in the init process.
static void succeed(int pipe, int stage1, int share) {
  int* tid = NULL;
  syscall(SYS_prctl, PR_GET_TID_ADDRESS, &tid, 0, 0, 0);
  // The end of the launched process opens the gate.
  syscall(SYS_pipe2, gate, O_CLOEXEC);
  if (share) {
    if (_setjmp(before_clone) != 0) {
      // The kernel has cleared it, for the thread that ended.
      *tid = (int)syscall(SYS_gettid);
      return;
    }
    reply_and_leave(pipe, stage1,
                    clone(init_main, init_stack + sizeof(init_stack),
                          CLONE_VM | CLONE_PARENT | CLONE_CHILD_CLEARTID, NULL, NULL, NULL, tid));
  }
  long init = syscall(SYS_clone, CLONE_PARENT | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID, NULL,
                      NULL, tid, tid);
  if (init != 0) reply_and_leave(pipe, stage1, (int)init);
  become_init();
  wait_for_launched();
}

void bench_yardstick(void) {
  const char* pipe_text = getenv("_LIBCONTAINER_INITPIPE");
  if (pipe_text == NULL) return;
  const char* pid = getenv("_LIBCONTAINER_INITPID");
  int pipe = number(&pipe_text);
  if (pid != NULL) {
    is_classic = 1;
    join_process(number(&pid),
                 CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS);
    succeed(pipe, 0, 1);
    return;
  }
  int stage1 = 0;
  parse(syscall(SYS_read, pipe, message, sizeof(message)));
  if (paths != NULL) {
    syscall(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
    join();
  }
  if (clone_flags & CLONE_NEWUSER) stage1 = create_user_namespace();
  if (clone_flags & ~(uint32_t)CLONE_NEWUSER)
    syscall(SYS_unshare, clone_flags & ~(uint32_t)CLONE_NEWUSER);
  if (setgroups_asked) syscall(SYS_setgroups, 0, NULL);
  if (stage1 == 0) stage1 = 0x7fffffff; /* nobody, docs/protocol.md */
  succeed(pipe, stage1, (clone_flags & CLONE_NEWTIME) == 0);
}
