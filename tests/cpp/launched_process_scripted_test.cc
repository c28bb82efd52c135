// SPDX-License-Identifier: Apache-2.0

#include "launched_process.h"

#include "child.h"
#include "expect.h"
#include "scripted_kernel.h"

#include <gtest/gtest.h>
#include <string>

namespace nsenter {
namespace {

using test::ScriptedKernel;

constexpr const char* kOpenProc = R"(
  openat(AT_FDCWD, "/proc/self", O_PATH|O_DIRECTORY|O_CLOEXEC) = 3
  fstatfs(3) = PROC_SUPER_MAGIC
)";

/// What EnterNamespaces says, "pid N" where that is to be reported.
std::string Enter(const Bootstrap& bootstrap, const std::string& script, int log_fd = -1) {
  const ScriptedKernel kernel(script);
  Log log("");
  if (log_fd >= 0) log.SendTo(log_fd);
  const Result<pid_t> stage1 = EnterNamespaces(bootstrap, log);
  return stage1.ok() ? "pid " + std::to_string(stage1.value()) : test::Describe(stage1);
}

void JoinOne(Bootstrap& bootstrap) {
  bootstrap.joins[0] = {{"net", CLONE_NEWNET}, "/n/net"};
  bootstrap.join_count = 1;
}

constexpr const char* kJoinOne = R"(
  openat(AT_FDCWD, "/n/net", O_RDONLY|O_CLOEXEC|O_NONBLOCK|O_NOCTTY) = 7
  setns(7, CLONE_NEWNET)
  close(7)
)";

TEST(EnterNamespaces, TakesIdsEvenIfNothingIsEntered) {
  EXPECT_EQ(Enter({}, R"(
    setresuid(0)
    setresgid(0)
    getppid() = 41
  )"),
            "pid 41");
}

TEST(EnterNamespaces, WritesTheOomScoreBeforeAnythingElse) {
  Bootstrap bootstrap;
  bootstrap.oom_score_adj = "-999";
  JoinOne(bootstrap);
  EXPECT_EQ(Enter(bootstrap, std::string(kOpenProc) + R"(
    openat(3, "oom_score_adj", O_WRONLY|O_CLOEXEC) = 4
    write(4, "-999")
    close(4)
    prctl(PR_SET_DUMPABLE, 0)
  )" + kJoinOne + R"(
    setresuid(0)
    setresgid(0)
    prctl(PR_SET_DUMPABLE, 0)
    getppid() = 41
    close(3)
  )"),
            "pid 41");
}

TEST(EnterNamespaces, IsNotDumpableWhereItJoins) {
  Bootstrap bootstrap;
  JoinOne(bootstrap);
  EXPECT_EQ(Enter(bootstrap, "prctl(PR_SET_DUMPABLE, 0) = EPERM"),
            "failed to become non-dumpable: Operation not permitted");
}

// Entering a user namespace makes the process as dumpable as /proc/sys/fs/suid_dumpable says.
TEST(EnterNamespaces, IsNotDumpableAfterAUserNamespaceEither) {
  Bootstrap bootstrap;
  bootstrap.joins[0] = {{"user", CLONE_NEWUSER}, "/n/user"};
  bootstrap.join_count = 1;
  EXPECT_EQ(Enter(bootstrap, R"(
    prctl(PR_SET_DUMPABLE, 0)
    openat(AT_FDCWD, "/n/user", O_RDONLY|O_CLOEXEC|O_NONBLOCK|O_NOCTTY) = 7
    fstat(7) = [4, 100]
    fstatat(AT_FDCWD, "/proc/self/ns/user", 0) = [4, 99]
    setns(7, CLONE_NEWUSER)
    close(7)
    setresuid(0)
    prctl(PR_SET_DUMPABLE, 0)
    setresgid(0)
    prctl(PR_SET_DUMPABLE, 0)
    getppid() = 41
  )"),
            "pid 41");
}

TEST(EnterNamespaces, OpensTimeOffsetsFirstAndWritesThemLast) {
  Bootstrap bootstrap;
  bootstrap.clone_flags = CLONE_NEWTIME;
  bootstrap.time_offsets = "boottime 7 0\n";
  JoinOne(bootstrap);
  EXPECT_EQ(Enter(bootstrap, std::string(kOpenProc) + R"(
    openat(3, "timens_offsets", O_WRONLY|O_CLOEXEC) = 4
    prctl(PR_SET_DUMPABLE, 0)
  )" + kJoinOne + R"(
    unshare(CLONE_NEWTIME)
    write(4, "boottime 7 0\n")
    setresuid(0)
    setresgid(0)
    prctl(PR_SET_DUMPABLE, 0)
    getppid() = 41
    close(4)
    close(3)
  )"),
            "pid 41");
}

TEST(EnterNamespaces, IgnoresTimeOffsetsWithoutANewTimeNamespace) {
  Bootstrap bootstrap;
  bootstrap.time_offsets = "boottime 7 0\n";
  EXPECT_EQ(Enter(bootstrap, "setresuid(0)\nsetresgid(0)\ngetppid() = 41"), "pid 41");
}

TEST(EnterNamespaces, GivesUpGroupsUnlessRootless) {
  Bootstrap bootstrap;
  bootstrap.setgroups = true;
  EXPECT_EQ(Enter(bootstrap, "setresuid(0)\nsetresgid(0)\nsetgroups(0)\ngetppid() = 41"), "pid 41");
  bootstrap.rootless_euid = true;
  EXPECT_EQ(Enter(bootstrap, "setresuid(0)\nsetresgid(0)\ngetppid() = 41"), "pid 41");
}

TEST(EnterNamespaces, MustTakeItsIds) {
  Bootstrap bootstrap;
  bootstrap.setgroups = true;
  EXPECT_EQ(Enter(bootstrap, "setresuid(0) = EPERM"),
            "failed to become uid 0: Operation not permitted");
  EXPECT_EQ(Enter(bootstrap, "setresuid(0)\nsetresgid(0) = EPERM"),
            "failed to become gid 0: Operation not permitted");
  EXPECT_EQ(Enter(bootstrap, "setresuid(0)\nsetresgid(0)\nsetgroups(0) = EPERM"),
            "failed to give up the supplementary groups: Operation not permitted");
}

TEST(EnterNamespaces, WritesASingleMapItself) {
  Bootstrap bootstrap;
  bootstrap.clone_flags = CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWPID;
  bootstrap.rootless_euid = true;
  bootstrap.uid_map = ParseIdMap("UIDMAP", "0 1000 1\n").value();
  bootstrap.gid_map = ParseIdMap("GIDMAP", "0 2000 1\n").value();
  EXPECT_EQ(Enter(bootstrap, std::string(kOpenProc) + R"(
    geteuid() = 1000
    geteuid() = 1000
    getegid() = 2000
    unshare(CLONE_NEWUSER)
    getpid() = 42
    openat(3, "setgroups", O_WRONLY|O_CLOEXEC) = 4
    write(4, "deny")
    close(4)
    openat(3, "uid_map", O_WRONLY|O_CLOEXEC) = 4
    write(4, "0 1000 1\n")
    close(4)
    openat(3, "gid_map", O_WRONLY|O_CLOEXEC) = 4
    write(4, "0 2000 1\n")
    close(4)
    setresuid(0)
    unshare(CLONE_NEWNET|CLONE_NEWPID)
    setresgid(0)
    getppid() = 41
    close(3)
  )"),
            "pid 41");
}

// To write its map, root need not be dumpable.
TEST(EnterNamespaces, HidesRootThatWritesASingleMapItself) {
  Bootstrap bootstrap;
  bootstrap.clone_flags = CLONE_NEWUSER;
  bootstrap.rootless_euid = true;
  bootstrap.uid_map = ParseIdMap("UIDMAP", "0 0 1\n").value();
  bootstrap.gid_map = ParseIdMap("GIDMAP", "0 0 1\n").value();
  EXPECT_EQ(Enter(bootstrap, std::string(kOpenProc) + R"(
    geteuid() = 0
    prctl(PR_GET_DUMPABLE) = 1
    prctl(PR_SET_DUMPABLE, 0)
    geteuid() = 0
    getegid() = 0
    unshare(CLONE_NEWUSER)
    getpid() = 42
    openat(3, "setgroups", O_WRONLY|O_CLOEXEC) = 4
    write(4, "deny")
    close(4)
    openat(3, "uid_map", O_WRONLY|O_CLOEXEC) = 4
    write(4, "0 0 1\n")
    close(4)
    openat(3, "gid_map", O_WRONLY|O_CLOEXEC) = 4
    write(4, "0 0 1\n")
    close(4)
    geteuid() = 0
    setresuid(0)
    prctl(PR_SET_DUMPABLE, 1)
    setresgid(0)
    getppid() = 41
    close(3)
  )"),
            "pid 41");
}

// With a helper: it is cloned before anything is joined, and only who is not root opens a window.

Bootstrap WithHelper() {
  Bootstrap bootstrap;
  bootstrap.clone_flags = CLONE_NEWUSER;
  bootstrap.uid_map = ParseIdMap("UIDMAP", "0 1000 10\n").value();
  bootstrap.gid_map = ParseIdMap("GIDMAP", "0 2000 20\n").value();
  return bootstrap;
}

constexpr const char* kCopyHelper = R"(
    socketpair() = [5, 6]
    getpid() = 42
    prctl(PR_GET_TID_ADDRESS) = EINVAL
    get_robust_list() = ENOSYS
    clone(CLONE_PARENT, NULL) = 43
    close(5)
)";

constexpr const char* kEnd = R"(
    setresuid(0)
    setresgid(0)
    close(6)
    close(3)
)";

constexpr const char* kEndAfterJoin = R"(
    setresuid(0)
    setresgid(0)
    prctl(PR_SET_DUMPABLE, 0)
    close(6)
    close(3)
)";

constexpr const char* kShareHelper = R"(
    geteuid() = 0
    prctl(PR_GET_DUMPABLE) = 1
    prctl(PR_SET_DUMPABLE, 0)
    pipe2(O_CLOEXEC) = [5, 6]
    getpid() = 42
    clone(CLONE_PARENT|CLONE_VM|CLONE_CHILD_CLEARTID, a pointer, function) = 43
    close(5)
)";

// Until the helper is gone, nobody else is to get at the memory it shares; and until the process is
// another user, nobody who has root's uid, but not its capabilities, is to get at anything.
TEST(EnterNamespaces, IsNotDumpableUntilRootIsSomebodyElse) {
  EXPECT_EQ(Enter(WithHelper(), std::string(kOpenProc) + kShareHelper + R"(
    unshare(CLONE_NEWUSER)
    write(6, "w")
    futex(FUTEX_WAIT, 1) = EAGAIN
    futex(FUTEX_WAIT, 1) = "d"
    geteuid() = 65534
  )" + kEnd),
            "pid 43");
  EXPECT_EQ(Enter(WithHelper(), std::string(kOpenProc) + kShareHelper + R"(
    unshare(CLONE_NEWUSER)
    write(6, "w")
    futex(FUTEX_WAIT, 1) = "d"
    geteuid() = 0
    setresuid(0)
    prctl(PR_SET_DUMPABLE, 1)
    setresgid(0)
    close(6)
    close(3)
  )"),
            "pid 43");
  EXPECT_EQ(Enter(WithHelper(), std::string(kOpenProc) + kShareHelper + R"(
    unshare(CLONE_NEWUSER)
    write(6, "w")
    futex(FUTEX_WAIT, 1) = "f"
    close(6)
    close(3)
  )"),
            "reported");
  EXPECT_EQ(Enter(WithHelper(), std::string(kOpenProc) + kShareHelper + R"(
    unshare(CLONE_NEWUSER)
    write(6, "w") = EPIPE
    futex(FUTEX_WAIT, 1)
    close(6)
    close(3)
  )"),
            "the helper ended before it had written the id maps");
  EXPECT_EQ(Enter(WithHelper(), std::string(kOpenProc) + R"(
    geteuid() = 0
    prctl(PR_GET_DUMPABLE) = EPERM
    close(3)
  )"),
            "failed to find out whether we are dumpable: Operation not permitted");
  EXPECT_EQ(Enter(WithHelper(), std::string(kOpenProc) + R"(
    geteuid() = 0
    prctl(PR_GET_DUMPABLE) = 1
    prctl(PR_SET_DUMPABLE, 0) = EPERM
    close(3)
  )"),
            "failed to become non-dumpable: Operation not permitted");
}

// The frames that it may use must not change: the launched process ends where it is.
TEST(EnterNamespaces, DoesNotReturnIfItCannotWaitForTheHelpersEnd) {
  test::ExpectExit(test::RunInChild([&] {
                     ADD_FAILURE()
                         << "returned "
                         << Enter(WithHelper(), std::string(kOpenProc) + kShareHelper + R"(
    unshare(CLONE_NEWUSER)
    write(6, "w")
    futex(FUTEX_WAIT, 1) = EPERM
    poll(2, POLLOUT, 300) = POLLOUT
    write(2, "failed to wait for the helper's end: Operation not permitted\n")
    exit(1)
  )");
                   }),
                   1, "");
}

TEST(EnterNamespaces, SaysWhichProcessCannotWaitForTheHelpersEnd) {
  const std::string script = std::string(kOpenProc) + kShareHelper + R"(
    unshare(CLONE_NEWUSER)
    write(6, "w")
    futex(FUTEX_WAIT, 1) = EPERM
    getpid() = 42
    poll(9, POLLOUT, 300) = POLLOUT
    write(9, "{\"level\":\"fatal\", \"msg\": \"nsexec-0[42]: failed to wait for the helper's end: Operation not permitted\"}\n")
    exit(1)
  )";
  test::ExpectExit(test::RunInChild([&] { ADD_FAILURE() << Enter(WithHelper(), script, 9); }), 1,
                   "");
}

// Its files in /proc would be out of the helper's reach, or were never meant to be in it.
TEST(EnterNamespaces, CopiesTheHelperOfWhoIsNotRootOrNotDumpable) {
  for (const std::string caller : {"geteuid() = 1000", "geteuid() = 0\nprctl(PR_GET_DUMPABLE) = 0",
                                   "geteuid() = 0\nprctl(PR_GET_DUMPABLE) = 2"}) {
    EXPECT_EQ(Enter(WithHelper(), std::string(kOpenProc) + caller + kCopyHelper + R"(
      unshare(CLONE_NEWUSER)
      write(6, "w")
      read(6, 1) = "d"
    )" + kEnd),
              "pid 43");
  }
}

TEST(EnterNamespaces, IsNotDumpableEitherWhereNothingIsShared) {
  EXPECT_EQ(Enter(WithHelper(), std::string("memory is copied") + kOpenProc + R"(
    geteuid() = 0
    prctl(PR_GET_DUMPABLE) = 1
    prctl(PR_SET_DUMPABLE, 0)
  )" + kCopyHelper + R"(
    unshare(CLONE_NEWUSER)
    write(6, "w")
    read(6, 1) = "d"
    geteuid() = 65534
  )" + kEnd),
            "pid 43");
}

TEST(EnterNamespaces, OpensNoWindowForRoot) {
  Bootstrap bootstrap = WithHelper();
  JoinOne(bootstrap);
  EXPECT_EQ(Enter(bootstrap, std::string(kOpenProc) + "prctl(PR_SET_DUMPABLE, 0)" + kCopyHelper +
                                 kJoinOne + R"(
    geteuid() = 0
    unshare(CLONE_NEWUSER)
    write(6, "w")
    read(6, 1) = "d"
  )" + kEndAfterJoin),
            "pid 43");
}

TEST(EnterNamespaces, OpensAWindowForWhoIsNotRoot) {
  Bootstrap bootstrap = WithHelper();
  JoinOne(bootstrap);
  EXPECT_EQ(Enter(bootstrap, std::string(kOpenProc) + "prctl(PR_SET_DUMPABLE, 0)" + kCopyHelper +
                                 kJoinOne + R"(
    geteuid() = 1000
    unshare(CLONE_NEWUSER)
    prctl(PR_SET_DUMPABLE, 1)
    write(6, "w")
    read(6, 1) = "d"
    prctl(PR_SET_DUMPABLE, 0)
  )" + kEndAfterJoin),
            "pid 43");
}

/// What a script with one answer changed to EPERM, behind which there is nothing but `clean_up`,
/// says.
std::string EnterUpTo(const Bootstrap& bootstrap, const std::string& script,
                      const std::string& last, const std::string& clean_up) {
  const std::size_t at = script.rfind(last + "\n");
  if (at == std::string::npos) return "no " + last;
  return Enter(bootstrap, script.substr(0, at) + last + " = EPERM\n" + clean_up);
}

TEST(EnterNamespaces, EndsIfItCannotOpenOrCloseTheWindow) {
  Bootstrap bootstrap = WithHelper();
  JoinOne(bootstrap);
  const std::string script =
      std::string(kOpenProc) + "prctl(PR_SET_DUMPABLE, 0)" + kCopyHelper + kJoinOne + R"(
    geteuid() = 1000
    unshare(CLONE_NEWUSER)
    prctl(PR_SET_DUMPABLE, 1)
    write(6, "w")
    read(6, 1) = "d"
    prctl(PR_SET_DUMPABLE, 0)
  )";
  EXPECT_EQ(EnterUpTo(bootstrap, script, "prctl(PR_SET_DUMPABLE, 1)", "close(6)\nclose(3)"),
            "failed to become dumpable: Operation not permitted");
  EXPECT_EQ(EnterUpTo(bootstrap, script, "prctl(PR_SET_DUMPABLE, 0)", "close(6)\nclose(3)"),
            "failed to become non-dumpable: Operation not permitted");
}

// None of them may be passed over: what comes next would be done without it.
TEST(EnterNamespaces, EndsWithTheFirstStepThatFails) {
  Bootstrap bootstrap;
  bootstrap.clone_flags = CLONE_NEWTIME | CLONE_NEWNET;
  bootstrap.oom_score_adj = "500";
  bootstrap.time_offsets = "boottime 7 0\n";
  bootstrap.joins[0] = {{"user", CLONE_NEWUSER}, "/n/user"};
  bootstrap.join_count = 1;
  const std::string script = std::string(kOpenProc) + R"(
    openat(3, "oom_score_adj", O_WRONLY|O_CLOEXEC) = 4
    write(4, "500")
    close(4)
    openat(3, "timens_offsets", O_WRONLY|O_CLOEXEC) = 4
    prctl(PR_SET_DUMPABLE, 0)
    openat(AT_FDCWD, "/n/user", O_RDONLY|O_CLOEXEC|O_NONBLOCK|O_NOCTTY) = 7
    fstat(7) = [4, 44]
    fstatat(AT_FDCWD, "/proc/self/ns/user", 0) = [4, 40]
    setns(7, CLONE_NEWUSER)
    close(7)
    setresuid(0)
    prctl(PR_SET_DUMPABLE, 0)
    unshare(CLONE_NEWNET|CLONE_NEWTIME)
    write(4, "boottime 7 0\n")
    setresgid(0)
    prctl(PR_SET_DUMPABLE, 0)
)";
  const std::string first = script.substr(0, script.find("    openat(AT_FDCWD, \"/n"));
  const std::string second = script.substr(0, script.find("    unshare"));
  const std::string both = "close(4)\nclose(3)";
  const std::string refused = ": Operation not permitted";
  EXPECT_EQ(
      Enter(bootstrap, "openat(AT_FDCWD, \"/proc/self\", O_PATH|O_DIRECTORY|O_CLOEXEC) = EPERM"),
      "failed to open /proc/self" + refused);
  EXPECT_EQ(EnterUpTo(bootstrap, script, "write(4, \"500\")", both),
            "failed to write \"500\" to oom_score_adj" + refused);
  EXPECT_EQ(Enter(bootstrap, script.substr(0, script.find("    openat(3, \"timens")) +
                                 "openat(3, \"timens_offsets\", O_WRONLY|O_CLOEXEC) = EPERM\n" +
                                 "close(3)"),
            "failed to open timens_offsets" + refused);
  EXPECT_EQ(EnterUpTo(bootstrap, first, "prctl(PR_SET_DUMPABLE, 0)", both),
            "failed to become non-dumpable" + refused);
  EXPECT_EQ(EnterUpTo(bootstrap, script, "setresuid(0)", both), "failed to become uid 0" + refused);
  EXPECT_EQ(EnterUpTo(bootstrap, second, "prctl(PR_SET_DUMPABLE, 0)", both),
            "failed to become non-dumpable" + refused);
  EXPECT_EQ(EnterUpTo(bootstrap, script, "unshare(CLONE_NEWNET|CLONE_NEWTIME)", both),
            "failed to create namespaces: net time" + refused);
  EXPECT_EQ(EnterUpTo(bootstrap, script, "write(4, \"boottime 7 0\\n\")", both),
            "failed to write \"boottime 7 0\n\" to timens_offsets" + refused);
  EXPECT_EQ(EnterUpTo(bootstrap, script, "setresgid(0)", both), "failed to become gid 0" + refused);
  EXPECT_EQ(EnterUpTo(bootstrap, script, "prctl(PR_SET_DUMPABLE, 0)", both),
            "failed to become non-dumpable" + refused);
  EXPECT_EQ(Enter(bootstrap, script + "getppid() = 41\n" + both), "pid 41");
}

TEST(EnterNamespaces, HasANumberInTheLogOnceThereIsAHelper) {
  Bootstrap bootstrap = WithHelper();
  JoinOne(bootstrap);
  EXPECT_EQ(
      Enter(bootstrap, std::string(kOpenProc) + "prctl(PR_SET_DUMPABLE, 0)" + kCopyHelper + R"(
    openat(AT_FDCWD, "/n/net", O_RDONLY|O_CLOEXEC|O_NONBLOCK|O_NOCTTY) = 7
    setns(7, CLONE_NEWNET)
    getpid() = 42
    poll(9, POLLOUT, 0) = POLLOUT
    write(9, "{\"level\":\"debug\", \"msg\": \"nsexec-0[42]: joined net namespace /n/net\"}\n")
    close(7)
    geteuid() = 0
    unshare(CLONE_NEWUSER)
    write(6, "w")
    read(6, 1) = "f"
    close(6)
    close(3)
  )",
            9),
      "reported");
}

TEST(EnterNamespaces, EndsIfThereIsNoHelperToBeHad) {
  EXPECT_EQ(EnterUpTo(WithHelper(), std::string(kOpenProc) + "geteuid() = 1000\nsocketpair()\n",
                      "socketpair()", "close(3)"),
            "failed to create a socket for the helper: Operation not permitted");
}

TEST(EnterNamespaces, DoesNotCreateTheOthersIfTheMapsCouldNotBeWritten) {
  Bootstrap bootstrap = WithHelper();
  bootstrap.clone_flags |= CLONE_NEWNET;
  EXPECT_EQ(Enter(bootstrap, std::string(kOpenProc) + kShareHelper + R"(
    unshare(CLONE_NEWUSER)
    write(6, "w")
    futex(FUTEX_WAIT, 1) = "f"
    close(6)
    close(3)
  )"),
            "reported");
}

}  // namespace
}  // namespace nsenter
