// SPDX-License-Identifier: Apache-2.0
//
// A program that looks as if it had a sanitizer.

#include "machine.h"

#include <gtest/gtest.h>

// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the name is the sanitizer's
extern "C" void __msan_init();
extern "C" void __msan_init() {}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

namespace nsenter {
namespace {

TEST(Machine, HasASanitizerHere) { EXPECT_TRUE(machine::HasSanitizer()); }

}  // namespace
}  // namespace nsenter
