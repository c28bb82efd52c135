// SPDX-License-Identifier: Apache-2.0
//
// A step that another function takes at the right moment.

#pragma once

#include "base.h"
#include "error.h"

namespace nsenter {

/// Refers to a lambda or the like, which returns a Status. The lambda stays its owner's and has to
/// live as long. (std::function would need memory and libstdc++.)
template <typename... Arguments>
class Step {
 public:
  /// Nothing to do.
  Step() = default;

  template <typename Callable>
  // NOLINTNEXTLINE(google-explicit-constructor,bugprone-forwarding-reference-overload): a lambda is passed as it is
  Step(const Callable& callable)
      : callable_(&callable), call_([](const void* object, Arguments... arguments) -> Status {
          return (*static_cast<const Callable*>(object))(arguments...);
        }) {}

  [[nodiscard]] bool exists() const { return call_ != nullptr; }
  Status Take(Arguments... arguments) const {
    return exists() ? call_(callable_, arguments...) : Status();
  }

 private:
  const void* callable_ = nullptr;
  Status (*call_)(const void*, Arguments...) = nullptr;
};

}  // namespace nsenter
