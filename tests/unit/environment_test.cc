// SPDX-License-Identifier: Apache-2.0

#include "environment.h"

#include "child.h"
#include "expect.h"

#include <cstdlib>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>

namespace nsenter {
namespace {

bool Asks(const char* init_pid, const char* init_pipe) {
  return Environment{init_pid, init_pipe, "/dev/pts/0", "4", "5"}.AsksForSomething();
}

TEST(Environment, AsksForSomethingWithAnInitPidOrAnInitPipe) {
  EXPECT_FALSE(Asks(nullptr, nullptr));
  EXPECT_TRUE(Asks("1", nullptr));
  EXPECT_TRUE(Asks("", nullptr)) << "that is an error to report";
  EXPECT_TRUE(Asks(nullptr, "3"));
}

TEST(Environment, IsReadAndLeftAsItIs) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    setenv("_LIBCONTAINER_INITPID", "1", 1);
    setenv("_LIBCONTAINER_INITPIPE", "2", 1);
    setenv("_LIBCONTAINER_CONSOLE_PATH", "3", 1);
    setenv("_LIBCONTAINER_LOGPIPE", "4", 1);
    setenv("_LIBCONTAINER_LOGLEVEL", "5", 1);
    const Environment environment = Environment::Read();
    EXPECT_STREQ(environment.init_pid, "1");
    EXPECT_STREQ(environment.init_pipe, "2");
    EXPECT_STREQ(environment.console_path, "3");
    EXPECT_STREQ(environment.log_pipe, "4");
    EXPECT_STREQ(environment.log_level, "5");
    EXPECT_STREQ(getenv("_LIBCONTAINER_INITPID"), "1");
  }));
}

TEST(Environment, TakesEmptyForUnsetButForInitPidAndConsole) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    clearenv();
    const Environment unset = Environment::Read();
    EXPECT_EQ(unset.init_pid, nullptr);
    EXPECT_EQ(unset.console_path, nullptr);
    EXPECT_EQ(unset.log_level, nullptr);
    for (const char* const name : {"INITPID", "INITPIPE", "CONSOLE_PATH", "LOGPIPE", "LOGLEVEL"}) {
      setenv((std::string("_LIBCONTAINER_") + name).c_str(), "", 1);
    }
    const Environment empty = Environment::Read();
    EXPECT_STREQ(empty.init_pid, "");
    EXPECT_EQ(empty.init_pipe, nullptr);
    EXPECT_STREQ(empty.console_path, "");
    EXPECT_EQ(empty.log_pipe, nullptr);
    EXPECT_EQ(empty.log_level, nullptr);
  }));
}

TEST(ParseNumber, TakesCanonicalDecimals) {
  EXPECT_EQ(ParseNumber("NAME", "0").value(), 0);
  EXPECT_EQ(ParseNumber("NAME", "7").value(), 7);
  EXPECT_EQ(ParseNumber("NAME", "10").value(), 10);
  EXPECT_EQ(ParseNumber("NAME", "2147483647").value(), 2147483647);
}

TEST(ParseNumber, NamesTheVariableAndItsValue) {
  for (const std::string value :
       {"", " ", "07", "00", "+7", "-7", "-0", " 7", "7 ", "7x", "x", "0x7", "7.0", "7\n",
        "\xd9\xa7", "7/", "7:", "x4294967296", "02147483648"}) {
    EXPECT_ERROR(ParseNumber("NAME", value.c_str()),
                 "invalid NAME \"" + value + "\": not a decimal number");
  }
  for (const std::string value : {"2147483648", "4294967299", "18446744073709551619",
                                  "99999999999999999999999999999999999999"}) {
    EXPECT_ERROR(ParseNumber("NAME", value.c_str()),
                 "invalid NAME \"" + value + "\": out of range");
  }
  EXPECT_ERROR(ParseNumber("NAME", nullptr), "NAME is not set");
}

TEST(ParseOpenFd, TakesADescriptorThatIsOpenForThat) {
  const int both = open("/dev/null", O_RDWR | O_CLOEXEC);
  const int writing = open("/dev/null", O_WRONLY | O_CLOEXEC);
  const int reading = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const auto parse = [](int fd, int access) {
    return test::Describe(ParseOpenFd("NAME", std::to_string(fd).c_str(), access));
  };
  const auto refusal = [](int fd, const std::string& why) {
    return "invalid NAME \"" + std::to_string(fd) + "\": " + why;
  };
  EXPECT_EQ(parse(both, O_RDWR), "success");
  EXPECT_EQ(parse(both, O_WRONLY), "success");
  EXPECT_EQ(parse(writing, O_WRONLY), "success");
  EXPECT_EQ(parse(writing, O_RDWR), refusal(writing, "not open for reading and writing"));
  EXPECT_EQ(parse(reading, O_RDWR), refusal(reading, "not open for reading and writing"));
  EXPECT_EQ(parse(reading, O_WRONLY), refusal(reading, "not open for writing"));
  for (const int fd : {both, writing, reading}) close(fd);
  EXPECT_EQ(parse(both, O_WRONLY), refusal(both, "Bad file descriptor"));
}

TEST(ParseOpenFd, TakesNoDescriptorThatIsOnlyAPath) {
  const int fd = open("/dev/null", O_PATH | O_CLOEXEC);
  EXPECT_FALSE(ParseOpenFd("NAME", std::to_string(fd).c_str(), O_WRONLY).ok());
  close(fd);
}

/// What is said of a parent that sets these variables.
std::string Refuse(const char* first, const char* second = nullptr) {
  clearenv();
  setenv(first, "x", 1);
  if (second != nullptr) setenv(second, "x", 1);
  return test::Describe(RefuseOlderReleases());
}

TEST(RefuseOlderReleases, NamesThem) {
  test::ExpectSilentSuccess(test::RunInChild([] {
    EXPECT_EQ(Refuse("_LIBCONTAINER_MOUNT_FDS"),
              "the parent is runc 1.1 (_LIBCONTAINER_MOUNT_FDS is set), this nsexec serves 1.2.0 "
              "and newer");
    EXPECT_EQ(Refuse("_LIBCONTAINER_STATEDIR"),
              "the parent is runc 1.1 or older (_LIBCONTAINER_STATEDIR is set, "
              "_LIBCONTAINER_SYNCPIPE is not), this nsexec serves 1.2.0 and newer");
    EXPECT_EQ(Refuse("_LIBCONTAINER_STATEDIR", "_LIBCONTAINER_SYNCPIPE"), "success");
    EXPECT_EQ(Refuse("_LIBCONTAINER_SYNCPIPE"), "success");
  }));
}

}  // namespace
}  // namespace nsenter
