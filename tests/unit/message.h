// SPDX-License-Identifier: Apache-2.0
//
// The bytes of the protocol, as C++ code of tests has them: bootstrap messages and replies, right
// or wrong. For the tests in this folder, tests/fuzz, tests/faults/inject and
// tests/bench/stopwatch. Those whose messages have to be right do not use parent/ for them either:
// it leaves out what is zero, which runc sends, and asks the core what it thinks of the rest.

#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>

namespace nsenter::test {

/// In this machine's byte order.
template <typename Number>
std::string Bytes(Number number) {
  std::string bytes(sizeof(number), '\0');
  std::memcpy(bytes.data(), &number, sizeof(number));
  return bytes;
}

/// A text as attributes have it.
inline std::string Text(std::string text) {
  text.push_back('\0');
  return text;
}

inline std::string Attribute(std::uint16_t type, std::string_view value) {
  std::string bytes = Bytes(static_cast<std::uint16_t>(4 + value.size())) + Bytes(type);
  bytes.append(value);
  bytes.append((4 - bytes.size() % 4) % 4, '\0');
  return bytes;
}

inline std::string NumberAttribute(std::uint16_t type, std::uint32_t number) {
  return Attribute(type, Bytes(number));
}

inline std::string TextAttribute(std::uint16_t type, std::string text) {
  return Attribute(type, Text(std::move(text)));
}

/// The header before a message's attributes; whoever reads it ignores what stands in the `rest`.
inline std::string Header(std::uint32_t size, std::uint16_t type = 62000, char rest = '\0') {
  return Bytes(size) + Bytes(type) + std::string(10, rest);
}

inline std::string Message(const std::string& attributes) {
  return Header(static_cast<std::uint32_t>(16 + attributes.size())) + attributes;
}

/// What is named where there was no helper: nobody.
inline constexpr pid_t kNoStage1 = 0x7fffffff;

/// The pids of a reply. Only one is in the classic one.
struct Reply {
  pid_t stage1 = kNoStage1;
  pid_t init = 0;
  bool whole = false;  // it is exactly what it should be
};

inline Reply ParseReply(const std::string& text, bool classic) {
  Reply reply;
  int end = 0;
  if (classic) {
    std::sscanf(text.c_str(), "{ \"pid\" : %d }\n%n", &reply.init, &end);
  } else {
    std::sscanf(text.c_str(), "{\"stage1_pid\":%d,\"stage2_pid\":%d}\n%n", &reply.stage1,
                &reply.init, &end);
  }
  reply.whole = end > 0 && static_cast<std::size_t>(end) == text.size() && text.back() == '\n';
  return reply;
}

}  // namespace nsenter::test
