// SPDX-License-Identifier: Apache-2.0
//
// What the outcome of a case is compared with.

#pragma once

#include <regex>
#include <string>
#include <string_view>
#include <vector>

namespace inject {

/// A line of one of the lists. One that no case has used fails a complete sweep.
struct Entry {
  const char* list = nullptr;
  std::string call;  // a pattern
  int used = 0;
};

/// A call whose failure does not end as others do, a line of harmless.txt.
struct Harmless : Entry {
  std::string faults;   // names separated by commas: errnos, "short", or "any" for all errnos but
                        // EINTR
  std::string outcome;  // see harmless.txt
  std::string reason;
};

/// What is said of a call that has failed, a line of purposes.txt.
struct Purpose : Entry {
  std::string processes;  // separated by commas
  std::regex calls;
  std::string line;  // a regular expression once $1 is replaced

  /// Whether that is what `line` says, which has no errno at its end.
  [[nodiscard]] bool Fits(const std::string& process, const std::string& failed_call,
                          const std::string& said) const;
};

inline constexpr std::size_t kHarmlessLimit = 15;

struct Lists {
  std::vector<Harmless> harmless;
  std::vector<Purpose> purposes;  // empty: any will do

  /// Of both, in the same order each time.
  std::vector<Entry*> Entries();
};

/// Ends the program if a file cannot be read, has a line that makes no sense, or is too long.
Lists ReadLists(const std::string& harmless, const std::string& purposes);

}  // namespace inject
