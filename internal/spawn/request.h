// SPDX-License-Identifier: Apache-2.0
//
// What the Go side of this package asks of the C++ side, and what comes of it. cgo reads this as C.

#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Which step has failed.
enum SpawnStep {
  kSpawnDone = 0,
  kSpawnGivenUp,  // the process was killed and is there yet, with this memory
  // The caller.
  kSpawnPrepare,
  kSpawnClone,
  // The program's process. For kSpawnJoin, which can be the caller's too, `detail` is the
  // CLONE_NEW* of those that were refused.
  kSpawnJoin,
  kSpawnCreate,  // `detail` is the CLONE_NEW*
  kSpawnFile,    // `detail` is the number that it was to have
  kSpawnClose,
  kSpawnSession,
  kSpawnTerminal,
  kSpawnRoot,
  kSpawnLimit,  // `detail` is the resource
  kSpawnNoNewPrivileges,
  kSpawnBounding,  // `detail` is the capability
  kSpawnKeep,
  kSpawnGroups,
  kSpawnGid,
  kSpawnUid,
  kSpawnCapabilities,
  kSpawnAmbient,  // `detail` is the capability
  kSpawnDeathSignal,
  kSpawnDirectory,
  kSpawnFilter,
  kSpawnSignals,
  kSpawnLookUp,    // no candidate is there that can be executed; the errno is the last one's
  kSpawnRelative,  // it is there, by a relative entry of PATH
  kSpawnExecute,   // `detail` is the index of the candidate
};

typedef struct {
  int32_t flag;  // CLONE_NEW*
  int32_t fd;
} SpawnJoin;

typedef struct {
  int32_t resource;  // RLIMIT_*
  uint64_t soft;
  uint64_t hard;
} SpawnLimit;

/// Numbers of descriptors are the caller's; -1 is none. Pointers may be null where a count is 0.
typedef struct {
  int32_t target;        // pidfd of a process, some of whose namespaces are joined:
  int32_t target_flags;  // CLONE_NEW*
  int32_t join_count;    // further ones
  int32_t create_flags;  // CLONE_NEW*
  const SpawnJoin* joins;

  int32_t* files;  // by the number that they are to have; -1 where there is to be nothing
  int32_t file_count;
  int32_t starts_session;
  int32_t terminal;   // becomes the controlling terminal of the session: a number of `files`
  int32_t root;       // of a directory
  int32_t directory;  // the working directory, or else its path:
  int32_t sets_umask;
  const char* directory_path;
  uint32_t umask;
  int32_t limit_count;
  const SpawnLimit* limits;
  int32_t no_new_privileges;
  int32_t sets_capabilities;
  uint64_t bounding;
  uint64_t permitted;
  uint64_t effective;
  uint64_t inheritable;
  uint64_t ambient;
  int32_t sets_groups;
  int32_t sets_ids;
  const uint32_t* groups;
  int32_t group_count;
  uint32_t uid;
  uint32_t gid;
  int32_t death_signal;  // 0: none
  int32_t parent;        // who is its parent in its pid namespace, for that
  int32_t filter_count;
  const void* filter;  // sock_filter
  int32_t program;     // executed without a look-up
  int32_t looks_up;    // `candidates` come of PATH: one that is not there is no failure
  const char* const* candidates;
  char* const* arguments;
  char* const* environment;

  char* stack;       // kSpawnStack bytes, aligned to 16
  int32_t gives_up;  // set while the call lasts, after the process was killed: do not wait for it

  // The answer.
  int32_t pidfd;  // of the program's process, open in the caller; -1: there is none
  int32_t pid;
  int32_t running_end;  // what NsenterSpawnFinish waits for
  int32_t is_stranded;  // the calling thread is not back in its pid namespace for children
  int32_t step;         // kSpawnDone: the program runs
  int32_t code;         // errno, or 0
  int32_t detail;       // see SpawnStep
} SpawnRequest;

enum { kSpawnStack = 16 * 1024 };

/// Does it, and returns when the program runs, or will not, and nobody else uses this memory any
/// more. After kSpawnGivenUp that is so when NsenterSpawnFinish returns; until then the request and
/// what it points to have to stay.
void NsenterSpawn(SpawnRequest* request);
void NsenterSpawnFinish(SpawnRequest* request);

/// Why no process can share this program's memory, or "". Go's own race detector is no sanitizer
/// that minds: it has nothing in C and C++ code.
const char* NsenterSpawnReason(int has_race_detector);

/// The soft limit of open files before the Go runtime raised it.
uint64_t NsenterSpawnFirstFileLimit(void);

#ifdef __cplusplus
}
#endif
