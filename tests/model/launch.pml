/* SPDX-License-Identifier: Apache-2.0
 *
 * A launch, from the first byte of the message to the init process as a Go program: the waits, the ends of pipes that
 * each process holds, the stacks, and the processes that are left when any of them dies or stops. spin looks at all
 * interleavings. tests/model/README.md has the properties, the assumptions, and the reasons for the kernel's order.
 *
 *   SHARED     the init process shares the launched process's memory; else it has a copy
 *   HELPER     id maps are written from outside, by a helper with a copy of the memory
 *   HELPER_SHARED  the same, and the helper shares the memory
 *   EXEC       the parent waits for the launched process first, and then reads the reply; else the other way round
 *   THREADS    the program has threads when it is launched: a copy of it, with one thread, does the work
 *   DESCRIPTORS_MAY_BE_LEFT  not looked at: what the init process holds when it goes on
 *   PLANT_...  a planted defect, see `planted` in tests/model/run
 *
 * The steps in the code: tests/model/run demands that each step has a row, that each row has a step, and that the
 * file has such a function.
 *
 * MAP parent_sends                     internal/launch/launch.go: sendMessage
 * MAP parent_reads                     internal/launch/reply.go: readReply
 * MAP parent_waits_helper              internal/launch/launch.go: waitStage1
 * MAP parent_waits_launched            internal/launch/launch.go: waitLaunched
 * MAP parent_has_it                    nsenter/parent/start.go: Start
 * MAP parent_reaps_launched            internal/launch/launch.go: Undo
 * MAP parent_reaps_init                internal/launch/launch.go: Undo
 * MAP original_reads_message           cpp/message_reader.cc: MessageReader::ReadFrom
 * MAP original_clones_copy             cpp/working_copy.cc: WorkingCopy::MakeIfThreads
 * MAP original_closes_copys_end        cpp/working_copy.cc: WorkingCopy::MakeIfThreads
 * MAP original_waits_for_copy          cpp/working_copy.cc: EndAsTheCopyDoes
 * MAP copy_closes_originals_end        cpp/working_copy.cc: WorkingCopy::MakeIfThreads
 * MAP copy_reaps_helper                cpp/helper.cc: Helper::WriteMaps
 * MAP copy_looks_for_original          cpp/working_copy.cc: WorkingCopy::RequireLaunchedProcess
 * MAP copy_finishes                    cpp/working_copy.cc: WorkingCopy::Finish
 * MAP launched_reads_message           cpp/message_reader.cc: MessageReader::ReadFrom
 * MAP launched_clones_helper           cpp/helper.cc: Helper::Start
 * MAP launched_closes_helpers_end      cpp/helper.cc: Helper::Start
 * MAP launched_requests                cpp/helper.cc: Helper::WriteMaps
 * MAP launched_reads_answer            cpp/helper.cc: Helper::WriteMaps
 * MAP launched_waits_for_helpers_end   cpp/helper.cc: Helper::WriteMaps
 * MAP launched_closes_own_ends         cpp/launched_process.cc: EnterNamespaces
 * MAP launched_clones_init             cpp/hand_over.cc: BecomeInitProcess
 * MAP launched_replies                 cpp/reply.cc: WriteAll
 * MAP launched_replies_rest            cpp/reply.cc: WriteAll
 * MAP launched_reports                 cpp/hand_over.cc: CloneAndLeave
 * MAP launched_tells                   cpp/hand_over.cc: HandOverCopy
 * MAP launched_leaves                  cpp/hand_over.cc: Leave
 * MAP helper_closes_launcheds_end      cpp/helper.cc: RunHelper
 * MAP helper_reads_request             cpp/helper.cc: Serve
 * MAP helper_writes_maps               cpp/id_map_writer.cc: WriteIdMaps
 * MAP helper_waits_for_tool            cpp/mapping_tool.cc: RunMappingTool
 * MAP helper_answers                   cpp/helper.cc: Serve
 * MAP tool_closes_all                  cpp/mapping_tool.cc: BecomeTool
 * MAP tool_executes                    cpp/mapping_tool.cc: BecomeTool
 * MAP tool_works                       cpp/mapping_tool.cc: BecomeTool
 * MAP init_closes_writer               cpp/hand_over.cc: WaitForTheLaunchedProcess
 * MAP init_waits_for_end               cpp/hand_over.cc: WaitForTheLaunchedProcess
 * MAP init_takes_frame                 cpp/hand_over.cc: CloneAndLeave
 * MAP init_gives_up_writer             cpp/hand_over.cc: HandOverCopy
 * MAP init_waits_for_word              cpp/hand_over.cc: HandOverCopy
 * MAP init_starts_session              cpp/init_process.cc: StartSession
 * MAP init_discards_hangup             cpp/signals.cc: BlockedSignals::DropHangUp
 * MAP init_unblocks_signals            cpp/signals.cc: BlockedSignals::Restore
 * MAP init_closes_reader               cpp/hand_over.cc: BecomeInitProcess
 * MAP init_closes_copys_ends           cpp/nsexec.cc: nsexec
 * MAP init_is_go_program               cpp/nsexec.cc: nsexec
 */

#ifdef HELPER_SHARED
#define HELPER
#endif

/* Processes, one bit each. */
#define L 1  /* the launched process; with THREADS the copy, which does its work */
#define O 2  /* with THREADS: the original, the process that the parent has started */
#define H 4  /* the helper */
#define T 8  /* the mapping tool, a child of the helper */
#define I 16 /* the init process */
#define P 32 /* the parent */

#ifdef THREADS
#define STARTED O
#else
#define STARTED L
#endif

/* ---- What the kernel knows. */

byte created = P | STARTED;
byte exiting;    /* has begun to exit, and takes no further step of its own */
byte ended;      /* a zombie: its parent can see it */
byte status_ok;  /* has ended, or is going to, with status 0 */

/* Descriptors: who holds this end. An end is closed when nobody does. */
byte pipe_c = STARTED;    /* INITPIPE, the children's end; the parent's end is parent_end */
bool parent_end = true;
byte g_r; byte g_w;       /* between launched process and init process */
byte r_r; byte r_w;       /* request, to the helper */
byte a_r; byte a_w;       /* answer, from the helper */
byte t_r; byte t_w;       /* result, from the copy to the original */
byte u_r; byte u_w;       /* nothing is sent: the copy learns of the original's end */

/* What is in them. */
bool message;   /* INITPIPE, to the launched process */
byte reply;     /* INITPIPE, to the parent: halves of the reply, so that it can be cut off */
bool g_word;    /* 'r' */
bool r_word;    /* 'w' */
byte a_word;    /* 'm' or 'f' */
#define DONE 1
#define FAILED 2
bool t_word;    /* 'r' */

/* Who stands on which stack, of the one memory that they share. */
byte on_frame = L;   /* the launched process's own stack */
byte on_static;      /* the static one */
bool reported;       /* a variable: the reply is written */
bool maps_written;   /* another */

/* Signals. The process that was started may lead a session with a terminal: then its end sends SIGHUP to its group. */
bool hup_sent;
bool hup_pending;    /* in the init process */
bool blocked_init;
bool own_session;    /* the init process has one */

/* ---- What happens to them. */

bool quiet;      /* no more faults: who still waits now, waits for ever */
bool faulted;    /* something has been killed, or has failed */
byte doomed;     /* killed, but does not know it yet */
byte stopped;    /* the one process that is stopped */
bool may_stop = true;

/* ---- What the properties speak of. */

bool had_reply;   /* the parent has read all of it */
bool parent_done; /* and is content */
bool go;          /* the init process runs as a Go program */

#define LIVES(who) ((created & (who)) && !(exiting & (who)))

/* A step: waits for a condition, and does something, unless the process is killed or stopped before. */
#define FAULTS(label, me) \
  :: atomic { (doomed & me) -> DIE(me) } \
  :: atomic { !quiet && !(doomed & me) && stopped != me -> faulted = true; DIE(me) } \
  :: atomic { !quiet && !(doomed & me) && may_stop -> may_stop = false; stopped = me; goto label }
#define STEP(label, me, condition, ...) \
  label: \
  if \
  :: atomic { !(doomed & me) && stopped != me && (condition) -> __VA_ARGS__ } \
  FAULTS(label, me) \
  fi
#define DIE(me) exiting = exiting | me; goto gone
#define EXIT_0(me) status_ok = status_ok | me; DIE(me)
#define CLOSE(end, me) end = end & ~(me)
#define OPEN(end, me) end = end | (me)
#define INHERIT(end, from, to) end = end | ((end & from) -> to : 0)

/* do_exit: first exit_mm. Then the descriptors, in any order (a last close may be put off until exit_task_work), and SIGHUP
 * (disassociate_ctty) before, after or in between. Last exit_notify. Steps that nobody can see are done at once. One closes
 * an end that another process holds as well: a process that waits for the end waits for that one, and may be slow after it.
 * The other closes a reading end: nobody waits for that. */
#define LET_GO(me) on_frame = on_frame & ~(me); on_static = on_static & ~(me)
#define CLOSE_READERS(me) CLOSE(g_r, me); CLOSE(r_r, me); CLOSE(a_r, me); CLOSE(t_r, me); CLOSE(u_r, me)
#define CLOSE_COPY(end, me) end = ((end & ~(me)) -> end & ~(me) : end)
#define CLOSE_COPIES(me) \
  CLOSE_COPY(pipe_c, me); CLOSE_COPY(g_w, me); CLOSE_COPY(r_w, me); CLOSE_COPY(a_w, me); \
  CLOSE_COPY(t_w, me); CLOSE_COPY(u_w, me)
#define CLOSING(end, me) :: atomic { (end & me) -> CLOSE(end, me) }
#ifdef PLANT_DESCRIPTORS_BEFORE_MEMORY
#define EXIT_MM(me) atomic { CLOSE_READERS(me); CLOSE_COPIES(me) }
#define LATE_EXIT_MM(me) atomic { LET_GO(me) }
#else
#define EXIT_MM(me) atomic { LET_GO(me); CLOSE_READERS(me); CLOSE_COPIES(me) }
#define LATE_EXIT_MM(me)
#endif
/* exit_notify, with what nobody will look at any more, so that states which differ in nothing else are one. */
#define EXIT_NOTIFY(me, ...) atomic { ended = ended | me; doomed = doomed & ~(me); __VA_ARGS__ }

/* To the group of the process that was started. It ends the copy, and may end the tool, as any fault does; the helper and the
 * init process have it blocked. That it ends a copy is no fault: nobody may need that by then. */
inline SendHup() {
  if
  :: LIVES(I) && !own_session -> assert(blocked_init /* SIGHUP does not end the init process */); hup_pending = true
  :: else
  fi
#ifdef THREADS
  ;
  if
  :: LIVES(L) -> doomed = doomed | L
  :: else
  fi
#endif
}
/* Without a terminal nothing else happens than with one, but for hup_pending. */
#define HANGING_UP :: atomic { !hup_sent -> hup_sent = true; SendHup() }

/* ---- The parent. */

active proctype Parent() {
  STEP(parent_sends, P, true, message = true);

#ifdef EXEC
  STEP(parent_waits_launched, P, ended & STARTED,
    if
    :: (status_ok & STARTED)
    :: else -> goto parent_gives_up
    fi);
  STEP(parent_reads, P, reply == 2 || pipe_c == 0,
    assert(reply >= 2 /* after status 0 there is a reply */);
    had_reply = true);
#else
  STEP(parent_reads, P, reply == 2 || pipe_c == 0,
    if
    :: reply == 2 -> had_reply = true
    :: else -> goto parent_reaps_launched
    fi);
#endif

  /* A: the helper, or the copy, or nobody. */
#ifdef THREADS
  STEP(parent_waits_helper, P, ended & L, skip);
#else
#ifdef HELPER
  STEP(parent_waits_helper, P, ended & H, skip);
#endif
#endif

#ifndef EXEC
  STEP(parent_waits_launched, P, ended & STARTED,
    if
    :: (status_ok & STARTED)
    :: else -> goto parent_gives_up
    fi);
#endif
  parent_done = true;
  STEP(parent_has_it, P, false, skip);

#ifndef EXEC
  /* End of file on INITPIPE. */
  STEP(parent_reaps_launched, P, ended & STARTED, skip);
#endif

parent_gives_up:
#ifdef EXEC
  skip; /* it has not read the reply, and knows nobody whom it could kill */
#else
  if
  :: atomic { had_reply -> doomed = doomed | (I & ~exiting); faulted = true }
     STEP(parent_reaps_init, P, ended & I, skip)
  :: else
  fi;
#endif
  exiting = exiting | P;

gone:
  parent_end = false;
  EXIT_NOTIFY(P, skip)
}

/* ---- The original, which has threads. */

#ifdef THREADS
active proctype Original() {
  STEP(original_reads_message, O, message || !parent_end,
    if
    :: message -> message = false
    :: else -> DIE(O)
    fi);
  STEP(original_clones_copy, O, true,
    OPEN(t_r, O); OPEN(t_w, O); OPEN(u_r, O); OPEN(u_w, O);
    created = created | L;
    INHERIT(t_r, O, L); INHERIT(t_w, O, L); INHERIT(u_r, O, L); INHERIT(u_w, O, L); INHERIT(pipe_c, O, L));
#ifndef PLANT_ORIGINAL_KEEPS_COPYS_END
  STEP(original_closes_copys_end, O, true, CLOSE(t_w, O));
#endif
#ifdef PLANT_ORIGINAL_DOES_NOT_WAIT
  EXIT_0(O);
#endif
  STEP(original_waits_for_copy, O, t_word || t_w == 0,
    if
    :: t_word -> t_word = false; EXIT_0(O)
#ifdef PLANT_ORIGINAL_TAKES_END_FOR_WORD
    :: else -> EXIT_0(O)
#else
    :: else -> DIE(O) /* the copy has said why it failed, or we say that it has ended */
#endif
    fi);

gone:
  EXIT_MM(O);
  do
  CLOSING(t_w, O)
  CLOSING(u_w, O)
  CLOSING(pipe_c, O)
  HANGING_UP
  :: else -> break
  od;
  LATE_EXIT_MM(O);
  EXIT_NOTIFY(O, message = false; t_word = false)
}
#endif

/* ---- The launched process, or the copy that does its work. */

active proctype Launched() {
#ifdef THREADS
  atomic { (created & L) };
  STEP(copy_closes_originals_end, L, true, CLOSE(u_w, L));
#else
  STEP(launched_reads_message, L, message || !parent_end,
    if
    :: message -> message = false
    :: else -> DIE(L)
    fi);
#endif

#ifdef HELPER
  STEP(launched_clones_helper, L, true,
    OPEN(r_r, L); OPEN(r_w, L); OPEN(a_r, L); OPEN(a_w, L);
    created = created | H;
    INHERIT(r_r, L, H); INHERIT(r_w, L, H); INHERIT(a_r, L, H); INHERIT(a_w, L, H);
    INHERIT(pipe_c, L, H); INHERIT(t_r, L, H); INHERIT(t_w, L, H); INHERIT(u_r, L, H);
#ifdef HELPER_SHARED
    on_static = on_static | H
#else
    skip
#endif
    );
#ifndef PLANT_LAUNCHED_KEEPS_ANSWER_WRITER
  STEP(launched_closes_helpers_end, L, true, CLOSE(a_w, L));
#endif
  STEP(launched_requests, L, true, r_word = true); /* it has the other end too: no EPIPE */
#ifdef HELPER_SHARED
  /* A word is a failure. Success is the end, and what the helper has left in memory. */
#ifdef PLANT_LAUNCHED_DOES_NOT_WAIT_FOR_HELPERS_END
  STEP(launched_reads_answer, L, a_word != 0 || a_w == 0 || maps_written, skip);
#else
  STEP(launched_reads_answer, L, a_word != 0 || a_w == 0, skip);
  STEP(launched_waits_for_helpers_end, L, a_w == 0, skip);
#endif
  atomic {
    if
    :: a_word == FAILED -> DIE(L) /* it has said why */
#ifndef PLANT_LAUNCHED_TAKES_END_FOR_MAPS
    :: a_word == 0 && !maps_written -> DIE(L) /* it has ended without a word, and we say so */
#endif
    :: else
    fi
  };
  assert(!(on_static & (H | T)) /* nobody uses our stack frames any more */);
#else
  STEP(launched_reads_answer, L, a_word != 0 || a_w == 0,
    if
    :: a_word == DONE -> a_word = 0
    :: a_word == FAILED -> DIE(L) /* it has said why */
    :: else -> DIE(L) /* it has ended without a word, and we say so */
    fi);
#endif
#ifdef THREADS
  STEP(copy_reaps_helper, L, ended & H, skip);
#endif
#ifndef PLANT_LAUNCHED_KEEPS_HELPER_PIPES
  STEP(launched_closes_own_ends, L, true, CLOSE(r_r, L); CLOSE(r_w, L); CLOSE(a_r, L));
#endif
#endif

  STEP(launched_clones_init, L, true,
    OPEN(g_r, L); OPEN(g_w, L);
#ifndef PLANT_SIGNALS_NOT_BLOCKED
    blocked_init = true;
#endif
    created = created | I;
    INHERIT(g_r, L, I); INHERIT(g_w, L, I); INHERIT(pipe_c, L, I);
    INHERIT(r_r, L, I); INHERIT(r_w, L, I); INHERIT(a_r, L, I); INHERIT(a_w, L, I);
    INHERIT(t_r, L, I); INHERIT(t_w, L, I); INHERIT(u_r, L, I); INHERIT(u_w, L, I);
#ifdef SHARED
    assert(on_static == 0 /* init process: the static stack is free */);
    on_static = on_static | I
#else
    skip
#endif
    );
#ifdef PLANT_REPORTED_BEFORE_REPLY
#ifdef SHARED
  reported = true;
#else
  g_word = true;
#endif
#endif
#ifdef THREADS
  STEP(copy_looks_for_original, L, true,
    if
    :: u_w == 0 -> DIE(L)
    :: else
    fi);
#ifdef PLANT_COPY_FINISHES_BEFORE_REPLY
  t_word = true;
#endif
#endif
  STEP(launched_replies, L, true,
    if
    :: parent_end -> reply = 1
    :: else -> DIE(L)
    fi);
  STEP(launched_replies_rest, L, true,
    if
    :: parent_end -> reply = 2
    :: else -> DIE(L)
    fi);
#ifdef PLANT_COPY_FINISHES_BEFORE_REPORT
  t_word = true;
#endif
#ifdef SHARED
  STEP(launched_reports, L, true, reported = true);
#ifdef PLANT_LAUNCHED_CLOSES_PIPE
  g_w = g_w & ~L;
#endif
#else
  STEP(launched_tells, L, true, g_word = true); /* it has the other end too: no EPIPE */
#endif
#ifdef THREADS
  STEP(copy_finishes, L, true,
    if
    :: t_r & O -> t_word = true
    :: else /* nobody receives any more */
    fi);
#endif
  STEP(launched_leaves, L, true, EXIT_0(L));

gone:
  EXIT_MM(L);
  do
  CLOSING(pipe_c, L)
  CLOSING(g_w, L)
#ifdef HELPER
  CLOSING(r_w, L)
  CLOSING(a_w, L)
#endif
#ifdef THREADS
  CLOSING(t_w, L)
  CLOSING(u_w, L)
#else
  HANGING_UP
#endif
  :: else -> break
  od;
  LATE_EXIT_MM(L);
  EXIT_NOTIFY(L, message = false; a_word = 0)
}

/* ---- The helper, and the mapping tool. */

#ifdef HELPER
active proctype Helper() {
  byte answer;
  atomic { (created & H) };
#ifndef PLANT_HELPER_KEEPS_REQUEST_WRITER
  STEP(helper_closes_launcheds_end, H, true, CLOSE(r_w, H));
#endif
  STEP(helper_reads_request, H, r_word || r_w == 0,
    if
    :: r_word -> r_word = false
    :: else -> DIE(H)
    fi);
  STEP(helper_writes_maps, H, true,
    if
    :: answer = DONE; goto helper_answers
    :: faulted = true; answer = FAILED; goto helper_answers
    :: created = created | T;
       INHERIT(r_r, H, T); INHERIT(r_w, H, T); INHERIT(a_w, H, T); INHERIT(a_r, H, T);
       INHERIT(pipe_c, H, T); INHERIT(t_r, H, T); INHERIT(t_w, H, T); INHERIT(u_r, H, T);
#ifdef PLANT_MAPS_WRITTEN_BEFORE_TOOL_HAS_ENDED
       maps_written = true;
#endif
#ifdef HELPER_SHARED
       on_static = on_static | T
#endif
    fi);
  STEP(helper_waits_for_tool, H, ended & T,
    if
    :: (status_ok & T) -> answer = DONE
    :: else -> answer = FAILED
    fi);
  STEP(helper_answers, H, true,
#ifdef HELPER_SHARED
    if
    :: answer == DONE -> maps_written = true
    :: else -> a_word = FAILED
    fi;
#else
    a_word = answer;
#endif
    DIE(H));

gone:
  answer = 0;
  EXIT_MM(H);
  do
  CLOSING(pipe_c, H)
  CLOSING(r_w, H)
  CLOSING(a_w, H)
#ifdef THREADS
  CLOSING(t_w, H)
#endif
  :: else -> break
  od;
  LATE_EXIT_MM(H);
  EXIT_NOTIFY(H, r_word = false)
}

/* It closes everything while it still stands in the memory that it shares, and lets go of that when it executes. */
active proctype Tool() {
  atomic { (created & T) };
  STEP(tool_closes_all, T, true,
    CLOSE_READERS(T); CLOSE(r_w, T); CLOSE(a_w, T); CLOSE(pipe_c, T); CLOSE(t_w, T));
  STEP(tool_executes, T, true, on_static = on_static & ~T);
  STEP(tool_works, T, true, EXIT_0(T));

gone:
  EXIT_MM(T);
  do
  CLOSING(pipe_c, T)
  CLOSING(r_w, T)
  CLOSING(a_w, T)
#ifdef THREADS
  CLOSING(t_w, T)
#endif
  :: else -> break
  od;
  LATE_EXIT_MM(T);
  EXIT_NOTIFY(T, skip)
}
#endif

/* ---- The init process. */

active proctype Init() {
  atomic { (created & I) };
#ifdef SHARED
#ifndef PLANT_INIT_KEEPS_WRITER
  STEP(init_closes_writer, I, true, CLOSE(g_w, I));
#endif
#ifdef PLANT_NO_PIPE
  STEP(init_waits_for_end, I, reported || (ended & L),
#else
  STEP(init_waits_for_end, I, g_w == 0,
#endif
#ifdef PLANT_INIT_DOES_NOT_LOOK_AT_REPORTED
    skip);
#else
    if
    :: reported
    :: else -> DIE(I)
    fi);
#endif
  STEP(init_takes_frame, I, true,
    on_static = on_static & ~I;
    assert(on_frame == 0 /* the launched process has let go of its stack */);
    on_frame = on_frame | I);
#else
#ifndef PLANT_INIT_KEEPS_WRITER
  STEP(init_gives_up_writer, I, true, CLOSE(g_w, I));
#endif
  STEP(init_waits_for_word, I, g_word || g_w == 0,
    if
    :: g_word -> g_word = false
#ifdef PLANT_INIT_TAKES_END_FOR_WORD
    :: else
#else
    :: else -> DIE(I)
#endif
    fi);
#endif
  assert(reply == 2 /* the init process goes on when the reply is written */);
#ifdef PLANT_SIGNALS_DISCARDED_BEFORE_SESSION
  hup_pending = false;
#endif
  STEP(init_starts_session, I, true, own_session = true);
#ifndef PLANT_SIGNALS_NOT_DISCARDED
#ifndef PLANT_SIGNALS_DISCARDED_BEFORE_SESSION
  STEP(init_discards_hangup, I, true, hup_pending = false);
#endif
#endif
  STEP(init_unblocks_signals, I, true,
    blocked_init = false;
    assert(!hup_pending /* SIGHUP ends the init process */));
  STEP(init_closes_reader, I, true, CLOSE(g_r, I));
#ifdef THREADS
#ifndef PLANT_INIT_KEEPS_COPYS_ENDS
  STEP(init_closes_copys_ends, I, true, CLOSE(t_r, I); CLOSE(t_w, I); CLOSE(u_r, I));
#endif
#endif
  atomic {
#ifndef DESCRIPTORS_MAY_BE_LEFT
    assert(!((g_r | g_w | r_r | r_w | a_r | a_w | t_r | t_w | u_r | u_w) & I) /* no descriptor of ours is left */);
#endif
    go = true
  };
  /* INITPIPE has ended: the Go side does the same. */
  STEP(init_is_go_program, I, !parent_end, DIE(I));

gone:
  EXIT_MM(I);
  do
  CLOSING(pipe_c, I)
  CLOSING(g_w, I)
#ifdef HELPER
  CLOSING(r_w, I)
  CLOSING(a_w, I)
#endif
#ifdef THREADS
  CLOSING(t_w, I)
#endif
  :: else -> break
  od;
  LATE_EXIT_MM(I);
  EXIT_NOTIFY(I,
    hup_pending = false; own_session = false; blocked_init = false; reported = false; g_word = false)
}

/* ---- Who looks at the end. */

/* From some moment on nobody is killed any more. */
active proctype Quiet() { quiet = true }

/* When nobody can do anything. */
active proctype Watcher() {
  do
  :: atomic { timeout && stopped != 0 -> stopped = 0 /* is continued */ }
  :: atomic { timeout && stopped != 0 && !(ended & P) ->
       doomed = doomed | stopped; faulted = true; stopped = 0 /* the parent kills it */ }
  :: atomic { timeout && stopped != 0 && (ended & P) -> break /* stays so, and nobody minds */ }
  :: atomic { timeout && stopped == 0 -> break }
  od;
  atomic {
    if
    :: stopped == 0 ->
       assert(!(created & ~ended & ~(P | I)) /* nobody waits for ever, and nobody is left */);
       assert((ended & P) || parent_done /* the parent has an answer */);
       assert(!(created & ~ended & I) || (go && parent_done && had_reply && parent_end)
              /* an init process is one that the parent knows and has */);
       assert(faulted || (go && !(exiting & I) && parent_done) /* without a fault the launch succeeds */)
    :: else
    fi
  }
}
