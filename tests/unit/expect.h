// SPDX-License-Identifier: Apache-2.0
//
// Comparing a Status or Result with what it should be.

#pragma once

#include "error.h"

#include <cstring>
#include <gtest/gtest.h>
#include <string>

namespace nsenter::test {

/// An error as it is printed: its text and, if a system call failed, strerror's. "success" if there
/// is none, "reported" if somebody else has printed it.
template <typename StatusOrResult>
std::string Describe(const StatusOrResult& outcome) {
  if (outcome.ok()) return "success";
  if (outcome.error().reported()) return "reported";
  std::string text(outcome.error().text());
  if (outcome.error().code() != 0) {
    text += std::string(": ") +
            std::strerror(outcome.error().code());  // NOLINT(concurrency-mt-unsafe): one thread
  }
  return text;
}

}  // namespace nsenter::test

#define EXPECT_SUCCESS(expression) EXPECT_EQ(::nsenter::test::Describe(expression), "success")
#define EXPECT_ERROR(expression, text) EXPECT_EQ(::nsenter::test::Describe(expression), text)
