// SPDX-License-Identifier: Apache-2.0
//
// What workers tell, a line for each case, and the table made of it.

#pragma once

#include "judge.h"
#include "sweep.h"

#include <map>
#include <string>
#include <vector>

namespace inject {

/// A line from a worker to the sweep.
struct Report {
  enum class Kind : char {
    kAsPromised = 'P',
    kOnList = 'L',
    kViolation = 'V',
    kNotDelivered = 'N',
    kNothingToDo = 'S',  // there was no call for the second fault
    kEntryUsed = 'U',    // of the list; its number is in `group`
    kEnd = 'E',          // how many cases there are for all workers is in `group`
  };
  Kind kind = Kind::kEnd;
  std::string group;
  std::string options;  // of the case
  std::string text;     // what is wrong
  bool failed = false;  // the launch did not succeed

  [[nodiscard]] std::string ToLine() const;
  static Report FromLine(const std::string& line);
};

class Summary {
 public:
  explicit Summary(const SweepOptions& options);

  void Take(const Report& report);
  /// Prints the table. False if anything is not as it should be.
  [[nodiscard]] bool Print(double seconds) const;

 private:
  struct Row {
    int cases = 0, delivered = 0, as_promised = 0, on_list = 0, violations = 0, failed = 0;
  };

  static void PrintRow(const std::string& name, const Row& row);

  const SweepOptions& options_;
  Lists lists_;
  std::vector<Entry*> entries_ = lists_.Entries();
  std::map<std::string, Row> rows_;
  int ended_ = 0;      // workers
  int told_ = 0;       // cases
  int expected_ = -1;  // cases
  bool differs_ = false;
};

}  // namespace inject
