// SPDX-License-Identifier: Apache-2.0

#include "tracer.h"

#include "fd.h"
#include "mark.h"
#include "world.h"

#include <algorithm>
#include <csignal>
#include <sstream>
#include <sys/ptrace.h>
#include <sys/reg.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#if !defined(__x86_64__)
#error "the injector knows the registers of x86-64 only"
#endif

namespace inject {
namespace {

constexpr long kTraceOptions = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                               PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;

/// Whether it is not the first of its process.
bool IsThread(pid_t pid) {
  std::istringstream status(ReadAll(ProcOf(pid, "status")));
  for (std::string word; status >> word;) {
    if (word == "Tgid:") return status >> word && word != std::to_string(pid);
  }
  return false;
}

}  // namespace

int MsSince(Clock::time_point start) {
  using std::chrono::milliseconds;
  return static_cast<int>(std::chrono::duration_cast<milliseconds>(Clock::now() - start).count());
}

void Tracer::Seize(pid_t launched, const KnownFiles& known) {
  known_ = known;
  Must(static_cast<int>(ptrace(PTRACE_SEIZE, launched, 0, kTraceOptions)), "PTRACE_SEIZE");
  Add(launched, "launched");
}

const Process* Tracer::Find(const std::string& role) const {
  for (const auto& [pid, process] : processes_) {
    if (process.role == role) return &process;
  }
  return nullptr;
}

const Process* Tracer::FindPath(const std::string& path) const {
  for (const auto& [pid, process] : processes_) {
    if (process.path == path) return &process;
  }
  return nullptr;
}

bool Tracer::AllEnded() const {
  return std::all_of(processes_.begin(), processes_.end(),
                     [](const auto& entry) { return entry.second.ended; });
}

Process& Tracer::Add(pid_t pid, const std::string& path) {
  Process& process = processes_[pid];
  if (process.ended) process = {};
  process.pid = pid;
  process.path = path;
  const auto role = roles_.find(path);
  process.role = role == roles_.end() ? path : role->second;
  return process;
}

void Tracer::OnTime() {
  std::erase_if(stopped_, [&](const auto& entry) {
    if (MsSince(entry.second) < kStopMs) return false;
    kill(entry.first, SIGCONT);
    last_fault_ = last_event_ = Clock::now();
    return true;
  });
  AdoptOrphans();
}

/// The kernel can kill a process before it has reported that another one was born.
void Tracer::AdoptOrphans() {
  for (const auto& [pid, process] : processes_) {
    if (!process.ended && !process.waits_for_role) return;  // may still report it
  }
  for (auto& [pid, process] : processes_) {
    if (process.ended) continue;
    process.path = process.role = "orphan";
    process.waits_for_role = false;
    process.counted = true;
    Resume(process);
  }
}

bool Tracer::LetThreadGo(pid_t pid) {
  const auto known = processes_.find(pid);
  if (known != processes_.end() && !known->second.ended && !known->second.path.empty())
    return false;
  if (!IsThread(pid)) return false;
  ptrace(PTRACE_DETACH, pid, 0, 0);
  threads_.erase(pid);
  if (known != processes_.end()) processes_.erase(known);
  return true;
}

void Tracer::OnWait(pid_t pid, int status) {
  last_event_ = Clock::now();
  if (WIFSTOPPED(status) && LetThreadGo(pid)) return;
  if (!WIFSTOPPED(status) && threads_.erase(pid) != 0) return;
  Process& process = processes_[pid];
  // Where numbers are scarce, another process soon has that of one that has ended.
  if (process.ended && WIFSTOPPED(status)) process = {};
  process.pid = pid;
  if (WIFEXITED(status) || WIFSIGNALED(status)) {
    if (process.ended) return;  // an orphan, which we reap too
    process.ended = true;
    stopped_.erase(pid);
    seen_.ended.push_back({process.role, status});
    return;
  }
  if (!WIFSTOPPED(status)) return;
  const int signal = WSTOPSIG(status);
  const int event = status >> 16;
  if (signal == (SIGTRAP | 0x80)) {
    OnCall(process);
  } else if (event == PTRACE_EVENT_STOP) {
    if (process.path.empty()) {
      process.waits_for_role = true;  // its creator's report is still to come
    } else if (signal == SIGTRAP) {
      if (!std::exchange(process.born, true) && process.counted) Look(process, Moment::kBorn);
      Resume(process);
    } else {
      ptrace(PTRACE_LISTEN, pid, 0, 0);  // it is to stay stopped
    }
  } else if (event == PTRACE_EVENT_CLONE || event == PTRACE_EVENT_FORK ||
             event == PTRACE_EVENT_VFORK) {
    unsigned long child = 0;
    ptrace(PTRACE_GETEVENTMSG, pid, 0, &child);
    OnBirth(process, static_cast<pid_t>(child));
    Resume(process);
  } else if (event != 0) {
    if (event == PTRACE_EVENT_EXEC) {
      process.before_exec = !process.counted;
      process.all_calls.clear();
    }
    Resume(process);
  } else {
    Resume(process, signal);
  }
}

void Tracer::OnBirth(Process& creator, pid_t pid) {
  if (!processes_.contains(pid) && IsThread(pid)) {
    threads_.insert(pid);  // until it has stopped
    return;
  }
  Process& child = Add(pid, creator.path + "/" + std::to_string(++creator.children));
  child.counted = true;
  if (child.waits_for_role) {
    child.waits_for_role = false;
    child.born = true;
    Look(child, Moment::kBorn);
    Resume(child);
  }
}

void Tracer::Resume(const Process& process, int signal) {
  ptrace(process.done ? PTRACE_CONT : PTRACE_SYSCALL, process.pid, 0, static_cast<long>(signal));
}

void Tracer::OnCall(Process& process) {
  __ptrace_syscall_info info = {};
  // Fails if it has just been killed.
  if (ptrace(PTRACE_GET_SYSCALL_INFO, process.pid, sizeof(info), &info) < 0) return;
  if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
    Call call;
    call.number = info.entry.nr;
    std::copy(std::begin(info.entry.args), std::end(info.entry.args), std::begin(call.arguments));
    if (call.number == SYS_prctl && call.arguments[0] == kMark) {
      OnMark(process, call.arguments[1]);
    } else {
      OnEntry(process, call);
    }
  } else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
    OnExit(process);
  }
  Resume(process);
}

void Tracer::OnMark(Process& process, unsigned long what) {
  ++process.all_calls["prctl"];
  if (what == kBegins) {
    process.counted = true;
    process.born = true;
    began_ = last_fault_ = Clock::now();
    Look(process, Moment::kBegins);
    return;
  }
  Look(process, Moment::kReturned);
  process.done = true;
  // Where the tree of processes is another one than without the fault, it is the init process too.
  if (!roles_.empty()) process.role = "init";
  process.now.clear();
  seen_.returned_in = process.path;
  ptrace(PTRACE_SETOPTIONS, process.pid, 0, PTRACE_O_EXITKILL);
}

void Tracer::OnEntry(Process& process, const Call& call) {
  const std::string name = Describe(process.pid, call, known_);
  const int nth_of_name = ++process.all_calls[name.substr(0, name.find('('))];
  if (!process.counted) return;
  process.now = name;
  process.ends = EndsProcess(call);
  ++process.calls;
  ++process.calls_of_name[name];
  seen_.calls.push_back({.process = process.role,
                         .index = process.calls,
                         .name = name,
                         .transfer = TransferSize(call),
                         .before_exec = process.before_exec,
                         .ends_process = EndsProcess(call),
                         .nth_of_name = nth_of_name});
  if (const Fault* const fault = Due(process, name)) Begin(process, *fault, call);
}

/// The fault that is to be made now, or null.
const Fault* Tracer::Due(const Process& process, const std::string& name) const {
  for (std::size_t i = 0; i < plan_.faults.size(); ++i) {
    const Fault& fault = plan_.faults[i];
    if (!begun_.contains(&fault) && IsDue(fault, static_cast<int>(i), process, name)) return &fault;
  }
  return nullptr;
}

bool Tracer::IsDue(const Fault& fault, int number, const Process& process,
                   const std::string& name) const {
  const bool counts_on = fault.process == "next";
  if (counts_on && seen_.delivered < number) return false;
  if (process.role != (counts_on ? faulted_.role : fault.process)) return false;
  int count = process.calls;
  int before = faulted_.calls;
  if (!fault.name.empty()) {
    if (fault.name != name) return false;
    count = process.calls_of_name.at(name);
    const auto found = faulted_.calls_of_name.find(name);
    before = found == faulted_.calls_of_name.end() ? 0 : found->second;
  }
  return (counts_on ? count - before : count) == fault.call;
}

void Tracer::Begin(Process& process, const Fault& fault, const Call& call) {
  process.fault = &fault;
  begun_.insert(&fault);
  switch (fault.kind) {
    case Fault::Kind::kErrno:
    case Fault::Kind::kSkip:
      // A close that fails has closed.
      if (call.number != SYS_close) {
        ptrace(PTRACE_POKEUSER, process.pid, sizeof(long) * ORIG_RAX, -1L);
      }
      break;
    case Fault::Kind::kShort:
      process.old_size = call.arguments[2];
      ptrace(PTRACE_POKEUSER, process.pid, sizeof(long) * RDX, 1L);
      break;
    case Fault::Kind::kStop:
      kill(process.pid, SIGSTOP);
      stopped_[process.pid] = Clock::now();
      Delivered(process, fault);
      process.fault = nullptr;
      break;
    case Fault::Kind::kKill:
    case Fault::Kind::kTerm:
    case Fault::Kind::kParentDies:
      // There is no end of this call to wait for.
      if (EndsProcess(call)) OnExit(process);
      break;
  }
}

void Tracer::OnExit(Process& process) {
  MakeFault(process);
  if (process.counted && !process.now.empty()) Look(process, Moment::kCallDone);
}

void Tracer::Look(const Process& process, Moment moment) {
  if (!look_) return;
  look_(process, moment);
  // That took our time, and not that of the processes, which stood still meanwhile.
  last_event_ = Clock::now();
}

void Tracer::StepAside(const Process& process, const std::function<void()>& meanwhile) {
  const auto wait_until_stopped = [&] {
    for (int i = 0; StateLetterOf(process.pid) != "T"; ++i) {
      if (i == 20000) Die("a process that is no longer traced does not stop");
      usleep(100);
    }
  };
  // The signal is taken before the process is back in its program.
  kill(process.pid, SIGSTOP);
  ptrace(PTRACE_DETACH, process.pid, 0, 0);
  wait_until_stopped();
  meanwhile();
  wait_until_stopped();
  Must(static_cast<int>(ptrace(PTRACE_SEIZE, process.pid, 0, kTraceOptions)), "PTRACE_SEIZE");
  int status = 0;
  Must(waitpid(process.pid, &status, __WALL), "waitpid");
  if (!WIFSTOPPED(status)) Die("a process that was stopped has ended");
  kill(process.pid, SIGCONT);
}

void Tracer::HaveMade(const Process& process, long number, long first, long second) {
  user_regs_struct saved = {};
  Must(static_cast<int>(ptrace(PTRACE_GETREGS, process.pid, 0, &saved)), "PTRACE_GETREGS");
  user_regs_struct call = saved;
  call.rip -= 2;  // the length of the instruction that it has just executed
  call.orig_rax = ~0ULL;
  call.rax = static_cast<unsigned long long>(number);
  call.rdi = static_cast<unsigned long long>(first);
  call.rsi = static_cast<unsigned long long>(second);
  call.rdx = call.r10 = call.r8 = 0;
  Must(static_cast<int>(ptrace(PTRACE_SETREGS, process.pid, 0, &call)), "PTRACE_SETREGS");
  for (int i = 0; i < 2; ++i) {
    Must(static_cast<int>(ptrace(PTRACE_SYSCALL, process.pid, 0, 0)), "PTRACE_SYSCALL");
    int status = 0;
    Must(waitpid(process.pid, &status, __WALL), "waitpid");
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != (SIGTRAP | 0x80)) {
      Die("a call that a process was to make");
    }
  }
  Must(static_cast<int>(ptrace(PTRACE_SETREGS, process.pid, 0, &saved)), "PTRACE_SETREGS");
}

void Tracer::MakeFault(Process& process) {
  const Fault* const fault = std::exchange(process.fault, nullptr);
  if (fault == nullptr) return;
  switch (fault->kind) {
    case Fault::Kind::kErrno:
    case Fault::Kind::kSkip:
      ptrace(PTRACE_POKEUSER, process.pid, sizeof(long) * RAX, static_cast<long>(-fault->error));
      break;
    case Fault::Kind::kShort:
      ptrace(PTRACE_POKEUSER, process.pid, sizeof(long) * RDX, process.old_size);
      break;
    case Fault::Kind::kKill:
      kill(process.pid, SIGKILL);
      break;
    case Fault::Kind::kTerm:
      kill(process.pid, SIGTERM);
      break;
    case Fault::Kind::kParentDies:
      kill_parent_();
      break;
    case Fault::Kind::kStop:
      break;
  }
  Delivered(process, *fault);
}

void Tracer::Delivered(const Process& process, const Fault& fault) {
  ++seen_.delivered;
  seen_.delivered_faults.push_back(fault);
  seen_.delivered_names.push_back(process.now);
  faulted_ = process;
  last_fault_ = Clock::now();
}

}  // namespace inject
