// SPDX-License-Identifier: Apache-2.0
//
// The stopwatch: starts programs and measures each launch, with as little as possible of its own in
// between. It knows nothing of statistics; its output is one line of comma-separated values a
// launch.
//
//   stopwatch SCENARIO ROUNDS WARM_UP SEED LABEL=PREFIX,LAYOUTS ...
//   stopwatch --list
//   stopwatch --page-tables SCENARIO LABEL=PREFIX,LAYOUTS
//   stopwatch --start-in CGROUP SCENARIO LABEL=PREFIX,LAYOUTS
//
// The programs are PREFIX.0, PREFIX.1 and so on, which differ in how they are laid out. In each
// round every program is launched once, in the next layout and in an order that is drawn anew. A
// program whose label is "none" does not reply, one whose label is "start" replies with an empty
// line; the others follow the protocol, and one launch of theirs in 50 is checked instead of
// measured. The last two forms launch one program once and print what is asked (observe.h).

#include "check.h"
#include "fixture.h"
#include "launch.h"
#include "observe.h"
#include "scenario.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <random>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

using namespace bench;  // NOLINT(google-build-using-namespace): this file is its main program

constexpr int kCheckEvery = 50;

Contestant ParseContestant(char* text) {
  char* const equals = std::strchr(text, '=');
  if (equals == nullptr) Die("not LABEL=PREFIX,LAYOUTS: %s", text);
  *equals = '\0';
  const std::string_view label = text;
  char* const comma = std::strrchr(equals + 1, ',');
  if (comma == nullptr) Die("not PREFIX,LAYOUTS: %s", equals + 1);
  *comma = '\0';
  const int layouts = std::atoi(comma + 1);
  if (layouts < 1) Die("no layouts: %s", comma + 1);
  std::vector<std::string> paths;
  for (int i = 0; i < layouts; ++i) {
    paths.push_back(std::string(equals + 1) + '.' + std::to_string(i));
  }
  Answer answer = Answer::kReply;
  if (label == "none") answer = Answer::kNone;
  if (label == "start") answer = Answer::kLine;
  return {text, std::move(paths), answer};
}

void Print(const Scenario& scenario, int round, const Contestant& contestant, std::size_t layout,
           const Sample& sample) {
  std::printf("%s,%d,%s,%zu,%lld,%lld,%d,%lld,%ld,%ld,%ld,%ld,%ld\n", scenario.name, round,
              contestant.label, layout, static_cast<long long>(sample.reply_ns),
              static_cast<long long>(sample.total_ns), sample.processes,
              static_cast<long long>(sample.cpu_us), sample.faults, sample.major_faults,
              sample.voluntary_switches, sample.involuntary_switches, sample.peak_kb);
}

// The stopwatch ignores no signal, since a program would inherit that: it should start as from a
// shell.
void BeginLaunching() {
  Must(setpgid(0, 0), "setpgid");
  std::signal(SIGALRM, [](int) { kill(0, SIGKILL); });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--list") {
    for (const char* name : ScenarioNames()) std::puts(name);
    return 0;
  }
  if (argc == 4 && std::string_view(argv[1]) == "--page-tables") {
    BeginLaunching();
    const Fixture fixture;
    std::printf("%ld\n",
                PageTables(FindScenario(argv[2]), ParseContestant(argv[3]), fixture.targets()));
    return 0;
  }
  if (argc == 5 && std::string_view(argv[1]) == "--start-in") {
    BeginLaunching();
    const Fixture fixture;
    const bool starts =
        StartsIn(argv[2], FindScenario(argv[3]), ParseContestant(argv[4]), fixture.targets());
    std::puts(starts ? "starts" : "does not start");
    return 0;
  }
  if (argc < 6) Die("usage: stopwatch SCENARIO ROUNDS WARM_UP SEED LABEL=PREFIX,LAYOUTS ...");
  BeginLaunching();
  const Scenario scenario = FindScenario(argv[1]);
  const int rounds = std::atoi(argv[2]);
  const int warm_up = std::atoi(argv[3]);
  std::mt19937 random(static_cast<unsigned>(std::atoi(argv[4])));
  std::vector<Contestant> contestants;
  for (int i = 5; i < argc; ++i) contestants.push_back(ParseContestant(argv[i]));

  const Fixture fixture;
  std::puts(
      "scenario,round,label,layout,reply_ns,total_ns,processes,cpu_us,faults,major_faults,"
      "voluntary_switches,involuntary_switches,peak_kb");
  for (int round = -warm_up; round < rounds; ++round) {
    const bool check = (round + warm_up) % kCheckEvery == 0;
    std::shuffle(contestants.begin(), contestants.end(), random);
    for (const Contestant& contestant : contestants) {
      const std::size_t layout =
          static_cast<std::size_t>(round + warm_up) % contestant.paths.size();
      const Sample sample = Launch(scenario, contestant, layout, fixture.targets(), check);
      if (round >= 0 && !check) Print(scenario, round, contestant, layout, sample);
    }
  }
  return 0;
}
