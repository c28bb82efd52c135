// SPDX-License-Identifier: Apache-2.0
//
// What is left out: looking at an error, EINTR, or a short read; logging; the order of joins and
// what to do if one is refused; anything a scenario does not need.

#define _GNU_SOURCE

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

#ifndef YARDSTICK_SHARES_MEMORY
#define YARDSTICK_SHARES_MEMORY 1
#endif

static char message[16384];
static char helper_stack[8192] __attribute__((aligned(64)));
static char init_stack[8192] __attribute__((aligned(64)));

static uint32_t clone_flags;
static char* paths;
static char *uid_map, *gid_map;
static uint32_t uid_map_size, gid_map_size;
static int setgroups_asked;

static void parse(ssize_t size) {
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
  int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  setns(pidfd, flags);
  close(pidfd);
}

// One setns for each process, as the paths are all /proc/PID/ns/TYPE.
static int join(void) {
  int pids[8], flags[8], count = 0, all = 0;
  for (char* entry = paths; entry != NULL; entry = strchr(entry, ',')) {
    if (*entry == ',') ++entry;
    int flag = flag_of(entry);
    int pid = atoi(strstr(entry, "/proc/") + 6);
    int i = 0;
    while (i < count && pids[i] != pid) ++i;
    if (i == count) {
      pids[count] = pid;
      flags[count++] = 0;
    }
    flags[i] |= flag;
    all |= flag;
  }
  // All pidfds would have to be opened before the first join if /proc were not the caller's; pids
  // are looked up in our own pid namespace, which joining does not change.
  for (int i = 0; i < count; ++i) join_process(pids[i], flags[i]);
  return all;
}

static int* cached_tid(void) {
  int* address = NULL;
  prctl(PR_GET_TID_ADDRESS, &address, 0, 0, 0);
  return address;
}

static void write_map(const char* name, int pid, const char* map, uint32_t size) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (write(fd, map, size) < 0) _exit(1);
  close(fd);
}

// The helper writes the maps, while we wait. It shares our memory, so that nothing has to be
// copied.
static volatile int created, written;
static int launched;

static void futex_wait(volatile int* word, int value) {
  while (*word == value) syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static void futex_set(volatile int* word) {
  *word = 1;
  syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static int helper_main(void* unused) {
  (void)unused;
  futex_wait(&created, 0);
  write_map("uid_map", launched, uid_map, uid_map_size);
  write_map("gid_map", launched, gid_map, gid_map_size);
  futex_set(&written);
  return 0;
}

static int create_user_namespace(void) {
  launched = getpid();
  int helper =
      clone(helper_main, helper_stack + sizeof(helper_stack), CLONE_VM | CLONE_PARENT, NULL);
  unshare(CLONE_NEWUSER);
  futex_set(&created);
  futex_wait(&written, 0);
  syscall(SYS_setresuid, 0, 0, 0);
  syscall(SYS_setresgid, 0, 0, 0);
  return helper;
}

static void reply_and_leave(int pipe, const char* format, int stage1, int init) {
  char reply[80];
  int size = strstr(format, "stage") != NULL ? snprintf(reply, sizeof(reply), format, stage1, init)
                                             : snprintf(reply, sizeof(reply), format, init);
  _exit(write(pipe, reply, (size_t)size) != size);
}

static void become_init(int classic) {
  setsid();
  if (!classic) prctl(PR_SET_NAME, "runc:[2:INIT]", 0, 0, 0);
}

// The init process goes on in the memory of the launched process, when that has ended: first on a
// stack of its own, then on the one it came from.
static volatile int launched_lives = 1;
static int is_classic;
static jmp_buf before_clone;

static int shared_init_main(void* unused) {
  (void)unused;
  become_init(is_classic);
  futex_wait(&launched_lives, 1);
  longjmp(before_clone, 1);
}

void bench_yardstick(void) {
  const char* pid = getenv("_LIBCONTAINER_INITPID");
  const char* pipe_text = getenv("_LIBCONTAINER_INITPIPE");
  if (pipe_text == NULL) return;
  int pipe = atoi(pipe_text);
  int stage1 = 0;
  const char* format = "{\"stage1_pid\":%d,\"stage2_pid\":%d}\n";
  int new_time = 0;
  if (pid != NULL) {
    is_classic = 1;
    format = "{ \"pid\" : %d }\n";
    join_process(atoi(pid),
                 CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS);
  } else {
    parse(read(pipe, message, sizeof(message)));
    if (paths != NULL) {
      prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
      new_time = join() & CLONE_NEWTIME;
    }
    if (clone_flags & CLONE_NEWUSER) stage1 = create_user_namespace();
    if (clone_flags & ~CLONE_NEWUSER) unshare((int)(clone_flags & ~CLONE_NEWUSER));
    if (setgroups_asked) syscall(SYS_setgroups, 0, NULL);
    new_time |= clone_flags & CLONE_NEWTIME;
    if (stage1 == 0) stage1 = getppid();
  }

  int* tid = cached_tid();
  // A process does not enter a time namespace with memory that it shares (clone(2)).
  if (!new_time && YARDSTICK_SHARES_MEMORY) {
    syscall(SYS_set_tid_address, &launched_lives);
    if (setjmp(before_clone) != 0) {
      syscall(SYS_set_tid_address, tid);
      return;
    }
    int init = clone(shared_init_main, init_stack + sizeof(init_stack),
                     CLONE_VM | CLONE_PARENT | CLONE_CHILD_SETTID, NULL, NULL, NULL, tid);
    reply_and_leave(pipe, format, stage1, init);
  }
  int gate[2];
  pipe2(gate, O_CLOEXEC);
  int init = (int)syscall(SYS_clone, CLONE_PARENT | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID, NULL,
                          NULL, tid, NULL);
  if (init != 0) {
    // The end of the launched process closes the gate, which opens it.
    reply_and_leave(pipe, format, stage1, init);
  }
  char byte;
  close(gate[1]);
  become_init(is_classic);
  (void)!read(gate[0], &byte, 1);
  close(gate[0]);
}
