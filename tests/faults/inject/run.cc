// SPDX-License-Identifier: Apache-2.0

#include "run.h"

#include "../../unit/message.h"
#include "init_state.h"
#include "launch.h"
#include "said.h"
#include "tracer.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <poll.h>
#include <set>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <utility>
#include <vector>

namespace inject {
namespace {

constexpr const char* kDocument = "{\"to\":\"the Go side\"}\n";
constexpr const char* kReturned = "nsexec returned\n";
constexpr const char* kDumpable = "it is dumpable\n";
// Where nothing has happened for so long, and nobody waits for a processor, everybody hangs:
// nothing that nsexec or the parent here wait for takes longer than 300 ms. A busy machine makes
// things slow, but not so; and there is an end to that too.
constexpr int kStillMs = 1500;
constexpr int kStillRounds = 3;
constexpr int kStillUnderStraceMs = 10000;
constexpr int kLongestMs = 20000;
// How long a parent that does not read makes the others wait.
constexpr int kSlowParentMs = 150;

/// One case: the parent's part, the injector's eyes, and the clock.
class Case {
 public:
  Case(const Plan& plan, const World& world, const Roles& roles, int program, const Looker& look)
      : plan_(plan),
        world_(world),
        fixture_(world.Find(plan.scenario->fixture)),
        launch_(plan, fixture_, program),
        tracer_(plan, roles, seen_, [this] { KillParent(); }) {
    if (!look) return;
    tracer_.LookWith([this, look](const Process& process, Moment moment) {
      look({tracer_, process, moment, launch_.known()});
    });
  }

  Observation Run() {
    launch_.Start();
    if (traced()) tracer_.Seize(launch_.launched(), launch_.known());
    launch_.Go();
    start_ = Clock::now();
    WatchToTheEnd();
    EndAll();
    ReadWhatIsLeft();
    Conclude();
    return std::move(seen_);
  }

 private:
  [[nodiscard]] bool traced() const { return plan_.strace.empty() && !plan_.untraced; }

  void WatchToTheEnd() {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, nullptr);
    Fd signals;
    signals.fd = Must(signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd");
    while (!Over()) {
      bool moved = Reap();
      moved = ReadEverything() || moved;
      PlayParent();
      tracer_.OnTime();
      if (!moved) Sleep(signals.fd);
    }
    if (!settled_) Settle();
  }

  bool Reap() {
    bool any = false;
    for (;;) {
      int status = 0;
      const pid_t pid = waitpid(-1, &status, WNOHANG | __WALL);
      if (pid <= 0) return any;
      any = true;
      if (pid == launch_.parent()) {
        parent_ended_ = true;
      } else if (traced()) {
        tracer_.OnWait(pid, status);
      }
    }
  }

  void Sleep(int signals) {
    std::vector<pollfd> fds = {{signals, POLLIN, 0}};
    for (const Fd* fd : {&launch_.log.read, &launch_.output.read, &launch_.errors.read,
                         &launch_.console, &launch_.reports.read}) {
      if (fd->fd >= 0 && !ended_fds_.contains(fd->fd)) fds.push_back({fd->fd, POLLIN, 0});
    }
    if (launch_.initpipe.fd >= 0 && WantsReply() && !seen_.initpipe_ended) {
      fds.push_back({launch_.initpipe.fd, POLLIN, 0});
    }
    const bool waits = tracer_.WaitsForTime() || (plan_.reply == ReplyMode::kFull && !WantsReply());
    poll(fds.data(), fds.size(), waits ? 5 : 50);
    signalfd_siginfo ignored;
    while (read(signals, &ignored, sizeof(ignored)) > 0) {
    }
  }

  bool Over() {
    if (traced()) {
      // Who has just been born may not have been reported yet.
      if (tracer_.AllEnded() && Strangers().empty()) return true;
      return Hangs() || MsSince(start_) > kLongestMs;
    }
    if (seen_.Find("launched") != nullptr && Strangers().empty()) return true;
    return MsSince(start_) > kStillUnderStraceMs;
  }

  /// Who has just been stopped at a call, or has waited for us, seems to hang only until the next
  /// round.
  bool Hangs() {
    const bool still = MsSince(tracer_.last_event()) > kStillMs && !AnybodyRuns();
    still_rounds_ = still ? still_rounds_ + 1 : 0;
    return still_rounds_ == kStillRounds;
  }

  [[nodiscard]] bool AnybodyRuns() const {
    for (const auto& [pid, process] : tracer_.processes()) {
      const std::string state = process.ended ? "" : StateLetterOf(pid);
      if (state == "R" || state == "D") return true;
    }
    return false;
  }

  void Settle() {
    settled_ = true;
    seen_.settled_ms = MsSince(traced() ? tracer_.last_fault() : start_);
  }

  // ---- The parent's part ----

  [[nodiscard]] bool LaunchedEnded() const { return seen_.Find("launched") != nullptr; }

  [[nodiscard]] bool WantsReply() const {
    switch (plan_.reply) {
      case ReplyMode::kUnread:
        return false;
      case ReplyMode::kFull:
        return MsSince(tracer_.began()) > kSlowParentMs;
      case ReplyMode::kRead:
        break;
    }
    return !plan_.wait_first || LaunchedEnded();
  }

  bool ReadReply() {
    if (launch_.initpipe.fd < 0) return false;
    char buffer[4096];
    for (bool any = false;; any = true) {
      const ssize_t got = recv(launch_.initpipe.fd, buffer, sizeof(buffer), MSG_DONTWAIT);
      if (got == 0 || (got < 0 && errno == ECONNRESET)) seen_.initpipe_ended = true;
      if (got <= 0) return any;
      seen_.reply.append(buffer, static_cast<std::size_t>(got));
    }
  }

  bool ReadFrom(int fd, std::string& text) {
    if (fd < 0 || ended_fds_.contains(fd)) return false;
    char buffer[4096];
    const ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got > 0) text.append(buffer, static_cast<std::size_t>(got));
    if (got == 0) ended_fds_.insert(fd);
    return got > 0;
  }

  bool ReadEverything() {
    bool any = plan_.log == LogMode::kRead && ReadFrom(launch_.log.read.fd, log_);
    any = ReadFrom(launch_.output.read.fd, output_) || any;
    any = ReadFrom(launch_.errors.read.fd, errors_) || any;
    any = ReadFrom(launch_.console.fd, console_) || any;
    if (!seen_.initpipe_ended && WantsReply()) any = ReadReply() || any;
    // Who is traced is heard of directly.
    int report[2];
    while (read(launch_.reports.read.fd, report, sizeof(report)) == sizeof(report)) {
      any = true;
      if (traced()) continue;
      const bool launched = report[0] == launch_.launched();
      seen_.ended.push_back({launched ? "launched" : std::to_string(report[0]), report[1]});
    }
    return any;
  }

  void PlayParent() {
    if (!seen_.returned) {
      const std::string shown = output_ + WithoutCarriageReturns(console_);
      if (shown.find(kReturned) != std::string::npos) OnReturned(shown);
    }
    if (!seen_.returned || told_ || parent_ended_ || !AllButInitEnded()) return;
    told_ = true;
    if (launch_.initpipe.fd < 0) return;
    (void)!send(launch_.initpipe.fd, kDocument, strlen(kDocument), MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(launch_.initpipe.fd, SHUT_WR);
  }

  [[nodiscard]] bool AllButInitEnded() const {
    if (!traced()) return LaunchedEnded();
    for (const auto& [pid, process] : tracer_.processes()) {
      if (!process.ended && !process.done) return false;
    }
    return true;
  }

  void OnReturned(const std::string& shown) {
    seen_.returned = true;
    seen_.right_thread_id = shown.find("wrong thread id") == std::string::npos;
    seen_.alternate_stack = shown.find("no alternate stack") == std::string::npos;
    Settle();
    // The reply was written before, so it is there.
    std::string reply = seen_.reply;
    if (launch_.initpipe.fd >= 0 && plan_.reply != ReplyMode::kFull) {
      char buffer[4096];
      const ssize_t got =
          recv(launch_.initpipe.fd, buffer, sizeof(buffer), MSG_DONTWAIT | MSG_PEEK);
      if (got > 0) reply.append(buffer, static_cast<std::size_t>(got));
      if (reply.empty()) seen_.early = "nsexec returned before the reply was there";
    }
    const Process* const init = tracer_.FindPath(seen_.returned_in);
    const pid_t pid = init != nullptr
                          ? init->pid
                          : nsenter::test::ParseReply(reply, plan_.scenario->classic).init;
    if (pid <= 0) return;
    seen_.state = StateOf(pid, {.fixture = fixture_,
                                .parent = launch_.parent(),
                                .parent_ended = parent_ended_,
                                .known = launch_.known()});
    // The owner of its files in /proc says nothing about a process that is root.
    seen_.state += shown.find(kDumpable) != std::string::npos ? " dumpable" : " not dumpable";
  }

  /// For a fault: what the parent had read by then is what it knows.
  void KillParent() {
    // What is written from here on fails, so that nothing arrives between the last look and the
    // end.
    if (launch_.initpipe.fd >= 0) shutdown(launch_.initpipe.fd, SHUT_RD);
    ReadReply();
    launch_.KillParent();
    seen_.initpipe_ended = true;
    // In half of the cases nobody else could read the log.
    if (plan_.wait_first) launch_.log.read.Close();
  }

  // ---- The end ----

  /// Everything in our pid namespace that is neither the injector's nor dead.
  std::vector<pid_t> Strangers() {
    std::vector<pid_t> pids;
    DIR* const folder = opendir("/proc");
    while (const dirent* entry = readdir(folder)) {
      const pid_t pid = atoi(entry->d_name);
      if (pid <= 0 || pid == getpid() || pid == launch_.parent()) continue;
      if (world_.Has(pid)) continue;
      const std::string state = StateLetterOf(pid);
      if (!state.empty() && state != "Z" && state != "X") pids.push_back(pid);
    }
    closedir(folder);
    return pids;
  }

  void EndAll() {
    for (const auto& [pid, process] : tracer_.processes()) {
      if (process.ended) continue;
      seen_.left.push_back(process.role + " in " +
                           (process.now.empty() ? "its program" : process.now));
    }
    for (const pid_t pid : Strangers()) {
      if (tracer_.processes().contains(pid)) continue;
      seen_.left.push_back("process " + std::to_string(pid) + " " + ReadAll(ProcOf(pid, "comm")));
    }
    for (const pid_t pid : Strangers()) kill(pid, SIGKILL);
    kill(launch_.parent(), SIGKILL);
    for (int i = 0; i < 4000 && (!parent_ended_ || !Strangers().empty()); ++i) {
      int status = 0;
      const pid_t pid = waitpid(-1, &status, WNOHANG | __WALL);
      if (pid == launch_.parent() && (WIFEXITED(status) || WIFSIGNALED(status))) {
        parent_ended_ = true;
      }
      if (pid <= 0) usleep(500);
    }
    while (waitpid(-1, nullptr, WNOHANG | __WALL) > 0) {
    }
  }

  void ReadWhatIsLeft() {
    while (ReadFrom(launch_.output.read.fd, output_) || ReadFrom(launch_.errors.read.fd, errors_) ||
           ReadFrom(launch_.log.read.fd, log_) || ReadFrom(launch_.console.fd, console_)) {
    }
    if (!seen_.initpipe_ended) ReadReply();
    if (plan_.close_after >= 0) seen_.initpipe_ended = true;
    const int log = launch_.log.read.fd;
    seen_.log_ended = log < 0 || ended_fds_.contains(log);
  }

  void Conclude() {
    const std::string console = WithoutCarriageReturns(console_);
    seen_.output = output_;
    seen_.echoed = (output_ + console).find(kDocument) != std::string::npos;
    SortLog(plan_.log == LogMode::kFull ? WithoutJunk(log_) : log_, seen_);
    // The init process may have failed when it had the console already.
    SortErrors(errors_ + (seen_.returned ? "" : console), plan_.scenario->classic, seen_);
    if (plan_.reply == ReplyMode::kFull) seen_.reply = WithoutJunk(seen_.reply);
    JudgeReply();
  }

  void JudgeReply() {
    if (seen_.reply.empty()) {
      seen_.bad_reply = "there is none";
      return;
    }
    const nsenter::test::Reply reply =
        nsenter::test::ParseReply(seen_.reply, plan_.scenario->classic);
    if (!reply.whole) {
      seen_.bad_reply = "it is " + seen_.reply;
      return;
    }
    if (!traced()) return;
    if (seen_.returned) {
      const Process* const init = tracer_.FindPath(seen_.returned_in);
      if (init == nullptr || init->pid != reply.init) {
        seen_.bad_reply = "the init process is not that of " + seen_.reply;
      }
    }
    if (plan_.scenario->classic || reply.stage1 == nsenter::test::kNoStage1) return;
    const auto stage1 = tracer_.processes().find(reply.stage1);
    if (stage1 == tracer_.processes().end() || reply.stage1 == reply.init ||
        reply.stage1 == launch_.launched()) {
      seen_.bad_reply = "stage1_pid is no process of ours in " + seen_.reply;
    }
  }

  const Plan& plan_;
  const World& world_;
  pid_t fixture_;
  Observation seen_;
  Launch launch_;
  Tracer tracer_;
  Clock::time_point start_ = Clock::now();
  bool parent_ended_ = false;
  bool told_ = false;
  bool settled_ = false;
  int still_rounds_ = 0;
  std::set<int> ended_fds_;
  std::string log_, output_, errors_, console_;
};

}  // namespace

Observation Run(const Plan& plan, const World& world, const Roles& roles, int program,
                const Looker& look) {
  return Case(plan, world, roles, program, look).Run();
}

}  // namespace inject
