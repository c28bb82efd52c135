// SPDX-License-Identifier: Apache-2.0

#include "memory.h"

#include "scripted_kernel.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <string>

namespace nsenter {
namespace {

using test::ScriptedKernel;

std::string Reason(const NewProcess& process, const std::string& script) {
  const ScriptedKernel kernel(script);
  return std::string(ReasonToCopy(process));
}

class ReasonToCopyTest : public testing::Test {
 protected:
  // Whatever the environment that the tests are run in says.
  ReasonToCopyTest() { unsetenv("NSEXEC_COPY_MEMORY"); }
};

TEST_F(ReasonToCopyTest, IsNoneWhereNothingIsSpecial) { EXPECT_EQ(Reason({}, "uname()"), ""); }

// The kernel is asked only if all else is well.
TEST_F(ReasonToCopyTest, IsWhatIsSpecialAboutTheProcess) {
  EXPECT_EQ(Reason({.enters_time_namespace = true}, ""), "it enters a new time namespace");
  EXPECT_EQ(Reason({.takes_console = true}, ""), "it takes a console");
  EXPECT_EQ(Reason({.has_more_privileges = true}, ""), "others could get at its privileges");
}

TEST_F(ReasonToCopyTest, IsTheMachineOrTheBuild) {
  EXPECT_EQ(Reason({}, "memory is copied"), "this was built with NSEXEC_COPY_MEMORY");
  EXPECT_EQ(Reason({}, "there is a sanitizer"), "the program has a sanitizer");
  EXPECT_EQ(Reason({}, "there is a shadow stack"), "there is a shadow stack");
}

TEST_F(ReasonToCopyTest, IsTheVariable) {
  for (const char* const value : {"1", "0", "no", " "}) {
    setenv("NSEXEC_COPY_MEMORY", value, 1);
    EXPECT_EQ(Reason({}, ""), "NSEXEC_COPY_MEMORY is set") << value;
  }
  setenv("NSEXEC_COPY_MEMORY", "", 1);
  EXPECT_EQ(Reason({}, "uname()"), "") << "empty is not set";
  unsetenv("NSEXEC_COPY_MEMORY");
}

TEST_F(ReasonToCopyTest, IsAKernelThatIsTooOld) {
  const std::string old = "the kernel is older than 4.8";
  for (const std::string release :
       {"4.7.0", "4.7", "4.0.8", "4.4.0", "3.10.0-1160.el7.x86_64", "3.19", "2.6.32", "0.9", "4",
        "4.", "", "x", "v5.10", "4.-8", "4.x8", "4x.8"}) {
    EXPECT_EQ(Reason({}, "uname() = \"" + release + "\""), old) << release;
  }
  for (const std::string release :
       {"4.8.0", "4.8", "4.8-rc1", "4.9.0-19-amd64", "4.10", "4.19.3", "5.0", "5.4",
        "6.1.0-13-amd64", "10.0", "10.7.1", "5", "40.1"}) {
    EXPECT_EQ(Reason({}, "uname() = \"" + release + "\""), "") << release;
  }
  EXPECT_EQ(Reason({}, "uname() = EPERM"), old);
}

}  // namespace
}  // namespace nsenter
