// SPDX-License-Identifier: Apache-2.0
//
// The fault injector.
//
// One case, and all there is to see:
//   injector replay --probe=PROGRAM --scenario=NAME [--fault=...]...
// All of them, and a table:
//   injector sweep --probe=PROGRAM [--every=N] [--slower=N] [--jobs=N] [--seed=N] [--only=GROUP]
//     [--scenario=NAME,...] [--netlink-only] [--strace]
// Who could get at the processes of a launch, and when:
//   injector attack --probe=PROGRAM [--openings=FILE] [--scenario=NAME] [--plant] [--times=N]
//
// README.md says what the options of a case are.

#include "attack.h"
#include "judge.h"
#include "normal.h"
#include "plan.h"
#include "sweep.h"
#include "worker.h"
#include "world.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace inject {
namespace {

[[noreturn]] void Usage(const std::string& wrong) {
  fprintf(stderr, "injector: what is %s?\n", wrong.c_str());
  exit(3);
}

int PrintCase(const Plan& plan, const SweepOptions& options) {
  const int fd = Must(open(options.program.c_str(), O_PATH | O_CLOEXEC), options.program.c_str());
  Lists lists = ReadLists(options.harmless, options.purposes);
  const World world = World::Make();
  const Normal normal = RunNormal(plan, world, fd);
  Observation seen;
  const Verdict verdict = RunAndJudge(plan, world, normal, fd, lists, &seen);
  for (const MadeCall& call : seen.calls) {
    if (!call.before_exec) continue;  // a mapping tool's own, of which there are many
    printf("%-8s %3d  %s\n", call.process.c_str(), call.index, call.name.c_str());
  }
  for (const std::string& name : seen.delivered_names) printf("delivered to %s\n", name.c_str());
  for (const EndedProcess& process : seen.ended) {
    if (process.signal() != 0) {
      printf("%s died of signal %d\n", process.process.c_str(), process.signal());
    } else {
      printf("%s exited with status %d\n", process.process.c_str(), process.exit_status());
    }
  }
  for (const std::string& line : seen.fatal) printf("fatal: %s\n", line.c_str());
  for (const std::string& line : seen.tools) printf("tool: %s\n", line.c_str());
  printf("reply: %s%s\n", seen.reply.c_str(), seen.reply.empty() ? "none" : "");
  if (seen.returned) printf("nsexec returned, state: %s\n", seen.state.c_str());
  printf("settled after %d ms\n", seen.settled_ms);
  if (!normal.wrong.empty()) {
    printf("VIOLATION without any fault: %s\n", normal.wrong.c_str());
    return 1;
  }
  switch (verdict.kind) {
    case Verdict::Kind::kAsPromised:
      printf("as promised\n");
      return 0;
    case Verdict::Kind::kOnList:
      printf("harmless, and on the list\n");
      return 0;
    case Verdict::Kind::kNotDelivered:
    case Verdict::Kind::kViolation:
      break;
  }
  printf("VIOLATION: %s\n", verdict.text.c_str());
  return 1;
}

int Main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], kFixtureArgument) == 0) RunFixture();
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode != "replay" && mode != "sweep" && mode != "attack")
    Usage(mode.empty() ? "nothing" : mode);
  signal(SIGPIPE, SIG_IGN);
  Plan plan;
  SweepOptions options;
  AttackOptions attack;
  for (int i = 2; i < argc; ++i) {
    const std::string option = argv[i];
    const std::string value = option.substr(option.find('=') + 1);
    if (option.rfind("--probe=", 0) == 0) {
      options.program = value;
    } else if (option.rfind("--harmless=", 0) == 0) {
      options.harmless = value;
    } else if (option.rfind("--purposes=", 0) == 0) {
      options.purposes = value;
    } else if (mode == "attack" && option.rfind("--openings=", 0) == 0) {
      attack.openings = value;
    } else if (mode == "attack" && option.rfind("--scenario=", 0) == 0) {
      attack.scenario = value;
    } else if (mode == "attack" && option == "--plant") {
      attack.plant = true;
    } else if (mode == "attack" && option.rfind("--times=", 0) == 0) {
      attack.times = atoi(value.c_str());
    } else if (mode == "sweep" && option.rfind("--every=", 0) == 0) {
      options.every = atoi(value.c_str());
    } else if (mode == "sweep" && option.rfind("--slower=", 0) == 0) {
      JudgeOnSlowMachine(atoi(value.c_str()));
    } else if (mode == "sweep" && option.rfind("--jobs=", 0) == 0) {
      options.jobs = atoi(value.c_str());
    } else if (mode == "sweep" && option.rfind("--seed=", 0) == 0) {
      options.seed = static_cast<unsigned>(strtoul(value.c_str(), nullptr, 10));
    } else if (mode == "sweep" && option.rfind("--only=", 0) == 0) {
      options.only = value;
    } else if (mode == "sweep" && option.rfind("--scenario=", 0) == 0) {
      options.scenarios = value;
    } else if (mode == "sweep" && option == "--netlink-only") {
      options.netlink_only = true;
    } else if (mode == "sweep" && option == "--strace") {
      options.strace = true;
    } else if (mode != "replay" || !TakeOption(option, plan)) {
      Usage(option);
    }
  }
  if (options.program.empty()) Usage("the program under test (--probe)");
  if (mode == "sweep") return Sweep(options);
  if (mode == "replay" && plan.scenario == nullptr) Usage("the scenario");
  attack.program = options.program;

  const pid_t worker =
      StartWorker([&] { return mode == "attack" ? Attack(attack) : PrintCase(plan, options); });
  int status = 0;
  waitpid(worker, &status, __WALL);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 3;
}

}  // namespace
}  // namespace inject

int main(int argc, char** argv) { return inject::Main(argc, argv); }
