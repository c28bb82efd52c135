// SPDX-License-Identifier: Apache-2.0
//
// The one thing that is asked of the core. Its headers are for its own files: they have a Result
// and an Error too.

#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace nsenter::parent {

/// Why nsexec would refuse a message, or nothing.
std::optional<std::string> WhyCoreRefuses(std::string_view message);

}  // namespace nsenter::parent
