// SPDX-License-Identifier: Apache-2.0

#include "attack.h"

#include "attacker.h"
#include "judge.h"
#include "normal.h"
#include "run.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <fstream>
#include <map>
#include <memory>
#include <sched.h>
#include <sstream>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace inject {
namespace {

constexpr const char* kNonDumpable = "prctl(PR_SET_DUMPABLE 0)";

/// What one attacker gets at in one process, from when that has made a call until it has made the
/// next.
struct Step {
  std::string after;
  std::uint32_t got = 0;
  bool seen = false;     // by the attacker
  std::string fds = {};  // what is behind the descriptors
};

/// From when a process has made a call until it has made another one, an attacker gets at it.
struct Opening {
  std::string attacker, process, from, to, got, fds;
  int steps = 0;
  [[nodiscard]] std::string ToText() const {
    return attacker + " | " + process + " | " + from + " | " + to + " | " + got;
  }
};

/// A line of the list. All but the reason are patterns.
struct Listed {
  std::string scenario, attacker, process, from, to, got, reason;
  int used = 0;
};

std::vector<Listed> ReadList(const std::string& path) {
  std::ifstream file(path);
  if (!file) Die(path.c_str());
  std::vector<Listed> list;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream fields(line);
    Listed one;
    for (std::string* field :
         {&one.scenario, &one.attacker, &one.process, &one.from, &one.to, &one.got, &one.reason}) {
      std::getline(fields, *field, '|');
      field->erase(0, field->find_first_not_of(' '));
      field->erase(field->find_last_not_of(' ') + 1);
    }
    if (one.reason.empty()) {
      fprintf(stderr, "injector: %s: not seven fields: %s\n", path.c_str(), line.c_str());
      _exit(3);
    }
    list.push_back(one);
  }
  return list;
}

bool Fits(const std::string& pattern, const std::string& text) {
  return fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
}

/// What the machine's fs.suid_dumpable is taken to be. With 1, who takes other ids is dumpable.
/// That it is 1 is played: the process is made dumpable wherever the kernel might do so, since the
/// true setting is that of the whole machine.
enum class SuidDumpable { kAsItIs, kPlayOne };

/// Who only becomes uid 0 where that is the uid it had takes no other ids. (What is joined may have
/// any map.)
bool TakesOtherIds(const Scenario& scenario) {
  unsigned inside = 0;
  unsigned outside = 0;
  return scenario.joins != nullptr ||
         (scenario.uid_map != nullptr &&
          sscanf(scenario.uid_map, "%u %u", &inside, &outside) == 2 && outside != scenario.uid);
}

/// One launch, attacked at each point.
class AttackedLaunch {
 public:
  AttackedLaunch(const std::vector<std::unique_ptr<Attacker>>& attackers, const Scenario& scenario,
                 SuidDumpable suid_dumpable)
      : attackers_(attackers),
        scenario_(scenario),
        suid_dumpable_(suid_dumpable),
        steps_(attackers.size()) {}

  void Look(const Sight& sight) {
    ++points;
    if (suid_dumpable_ == SuidDumpable::kPlayOne && sight.moment == Moment::kCallDone &&
        TakesIds(sight.now.now)) {
      Tracer::HaveMade(sight.now, SYS_prctl, PR_SET_DUMPABLE, 1);
    }
    std::string& position = positions_[sight.now.role];
    switch (sight.moment) {
      case Moment::kBegins:
      case Moment::kBorn:
        position = "start";
        break;
      case Moment::kCallDone:
        position = sight.now.now + "#" + std::to_string(sight.now.calls_of_name.at(sight.now.now));
        break;
      case Moment::kReturned:
        position = "nsexec";
        break;
    }
    // The processes that are stopped by, and traced by, us: whether they could be traced by others
    // is told by process_vm_readv, which asks the kernel the same question.
    for (const auto& [pid, process] : sight.tracer.processes()) {
      if (IsOurs(process)) AttackAll(process, process.pid == sight.now.pid, sight.known);
    }
    // And the one that can be left alone for a moment is traced in earnest.
    if (sight.moment != Moment::kCallDone || !IsOurs(sight.now)) return;
    Tracer::StepAside(sight.now, [&] { TraceAll(sight.now); });
  }

  /// What was open, of all the processes.
  [[nodiscard]] std::vector<Opening> Openings() const {
    std::vector<Opening> openings;
    for (std::size_t i = 0; i < attackers_.size(); ++i) {
      for (const auto& [role, steps] : steps_[i]) AddOpenings(i, role, steps, openings);
    }
    return openings;
  }

  /// By the attacker, of any process.
  [[nodiscard]] int StepsSeen(std::size_t attacker) const {
    int count = 0;
    for (const auto& [role, steps] : steps_[attacker]) {
      count += static_cast<int>(
          std::count_if(steps.begin(), steps.end(), [](const Step& step) { return step.seen; }));
    }
    return count;
  }

  int points = 0;
  int tries = 0;
  std::vector<std::string> contradictions;

 private:
  /// One whose end has begun has no memory soon, and then nothing that could be opened: what the
  /// kernel lets others see of it is the kernel's own business.
  static bool IsOurs(const Process& process) {
    return process.counted && !process.ended && !process.ends && !process.done &&
           !process.path.empty();
  }

  [[nodiscard]] bool TakesIds(const std::string& call) const {
    const bool joins_user =
        scenario_.joins != nullptr && std::string_view(scenario_.joins).find("user") == 0;
    return call == "setns(user)" || (call == "setns(pidfd)" && joins_user) || call == "setresuid" ||
           call == "setresgid" || call == "setgroups";
  }

  Step& StepOf(std::size_t attacker, const std::string& role) {
    std::vector<Step>& steps = steps_[attacker][role];
    std::string& position = positions_[role];
    if (position.empty()) position = "start";  // just born, and its creator's turn
    if (steps.empty() || steps.back().after != position) steps.push_back({.after = position});
    return steps.back();
  }

  /// Whether a process that nobody has stopped has waited, and so is where it was seen last. Else
  /// it may have made its next call, which it will be looked at after.
  static bool Waits(const Process& process) {
    const std::string state = StateLetterOf(process.pid);
    return state == "S" || state == "D";
  }

  void AttackAll(const Process& process, bool stands_still, const KnownFiles& known) {
    for (std::size_t i = 0; i < attackers_.size(); ++i) {
      Step& step = StepOf(i, process.role);
      const pid_t number = attackers_[i]->NumberOf(process.pid);
      if (number == 0) continue;
      const std::uint32_t got = attackers_[i]->Ask(number, false);
      ++tries;
      if (!stands_still && !Waits(process)) continue;
      step.seen = true;
      step.got |= got;
      if (got != 0) step.fds = DescribeFds(process.pid, known);
    }
  }

  void TraceAll(const Process& process) {
    for (std::size_t i = 0; i < attackers_.size(); ++i) {
      const pid_t number = attackers_[i]->NumberOf(process.pid);
      if (number == 0) continue;
      const std::uint32_t got = attackers_[i]->Ask(number, true);
      ++tries;
      Step& step = StepOf(i, process.role);
      const bool traced = (got & kTrace) != 0;
      if (traced != ((got & kRead) != 0) || (step.got | got) != (step.got | (got & kTrace))) {
        contradictions.push_back(std::string(attackers_[i]->place().name) + ", " + process.role +
                                 " after " + step.after + ": " + NamesOf(step.got) +
                                 " while we trace it, " + NamesOf(got) +
                                 (traced ? " and ptrace" : " and not ptrace") + " when we do not");
      }
      step.got |= got;
    }
  }

  void AddOpenings(std::size_t attacker, const std::string& role, const std::vector<Step>& steps,
                   std::vector<Opening>& openings) const {
    for (std::size_t i = 0; i < steps.size(); ++i) {
      if (steps[i].got == 0) continue;
      Opening opening = {.attacker = attackers_[attacker]->place().name,
                         .process = role,
                         .from = steps[i].after,
                         .to = "end",
                         .got = {},
                         .fds = steps[i].fds};
      std::uint32_t got = 0;
      for (; i < steps.size() && steps[i].got != 0; ++i, ++opening.steps) got |= steps[i].got;
      if (i < steps.size()) opening.to = steps[i].after;
      opening.got = NamesOf(got);
      openings.push_back(opening);
    }
  }

  const std::vector<std::unique_ptr<Attacker>>& attackers_;
  const Scenario& scenario_;
  SuidDumpable suid_dumpable_;
  std::vector<std::map<std::string, std::vector<Step>>> steps_;
  std::map<std::string, std::string> positions_;
};

/// No path is looked up once a namespace is joined: it could be one that somebody has put there.
std::string LookedUpLate(const Observation& seen) {
  bool joined = false;
  for (const MadeCall& call : seen.calls) {
    if (call.process != "launched" && call.process != "init") continue;
    const std::string name = call.name.substr(0, call.name.find('('));
    joined = joined || name == "setns";
    if (joined && call.name.find("(/") != std::string::npos &&
        (name == "openat" || name == "newfstatat" || name.rfind("readlink", 0) == 0 ||
         name == "execve")) {
      return call.process + " makes " + call.name + " when it has joined namespaces";
    }
  }
  return {};
}

class AttackTest {
 public:
  explicit AttackTest(const AttackOptions& options)
      : options_(options),
        program_(Must(open(options.program.c_str(), O_PATH | O_CLOEXEC), options.program.c_str())),
        world_(World::MakeForAttack()),
        list_(ReadList(options.openings)) {
    for (const Place& place : Places()) {
      attackers_.push_back(std::make_unique<Attacker>(place, world_));
    }
    RememberOthers();
  }

  int Run() {
    CheckAttackers();
    if (options_.times > 0) return Measure();
    bool any = false;
    for (const auto* scenarios : {&Scenarios(), &ScenariosToAttack()}) {
      for (const Scenario& scenario : *scenarios) {
        if (!options_.scenario.empty() && options_.scenario != scenario.name) continue;
        any = true;
        if (options_.plant) {
          Plant(scenario);
          continue;
        }
        for (const SuidDumpable suid_dumpable : {SuidDumpable::kAsItIs, SuidDumpable::kPlayOne}) {
          if (suid_dumpable == SuidDumpable::kPlayOne && !TakesOtherIds(scenario)) continue;
          AttackScenario({scenario, suid_dumpable});
        }
      }
    }
    if (!any) Fail(options_.scenario, "there is no such scenario");
    if (!options_.plant && options_.scenario.empty()) FindUnused();
    printf(
        "all: %d launches attacked at %d points, %d tries, %d openings of which %d are not "
        "listed\n",
        launches_, points_, tries_, openings_, unlisted_);
    return failures_ == 0 ? 0 : 1;
  }

 private:
  /// How long windows are, with nobody who looks: the probe tells (timing.cc).
  int Measure() {
    for (const Scenario& scenario : ScenariosToAttack()) {
      if (scenario.uid == 0) continue;
      Plan plan;
      plan.scenario = &scenario;
      plan.untraced = true;
      std::vector<long> until_closed, reopened;
      for (int i = 0; i < options_.times; ++i) {
        const Observation seen = inject::Run(plan, world_, {}, program_);
        if (!Succeeded(seen)) {
          Fail(scenario.name, "a launch that is measured failed");
          return 1;
        }
        TakeTimes(seen.output, until_closed, reopened);
      }
      PrintTimes(scenario, "from the begin of nsexec until non-dumpable", until_closed);
      PrintTimes(scenario, "dumpable while the id maps are written", reopened);
    }
    return failures_ == 0 ? 0 : 1;
  }

  /// Lines like "dumpable 0 after 1234 ns", those of one process in their order.
  static void TakeTimes(const std::string& output, std::vector<long>& until_closed,
                        std::vector<long>& reopened) {
    std::istringstream lines(output);
    long opened_at = 0;
    bool closed = false;
    for (std::string line; std::getline(lines, line);) {
      int dumpable = 0;
      long at = 0;
      if (sscanf(line.c_str(), "dumpable %d after %ld ns", &dumpable, &at) != 2) continue;
      if (dumpable == 0 && !closed) until_closed.push_back(at);
      if (dumpable == 0 && opened_at != 0) reopened.push_back(at - opened_at);
      closed = closed || dumpable == 0;
      opened_at = dumpable == 1 ? at : 0;
    }
  }

  void PrintTimes(const Scenario& scenario, const char* what, std::vector<long>& times) {
    if (times.empty()) return;
    std::sort(times.begin(), times.end());
    const auto us = [](long ns) { return static_cast<double>(ns) / 1000; };
    printf("time %s: %s: median %.1f us, longest %.1f us, of %zu launches\n", scenario.name, what,
           us(times[times.size() / 2]), us(times.back()), times.size());
  }

  void Fail(const std::string& what, const std::string& why) {
    ++failures_;
    printf("FAIL %s: %s\n", what.c_str(), why.c_str());
  }

  /// Attackers and their twins: no launch is to end them.
  void RememberOthers() {
    DIR* const folder = opendir("/proc");
    while (const dirent* entry = readdir(folder)) {
      if (const pid_t pid = atoi(entry->d_name); pid > 1) world_.others.insert(pid);
    }
    closedir(folder);
  }

  /// Each can do what it tries, and is kept from it by nothing but the flag.
  void CheckAttackers() {
    for (const auto& attacker : attackers_) {
      const std::string name = std::string("attacker ") + attacker->place().name;
      const std::uint32_t open = attacker->AskForTwin(true);
      const std::uint32_t closed = attacker->AskForTwin(false);
      if (open != (kAllButTrace | kTrace)) {
        Fail(name, "gets only at " + NamesOf(open) + " of a dumpable process like itself");
      } else if (closed != 0) {
        Fail(name, "gets at " + NamesOf(closed) + " of a process that is not dumpable");
      } else {
        printf("ok   %s: everything of a dumpable process like itself, nothing of another\n",
               name.c_str());
      }
    }
  }

  struct Setting {
    const Scenario& scenario;
    SuidDumpable suid_dumpable;
    [[nodiscard]] std::string name() const {
      return std::string(scenario.name) +
             (suid_dumpable == SuidDumpable::kPlayOne ? ", suid_dumpable 1" : "");
    }
  };

  struct Result {
    Observation seen;
    std::string wrong;
    std::vector<Opening> openings;
    std::string summary;
  };

  Result AttackOnce(const Plan& plan, SuidDumpable suid_dumpable, const Normal& normal) {
    AttackedLaunch launch(attackers_, *plan.scenario, suid_dumpable);
    Result result;
    result.seen = inject::Run(plan, world_, normal.roles, program_,
                              [&](const Sight& sight) { launch.Look(sight); });
    result.openings = launch.Openings();
    ++launches_;
    points_ += launch.points;
    tries_ += launch.tries;
    result.wrong = WhatIsWrong(plan, result.seen);
    // The kernel's setting is the last word on it where nothing is joined.
    std::string state = normal.seen.state;
    if (suid_dumpable == SuidDumpable::kPlayOne && plan.scenario->joins == nullptr) {
      constexpr std::string_view kNot = " not dumpable";
      const std::size_t at = state.rfind(kNot);
      if (at != std::string::npos) state.replace(at, kNot.size(), " dumpable");
    }
    if (result.wrong.empty() && plan.faults.empty() && result.seen.state != state) {
      result.wrong = "the attack has changed the init process to " + result.seen.state;
    }
    for (const std::string& one : launch.contradictions) result.wrong += " " + one;
    result.summary = std::to_string(launch.points) + " points, " + std::to_string(launch.tries) +
                     " tries; steps seen:";
    for (std::size_t i = 0; i < attackers_.size(); ++i) {
      const int seen = launch.StepsSeen(i);
      result.summary += std::string(" ") + attackers_[i]->place().name + " " + std::to_string(seen);
    }
    return result;
  }

  Listed* Find(const Setting& setting, const Opening& opening) {
    for (Listed& one : list_) {
      if (Fits(one.scenario, setting.name()) && Fits(one.attacker, opening.attacker) &&
          Fits(one.process, opening.process) && Fits(one.from, opening.from) &&
          Fits(one.to, opening.to) && Fits(one.got, opening.got)) {
        return &one;
      }
    }
    return nullptr;
  }

  void AttackScenario(const Setting& setting) {
    const Scenario& scenario = setting.scenario;
    const std::string name = setting.name();
    Plan plan;
    plan.scenario = &scenario;
    const Normal normal = RunNormal(plan, world_, program_);
    if (!normal.wrong.empty()) return Fail(name, "without an attack: " + normal.wrong);
    const Result result = AttackOnce(plan, setting.suid_dumpable, normal);
    std::string wrong = result.wrong;
    if (scenario.fixture != FixtureKind::kNone) wrong += " " + LookedUpLate(result.seen);
    if (scenario.fixture == FixtureKind::kHostile &&
        result.seen.state.find("user:joined") == std::string::npos) {
      wrong += " the lies in /proc are believed: " + result.seen.state;
    }
    printf("     %s: %s\n", name.c_str(), result.summary.c_str());
    int unlisted = 0;
    openings_ += static_cast<int>(result.openings.size());
    for (const Opening& opening : result.openings) {
      Listed* const listed = Find(setting, opening);
      printf("     open: %s | %s, in %d steps\n       descriptors: %s\n", name.c_str(),
             opening.ToText().c_str(), opening.steps, opening.fds.c_str());
      if (listed != nullptr) {
        ++listed->used;
        continue;
      }
      ++unlisted;
      printf("     NOT LISTED\n");
    }
    unlisted_ += unlisted;
    if (unlisted > 0) wrong += " " + std::to_string(unlisted) + " openings are not listed";
    if (wrong.find_first_not_of(' ') != std::string::npos) return Fail(name, wrong);
    printf("ok   %s\n", name.c_str());
  }

  void FindUnused() {
    for (const Listed& one : list_) {
      if (one.used > 0) continue;
      Fail("list", "nothing is open any more as in: " + one.scenario + " | " + one.attacker +
                       " | " + one.process + " | " + one.from + " | " + one.to);
    }
  }

  /// Leaves calls out that make processes non-dumpable: each on its own, then all. Where something
  /// else makes up for the lack of one, its time comes where suid_dumpable is 1.
  void Plant(const Scenario& scenario) {
    Plan plan;
    plan.scenario = &scenario;
    const Normal normal = RunNormal(plan, world_, program_);
    std::vector<Fault> all;
    std::map<std::string, int> count;
    for (const MadeCall& call : normal.seen.calls) {
      if (call.name != kNonDumpable) continue;
      all.push_back({.process = call.process,
                     .call = ++count[call.process],
                     .name = call.name,
                     .kind = Fault::Kind::kSkip});
    }
    if (all.empty()) return;
    bool any_found = PlantOne({scenario, SuidDumpable::kAsItIs}, all, normal);
    std::string of_no_use;
    for (const Fault& fault : all) {
      bool found = PlantOne({scenario, SuidDumpable::kAsItIs}, {fault}, normal);
      if (scenario.joins != nullptr) {
        found = PlantOne({scenario, SuidDumpable::kPlayOne}, {fault}, normal) || found;
      }
      any_found = any_found || found;
      if (!found) of_no_use += " " + fault.name + "#" + std::to_string(fault.call);
    }
    // Where nothing changes the ids of a process that has every capability, that alone keeps those
    // out who have fewer.
    const bool kept_out = scenario.uid == 0 && scenario.fixture == FixtureKind::kPlain &&
                          (scenario.clone_flags & CLONE_NEWUSER) == 0;
    if (any_found == kept_out) {
      Fail(scenario.name,
           kept_out ? "capabilities do not keep attackers out" : "the attackers find nothing");
    }
    if (!kept_out && !of_no_use.empty()) Fail(scenario.name, "nobody needs" + of_no_use);
  }

  bool PlantOne(const Setting& setting, const std::vector<Fault>& faults, const Normal& normal) {
    Plan plan;
    plan.scenario = &setting.scenario;
    plan.faults = faults;
    const Result result = AttackOnce(plan, setting.suid_dumpable, normal);
    std::string what = setting.name();
    for (const Fault& fault : faults) {
      what += " without " + fault.process + ":" + fault.name + "#" + std::to_string(fault.call);
    }
    if (result.seen.delivered != static_cast<int>(faults.size())) {
      Fail(what, "not every call was left out: " + result.wrong);
      return false;
    }
    int found = 0;
    openings_ += static_cast<int>(result.openings.size());
    for (const Opening& opening : result.openings) {
      if (Find(setting, opening) != nullptr) continue;
      ++found;
      printf("     %s: %s\n", what.c_str(), opening.ToText().c_str());
    }
    unlisted_ += found;
    printf("%s %s: %d openings that are not listed\n", found > 0 ? "found" : "none ", what.c_str(),
           found);
    return found > 0;
  }

  const AttackOptions& options_;
  int program_;
  World world_;
  std::vector<Listed> list_;
  std::vector<std::unique_ptr<Attacker>> attackers_;
  int failures_ = 0;
  int launches_ = 0, points_ = 0, tries_ = 0, openings_ = 0, unlisted_ = 0;
};

}  // namespace

int Attack(const AttackOptions& options) { return AttackTest(options).Run(); }

}  // namespace inject
