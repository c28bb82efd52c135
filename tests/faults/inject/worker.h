// SPDX-License-Identifier: Apache-2.0
//
// One of the processes that share the cases of a sweep.

#pragma once

#include "cases.h"
#include "judge.h"
#include "summary.h"
#include "sweep.h"
#include "world.h"

namespace inject {

class Worker {
 public:
  /// Runs each case whose number leaves the remainder `number`, and writes to `results`.
  Worker(const SweepOptions& options, int number, int program, int results)
      : options_(options), number_(number), program_(program), results_(results) {}

  int Work();

 private:
  void RunNormals();
  void RunCase(const SweptCase& one, unsigned index);
  void Tell(const Report& report) const;

  const SweepOptions& options_;
  int number_;
  int program_;
  int results_;
  World world_;
  Lists lists_;
  Normals normals_;
};

/// Runs a case and judges it. A busy machine may be slow, so a case that took too long is run a few
/// more times. It fails if it takes too long each time.
Verdict RunAndJudge(const Plan& plan, const World& world, const Normal& normal, int program,
                    Lists& lists, Observation* ret_seen);

}  // namespace inject
