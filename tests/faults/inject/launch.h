// SPDX-License-Identifier: Apache-2.0
//
// One launch: the parent, the launched process, and what the two have in common, which is
// descriptors, a console, limits. The parent is a process of its own, so that it can die, and does
// only reap. The injector writes and reads what a parent does, through descriptors that it holds
// itself. nsexec::parent is no such parent: it lives in the caller, sends the whole message, and
// cleans up after failures that the injector has to look at.

#pragma once

#include "call.h"
#include "cgroup.h"
#include "fd.h"
#include "pid_limit.h"
#include "plan.h"

#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

namespace inject {

class Launch {
 public:
  /// `fixture` is the process that is joined, `program` an open descriptor of what is executed.
  Launch(const Plan& plan, pid_t fixture, int program);

  /// Starts the two, with the whole message sent. The launched process waits for Go().
  void Start();
  void Go() { go_.write.Close(); }
  void KillParent();

  [[nodiscard]] pid_t parent() const { return parent_; }
  [[nodiscard]] pid_t launched() const { return launched_; }
  [[nodiscard]] const KnownFiles& known() const { return known_; }

  // What the injector reads and writes, all but the first without waiting.
  Fd initpipe;
  Fd console;
  Pipe log, output, errors;
  Pipe reports;  // of those reaped by the parent: pairs of pid and status

 private:
  void OpenConsole();
  void OpenTerminal();
  void SendMessage();
  [[noreturn]] void BecomeParent(const Pipe& told);
  [[noreturn]] void BecomeLaunched();
  void PutDescriptorsInPlace() const;
  [[noreturn]] void ExecStrace(int program, std::vector<char*>& environment) const;
  void EnterLimitedUserNamespace();
  void MapLimitedUserNamespace();

  const Plan& plan_;
  pid_t fixture_;
  int program_;
  Fd their_initpipe_, held_console_;
  Fd terminal_, own_terminal_;  // the launched process's own, whose session it leads
  Pipe go_, unshared_, mapped_;
  std::string console_path_;
  KnownFiles known_;
  std::vector<std::string> environment_;
  std::unique_ptr<Cgroup> memory_, processes_;
  std::unique_ptr<PidLimit> pids_;
  pid_t parent_ = 0;
  pid_t launched_ = 0;
};

}  // namespace inject
