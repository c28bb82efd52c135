// SPDX-License-Identifier: Apache-2.0
//
// A pid namespace, our own, in which hardly any number is left.

#pragma once

namespace inject {

class PidLimit {
 public:
  /// `left` numbers for new processes.
  explicit PidLimit(long left);
  PidLimit(const PidLimit&) = delete;
  PidLimit& operator=(const PidLimit&) = delete;
  ~PidLimit();

  /// Whether pid namespaces have a limit of their own here (since Linux 6.14).
  static bool CanBeMade();
};

}  // namespace inject
