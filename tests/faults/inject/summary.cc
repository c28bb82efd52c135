// SPDX-License-Identifier: Apache-2.0

#include "summary.h"

#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace inject {
namespace {

/// A launch may succeed whatever is limited. Where none ever fails there is no limit.
constexpr const char* kLimits[] = {"RLIMIT_NOFILE", "RLIMIT_NPROC",  "pid namespace full",
                                   "pids cgroup",   "memory cgroup", "user.max_*_namespaces 0"};

}  // namespace

std::string Report::ToLine() const {
  std::string line(1, static_cast<char>(kind));
  for (const std::string* field : {&group, &options, &text}) {
    line += '\t';
    for (const char character : *field) {
      line += character == '\n' || character == '\t' ? ' ' : character;
    }
  }
  return line + (failed ? "\tfailed\n" : "\t\n");
}

Report Report::FromLine(const std::string& line) {
  Report report;
  std::istringstream fields(line);
  std::string kind;
  std::getline(fields, kind, '\t');
  report.kind = static_cast<Kind>(kind.empty() ? '?' : kind[0]);
  std::getline(fields, report.group, '\t');
  std::getline(fields, report.options, '\t');
  std::getline(fields, report.text, '\t');
  std::string failed;
  std::getline(fields, failed, '\t');
  report.failed = !failed.empty();
  return report;
}

Summary::Summary(const SweepOptions& options)
    : options_(options), lists_(ReadLists(options.harmless, options.purposes)) {}

void Summary::Take(const Report& report) {
  if (report.kind == Report::Kind::kEnd) {
    ++ended_;
    const int cases = atoi(report.group.c_str());
    differs_ = differs_ || (expected_ >= 0 && expected_ != cases);
    expected_ = cases;
    return;
  }
  if (report.kind == Report::Kind::kEntryUsed) {
    ++entries_[static_cast<std::size_t>(atoi(report.group.c_str()))]->used;
    return;
  }
  ++told_;
  if (report.kind == Report::Kind::kNothingToDo) return;
  Row& row = rows_[report.group];
  ++row.cases;
  if (report.kind != Report::Kind::kNotDelivered) ++row.delivered;
  if (report.failed) ++row.failed;
  if (report.kind == Report::Kind::kAsPromised) ++row.as_promised;
  if (report.kind == Report::Kind::kOnList) ++row.on_list;
  if (report.kind == Report::Kind::kViolation || report.kind == Report::Kind::kNotDelivered) {
    ++row.violations;
    printf("VIOLATION %s: %s\n  %s replay --probe=%s %s\n", report.group.c_str(),
           report.text.c_str(), program_invocation_name, options_.program.c_str(),
           report.options.c_str());
    fflush(stdout);
  }
}

bool Summary::Print(double seconds) const {
  Row all;
  printf("\n%-26s %7s %10s %12s %12s %11s\n", "what goes wrong", "cases", "delivered",
         "as promised", "on the list", "violations");
  for (const auto& [group, row] : rows_) {
    PrintRow(group, row);
    all.cases += row.cases;
    all.delivered += row.delivered;
    all.as_promised += row.as_promised;
    all.on_list += row.on_list;
    all.violations += row.violations;
  }
  PrintRow("all", all);
  printf("%s: %.0f seconds, %.0f cases a second, seed %u\n", options_.program.c_str(), seconds,
         all.cases / seconds, options_.seed);
  bool good = all.violations == 0 && all.cases > 0;
  if (ended_ != options_.jobs || differs_ || told_ < expected_) {
    printf("VIOLATION: %d of %d workers came to their end, %d of %d cases were run%s\n", ended_,
           options_.jobs, told_, expected_, differs_ ? ", and they disagree on the cases" : "");
    good = false;
  }
  for (const char* group : kLimits) {
    const auto row = rows_.find(group);
    if (row == rows_.end() || row->second.failed > 0 || !options_.complete()) continue;
    printf("VIOLATION: no launch has felt the limit: %s\n", group);
    good = false;
  }
  for (const Entry* entry : entries_) {
    if (options_.complete() && entry->used == 0) {
      printf("VIOLATION: nothing came of the entry %s of the %s\n", entry->call.c_str(),
             entry->list);
      good = false;
    }
  }
  return good;
}

void Summary::PrintRow(const std::string& name, const Row& row) {
  printf("%-26s %7d %10d %12d %12d %11d\n", name.c_str(), row.cases, row.delivered, row.as_promised,
         row.on_list, row.violations);
}

}  // namespace inject
