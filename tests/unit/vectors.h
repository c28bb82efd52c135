// SPDX-License-Identifier: Apache-2.0
//
// A reader of tests/conformance/vectors: its README.md describes the format.

#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nsenter::test {

/// One vector: its lines in their order, and the message that they make up.
struct Vector {
  std::string name;
  std::vector<std::pair<std::string, std::string>> lines;  // keys and values
  std::string message;                                     // all of `hex` and `fill`

  /// The values of all lines with this key.
  [[nodiscard]] std::vector<std::string> All(std::string_view key) const;
  /// The value of the only line with this key; empty if there is none.
  [[nodiscard]] std::string Only(std::string_view key) const;
};

/// The vectors of one file. An error in the format fails the test; `file` is its name
/// there.
std::vector<Vector> ParseVectors(std::string_view file, std::string_view text);

/// Turns a message into what a parent on a machine of the other byte order sends, as far as the
/// lengths in it make sense: no parser gets further.
void SwapByteOrder(std::string& message);

/// The vectors of all files in `folder`, with messages in the byte order of this machine. That
/// there are none fails the test.
std::vector<Vector> ReadVectors(const std::string& folder);

}  // namespace nsenter::test
