// SPDX-License-Identifier: Apache-2.0

#include "namespaces.h"

#include "expect.h"
#include "scripted_kernel.h"
#include "scripts.h"

#include <gtest/gtest.h>
#include <initializer_list>
#include <string>
#include <string_view>

namespace nsenter {
namespace {

using test::ScriptedKernel;

Bootstrap Join(std::initializer_list<NamespacePath> joins) {
  Bootstrap bootstrap;
  for (const NamespacePath& join : joins) bootstrap.joins[bootstrap.join_count++] = join;
  return bootstrap;
}

std::string JoinAll(std::initializer_list<NamespacePath> joins) {
  return test::Describe(JoinNamespaces(Join(joins), Log("")));
}

constexpr NamespaceType kIpc = {"ipc", CLONE_NEWIPC};
constexpr NamespaceType kMnt = {"mnt", CLONE_NEWNS};
constexpr NamespaceType kNet = {"net", CLONE_NEWNET};
constexpr NamespaceType kUser = {"user", CLONE_NEWUSER};

/// The script of a debug line on descriptor 9, and the log that writes there.
std::string Logged(std::string_view text) {
  return "logs 9 debug \"[42]: " + std::string(text) + "\"\n";
}
Log DebugLog() {
  Log log("");
  log.SendTo(9);
  return log;
}

std::string Opened(std::string_view path, int fd) {
  return "openat(AT_FDCWD, \"" + std::string(path) +
         "\", O_RDONLY|O_CLOEXEC|O_NONBLOCK|O_NOCTTY) = " + std::to_string(fd) + "\n";
}

std::string Joined(int fd, const std::string& flags) {
  const std::string number = std::to_string(fd);
  return "\nsetns(" + number + ", " + flags + ")\nclose(" + number + ")\n";
}

// What is found out about the user namespace that is open as fd 5.
constexpr const char* kForeign = R"(
    fstat(5) = [4, 100]
    fstatat(AT_FDCWD, "/proc/self/ns/user", 0) = [4, 99]
)";

// Then it is joined.
constexpr const char* kJoinedUser = R"(
    setns(5, CLONE_NEWUSER)
    close(5)
    setresuid(0)
)";

// That /proc shows pids as this process has them.
constexpr const char* kTrustsProc = R"(
    readlink("/proc/self") = "42"
    getpid() = 42
)";

// One namespace after the other.

TEST(JoinNamespaces, OpensAllPathsBeforeItJoinsTheFirst) {
  const ScriptedKernel kernel(Opened("/n/net", 5) + Opened("/n/mnt", 6) + Opened("/n/ipc", 7) +
                              Joined(5, "CLONE_NEWNET") + Joined(6, "CLONE_NEWNS") +
                              Joined(7, "CLONE_NEWIPC"));
  EXPECT_EQ(JoinAll({{kNet, "/n/net"}, {kMnt, "/n/mnt"}, {kIpc, "/n/ipc"}}), "success");
}

TEST(JoinNamespaces, TakesAnyDescriptor) {
  const ScriptedKernel kernel(Opened("/n/net", 0) + Joined(0, "CLONE_NEWNET"));
  EXPECT_EQ(JoinAll({{kNet, "/n/net"}}), "success");
}

TEST(JoinNamespaces, JoinsNothingIfOneCannotBeOpened) {
  const ScriptedKernel kernel(Opened("/n/net", 5) + R"(
    openat(AT_FDCWD, "/n/mnt", O_RDONLY|O_CLOEXEC|O_NONBLOCK|O_NOCTTY) = EPERM
    close(5)
  )");
  EXPECT_EQ(JoinAll({{kNet, "/n/net"}, {kMnt, "/n/mnt"}}),
            "failed to open mnt namespace /n/mnt: Operation not permitted");
}

TEST(JoinNamespaces, TriesWhatIsRefusedAgainFromInsideTheUserNamespace) {
  const ScriptedKernel kernel(Opened("/n/user", 5) + kForeign + Opened("/n/net", 6) +
                              Opened("/n/ipc", 7) + R"(
    setns(6, CLONE_NEWNET) = EPERM
    setns(7, CLONE_NEWIPC)
    close(7)
    setns(5, CLONE_NEWUSER)
    close(5)
    setresuid(0)
    setns(6, CLONE_NEWNET)
    close(6)
  )");
  EXPECT_EQ(JoinAll({{kUser, "/n/user"}, {kNet, "/n/net"}, {kIpc, "/n/ipc"}}), "success");
}

TEST(JoinNamespaces, NamesEachThatIsRefusedInTheEnd) {
  const ScriptedKernel kernel(Opened("/n/net", 5) + Opened("/n/mnt", 6) + Opened("/n/ipc", 7) + R"(
    setns(5, CLONE_NEWNET) = EPERM
    setns(6, CLONE_NEWNS)
    close(6)
    setns(7, CLONE_NEWIPC) = EPERM
    setns(5, CLONE_NEWNET) = EPERM
    setns(7, CLONE_NEWIPC) = EPERM
    close(7)
    close(5)
  )");
  EXPECT_EQ(JoinAll({{kNet, "/n/net"}, {kMnt, "/n/mnt"}, {kIpc, "/n/ipc"}}),
            "failed to join net namespace /n/net, ipc namespace /n/ipc: Operation not permitted");
}

TEST(JoinNamespaces, StopsAtAnyOtherError) {
  const ScriptedKernel kernel(Opened("/n/net", 5) + R"(
    setns(5, CLONE_NEWNET) = ENOMEM
    close(5)
  )");
  EXPECT_EQ(JoinAll({{kNet, "/n/net"}}),
            "failed to join net namespace /n/net: Cannot allocate memory");
}

TEST(JoinNamespaces, StopsAtAnyOtherErrorFromInsideTheUserNamespace) {
  const ScriptedKernel kernel(Opened("/n/user", 5) + kForeign + Opened("/n/net", 6) + R"(
    setns(6, CLONE_NEWNET) = EPERM
    setns(5, CLONE_NEWUSER)
    close(5)
    setresuid(0)
    setns(6, CLONE_NEWNET) = ENOMEM
    close(6)
  )");
  EXPECT_EQ(JoinAll({{kUser, "/n/user"}, {kNet, "/n/net"}}),
            "failed to join net namespace /n/net: Cannot allocate memory");
}

TEST(JoinNamespaces, SaysWhatIsNoNamespace) {
  const ScriptedKernel kernel(Opened("/n/file", 5) + R"(
    setns(5, CLONE_NEWNET) = EINVAL
    fstatfs(5) = 16914836
    close(5)
  )");
  EXPECT_EQ(JoinAll({{kNet, "/n/file"}}),
            "failed to join net namespace /n/file: it is no namespace");
}

TEST(JoinNamespaces, SaysWhatIsAnotherNamespace) {
  const ScriptedKernel kernel(Opened("/n/uts", 5) + R"(
    setns(5, CLONE_NEWNET) = EINVAL
    fstatfs(5) = NSFS_MAGIC
    ioctl(5, NS_GET_NSTYPE) = CLONE_NEWUTS
    close(5)
  )");
  EXPECT_EQ(JoinAll({{kNet, "/n/uts"}}),
            "failed to join net namespace /n/uts: it is a uts namespace");
}

TEST(JoinNamespaces, LeavesTheKernelsWordWhereTheTypeIsRight) {
  const ScriptedKernel kernel(Opened("/n/mnt", 5) + R"(
    setns(5, CLONE_NEWNS) = EINVAL
    fstatfs(5) = NSFS_MAGIC
    ioctl(5, NS_GET_NSTYPE) = CLONE_NEWNS
    close(5)
  )");
  EXPECT_EQ(JoinAll({{kMnt, "/n/mnt"}}), "failed to join mnt namespace /n/mnt: Invalid argument");
}

// The user namespace.

TEST(JoinNamespaces, SkipsTheOwnUserNamespaceAndBecomesUidZeroInIt) {
  const ScriptedKernel kernel(Opened("/n/user", 5) + R"(
    fstat(5) = [4, 100]
    fstatat(AT_FDCWD, "/proc/self/ns/user", 0) = [4, 100]
    close(5)
    setresuid(0)
  )");
  EXPECT_EQ(JoinAll({{kUser, "/n/user"}}), "success");
}

TEST(JoinNamespaces, TakesNoUserNamespaceOfAnotherDeviceForItsOwn) {
  const ScriptedKernel kernel(Opened("/n/user", 5) + R"(
    fstat(5) = [5, 100]
    fstatat(AT_FDCWD, "/proc/self/ns/user", 0) = [4, 100]
    setns(5, CLONE_NEWUSER)
    close(5)
    setresuid(0)
  )");
  EXPECT_EQ(JoinAll({{kUser, "/n/user"}}), "success");
}

TEST(JoinNamespaces, MustKnowWhetherAUserNamespaceIsItsOwn) {
  {
    const ScriptedKernel kernel(Opened("/n/user", 5) + R"(
      fstat(5) = EPERM
      close(5)
    )");
    EXPECT_EQ(JoinAll({{kUser, "/n/user"}}),
              "failed to look at the user namespace to join: Operation not permitted");
  }
  const ScriptedKernel kernel(Opened("/n/user", 5) + R"(
    fstat(5) = [4, 100]
    fstatat(AT_FDCWD, "/proc/self/ns/user", 0) = EPERM
    close(5)
  )");
  EXPECT_EQ(JoinAll({{kUser, "/n/user"}}),
            "failed to look at /proc/self/ns/user: Operation not permitted");
}

// /proc is that of the container once its mount namespace is joined: it may be missing there, or
// say what the container wants.
TEST(JoinNamespaces, LooksAtItsOwnUserNamespaceBeforeItJoinsAMountNamespace) {
  const ScriptedKernel kernel(Opened("/n/user", 5) + kForeign + Opened("/n/mnt", 6) +
                              Joined(6, "CLONE_NEWNS") + kJoinedUser);
  EXPECT_EQ(JoinAll({{kUser, "/n/user"}, {kMnt, "/n/mnt"}}), "success");
}

TEST(JoinNamespaces, MustBecomeUidZero) {
  const ScriptedKernel kernel(Opened("/n/user", 5) + kForeign + R"(
    setns(5, CLONE_NEWUSER)
    close(5)
    setresuid(0) = EPERM
  )");
  EXPECT_EQ(JoinAll({{kUser, "/n/user"}}), "failed to become uid 0: Operation not permitted");
}

TEST(JoinNamespaces, MayNotBeRefusedTheUserNamespace) {
  const ScriptedKernel kernel(Opened("/n/user", 5) + kForeign + R"(
    setns(5, CLONE_NEWUSER) = EPERM
    close(5)
  )");
  EXPECT_EQ(JoinAll({{kUser, "/n/user"}}),
            "failed to join user namespace /n/user: Operation not permitted");
}

TEST(JoinNamespaces, SaysWhichNamespacesItHasJoined) {
  const ScriptedKernel kernel(Opened("/n/user", 5) + kForeign + Opened("/n/net", 6) +
                              "setns(6, CLONE_NEWNET)\n" + Logged("joined net namespace /n/net") +
                              "close(6)\n" + "setns(5, CLONE_NEWUSER)\n" +
                              Logged("joined user namespace /n/user") + "close(5)\nsetresuid(0)");
  EXPECT_SUCCESS(JoinNamespaces(Join({{kUser, "/n/user"}, {kNet, "/n/net"}}), DebugLog()));
}

TEST(JoinNamespaces, SaysThatItIsInAUserNamespaceAlready) {
  const ScriptedKernel kernel(Opened("/n/user", 5) + R"(
    fstat(5) = [4, 100]
    fstatat(AT_FDCWD, "/proc/self/ns/user", 0) = [4, 100]
  )" + Logged("already in user namespace /n/user") +
                              "close(5)\nsetresuid(0)");
  EXPECT_SUCCESS(JoinNamespaces(Join({{kUser, "/n/user"}}), DebugLog()));
}

// All at once.

TEST(JoinNamespaces, JoinsAllNamespacesOfOneProcessAtOnce) {
  const ScriptedKernel kernel(kTrustsProc + std::string(R"(
    pidfd_open(77) = 5
    setns(5, CLONE_NEWNS|CLONE_NEWNET)
    close(5)
  )"));
  EXPECT_EQ(JoinAll({{kMnt, "/proc/77/ns/mnt"}, {kNet, "/proc/77/ns/net"}}), "success");
}

TEST(JoinNamespaces, JoinsAForeignUserNamespaceWithTheOthers) {
  const ScriptedKernel kernel(kTrustsProc + std::string(R"(
    fstatat(AT_FDCWD, "/proc/77/ns/user", 0) = [4, 100]
    fstatat(AT_FDCWD, "/proc/self/ns/user", 0) = [4, 99]
    pidfd_open(77) = 5
    setns(5, CLONE_NEWNET|CLONE_NEWUSER)
    close(5)
    setresuid(0)
  )"));
  EXPECT_EQ(JoinAll({{kUser, "/proc/77/ns/user"}, {kNet, "/proc/77/ns/net"}}), "success");
}

// A message may have id maps too, which nobody uses.
TEST(JoinNamespaces, JoinsAllThereAreAtOnce) {
  const ScriptedKernel kernel(kTrustsProc + std::string(R"(
    fstatat(AT_FDCWD, "/proc/77/ns/user", 0) = [4, 100]
    fstatat(AT_FDCWD, "/proc/self/ns/user", 0) = [4, 99]
    pidfd_open(77) = 5
    setns(5, CLONE_NEWCGROUP|CLONE_NEWIPC|CLONE_NEWNS|CLONE_NEWNET|CLONE_NEWPID|CLONE_NEWTIME|CLONE_NEWUTS|CLONE_NEWUSER)
    close(5)
    setresuid(0)
  )"));
  Bootstrap bootstrap;
  std::string paths[kNamespaceTypeCount];
  for (const NamespaceType& type : kNamespaceTypes) {
    std::string& path = paths[bootstrap.join_count];
    path = "/proc/77/ns/" + std::string(type.name);
    bootstrap.joins[bootstrap.join_count++] = {type, path};
  }
  bootstrap.uid_map.text = "0 0 1\n";
  bootstrap.gid_map.text = "0 0 1\n";
  EXPECT_SUCCESS(JoinNamespaces(bootstrap, Log("")));
}

TEST(JoinNamespaces, SaysThatItHasJoinedAllAtOnce) {
  const ScriptedKernel kernel(kTrustsProc + std::string(R"(
    pidfd_open(77) = 5
    setns(5, CLONE_NEWNS|CLONE_NEWNET)
    close(5)
  )") + Logged("joined 2 namespaces of process 77 at once"));
  EXPECT_SUCCESS(
      JoinNamespaces(Join({{kMnt, "/proc/77/ns/mnt"}, {kNet, "/proc/77/ns/net"}}), DebugLog()));
}

TEST(JoinNamespaces, KnowsAProcessByAnyPid) {
  for (const std::string pid : {"1", "1909", "123456789"}) {
    const ScriptedKernel kernel(kTrustsProc + std::string("pidfd_open(") + pid + R"() = 5
      setns(5, CLONE_NEWNS|CLONE_NEWNET)
      close(5)
    )");
    const std::string mnt = "/proc/" + pid + "/ns/mnt";
    const std::string net = "/proc/" + pid + "/ns/net";
    EXPECT_EQ(JoinAll({{kMnt, mnt}, {kNet, net}}), "success") << pid;
  }
}

TEST(JoinNamespaces, TakesNoLargerNumberForAPid) {
  const ScriptedKernel kernel(Opened("/proc/1234567890/ns/mnt", 5) +
                              Opened("/proc/1234567890/ns/net", 6) + Joined(5, "CLONE_NEWNS") +
                              Joined(6, "CLONE_NEWNET"));
  EXPECT_EQ(JoinAll({{kMnt, "/proc/1234567890/ns/mnt"}, {kNet, "/proc/1234567890/ns/net"}}),
            "success");
}

TEST(JoinNamespaces, JoinsASingleNamespaceOfAProcessByItsPath) {
  const ScriptedKernel kernel(Opened("/proc/77/ns/net", 5) + Joined(5, "CLONE_NEWNET"));
  EXPECT_EQ(JoinAll({{kNet, "/proc/77/ns/net"}}), "success");
}

TEST(JoinNamespaces, JoinsByPathIfInDoubtWhoseTheUserNamespaceIs) {
  const std::string by_path = Opened("/proc/77/ns/user", 5) + kForeign +
                              Opened("/proc/77/ns/net", 6) + Joined(6, "CLONE_NEWNET") +
                              kJoinedUser;
  for (const char* const doubt : {R"(
        fstatat(AT_FDCWD, "/proc/77/ns/user", 0) = EPERM)",
                                  R"(
        fstatat(AT_FDCWD, "/proc/77/ns/user", 0) = [4, 100]
        fstatat(AT_FDCWD, "/proc/self/ns/user", 0) = EPERM)"}) {
    std::string script = kTrustsProc;
    script.append(doubt).append("\n").append(by_path);
    const ScriptedKernel kernel(script);
    EXPECT_EQ(JoinAll({{kUser, "/proc/77/ns/user"}, {kNet, "/proc/77/ns/net"}}), "success");
  }
}

TEST(JoinNamespaces, DoesNotJoinItsOwnUserNamespaceWithTheOthers) {
  const ScriptedKernel kernel(kTrustsProc + std::string(R"(
    fstatat(AT_FDCWD, "/proc/77/ns/user", 0) = [4, 99]
    fstatat(AT_FDCWD, "/proc/self/ns/user", 0) = [4, 99]
  )") + Opened("/proc/77/ns/user", 5) +
                              R"(
    fstat(5) = [4, 99]
    fstatat(AT_FDCWD, "/proc/self/ns/user", 0) = [4, 99]
  )" + Opened("/proc/77/ns/net", 6) +
                              R"(
    setns(6, CLONE_NEWNET)
    close(6)
    close(5)
    setresuid(0)
  )");
  EXPECT_EQ(JoinAll({{kUser, "/proc/77/ns/user"}, {kNet, "/proc/77/ns/net"}}), "success");
}

TEST(JoinNamespaces, FallsBackToThePassesWhateverThePidfdSays) {
  for (const std::string error : {"EPERM", "ENOSYS", "EINVAL", "ESRCH"}) {
    for (const std::string& first :
         {"pidfd_open(77) = " + error + "\n",
          "pidfd_open(77) = 5\nsetns(5, CLONE_NEWNS|CLONE_NEWNET) = " + error + "\nclose(5)\n"}) {
      const ScriptedKernel kernel(kTrustsProc + first + Opened("/proc/77/ns/mnt", 5) +
                                  Opened("/proc/77/ns/net", 6) + Joined(5, "CLONE_NEWNS") +
                                  Joined(6, "CLONE_NEWNET"));
      EXPECT_EQ(JoinAll({{kMnt, "/proc/77/ns/mnt"}, {kNet, "/proc/77/ns/net"}}), "success");
    }
  }
}

TEST(JoinNamespaces, TrustsNoPidOfAnotherPidNamespace) {
  const ScriptedKernel kernel("readlink(\"/proc/self\") = \"43\"\ngetpid() = 42\n" +
                              Opened("/proc/77/ns/mnt", 5) + Opened("/proc/77/ns/net", 6) +
                              Joined(5, "CLONE_NEWNS") + Joined(6, "CLONE_NEWNET"));
  EXPECT_EQ(JoinAll({{kMnt, "/proc/77/ns/mnt"}, {kNet, "/proc/77/ns/net"}}), "success");
}

TEST(JoinNamespaces, TakesOnlyPathsThatAreExactlyOneProcess) {
  constexpr std::string_view kMntPath = "/proc/77/ns/mnt";
  for (const std::string_view net :
       {"/proc/78/ns/net", "/proc/77/ns/net ", "/proc/077/ns/net", "/proc/77/ns/../ns/net",
        "/proc/self/ns/net", "/proc//ns/net", "/proc/", "/proc/77/task/77/ns/net", "/run/77/ns/net",
        "/proc/77/ns/uts", "/proc/0/ns/net", "/proc/4294967373/ns/net"}) {
    const ScriptedKernel kernel(Opened(kMntPath, 5) + Opened(net, 6) + Joined(5, "CLONE_NEWNS") +
                                Joined(6, "CLONE_NEWNET"));
    EXPECT_EQ(JoinAll({{kMnt, kMntPath}, {kNet, net}}), "success") << net;
  }
}

TEST(JoinNamespaces, DoesNothingForNothing) {
  const ScriptedKernel kernel("");
  EXPECT_EQ(JoinAll({}), "success");
}

// Creating.

TEST(CreateNamespaces, DoesNothingForNothing) {
  const ScriptedKernel kernel("");
  EXPECT_SUCCESS(CreateNamespaces(0));
}

TEST(CreateNamespaces, TriesAgainAfterASpuriousRefusal) {
  const ScriptedKernel kernel(R"(
    unshare(CLONE_NEWNS) = EINVAL
    unshare(CLONE_NEWNS) = EINVAL
    unshare(CLONE_NEWNS)
  )");
  EXPECT_SUCCESS(CreateNamespaces(CLONE_NEWNS));
}

TEST(CreateNamespaces, TriesFiveTimesAtMost) {
  const ScriptedKernel kernel(R"(
    unshare(CLONE_NEWTIME|CLONE_NEWUTS) = EINVAL
    unshare(CLONE_NEWTIME|CLONE_NEWUTS) = EINVAL
    unshare(CLONE_NEWTIME|CLONE_NEWUTS) = EINVAL
    unshare(CLONE_NEWTIME|CLONE_NEWUTS) = EINVAL
    unshare(CLONE_NEWTIME|CLONE_NEWUTS) = EINVAL
  )");
  EXPECT_ERROR(CreateNamespaces(CLONE_NEWTIME | CLONE_NEWUTS),
               "failed to create namespaces: time uts: Invalid argument");
}

TEST(CreateNamespaces, TriesOnceOtherwise) {
  const ScriptedKernel kernel("unshare(CLONE_NEWUSER) = EPERM");
  EXPECT_ERROR(CreateNamespaces(CLONE_NEWUSER),
               "failed to create namespaces: user: Operation not permitted");
}

}  // namespace
}  // namespace nsenter
