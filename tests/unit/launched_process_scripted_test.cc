// SPDX-License-Identifier: Apache-2.0

#include "launched_process.h"

#include "child.h"
#include "expect.h"
#include "scripted_kernel.h"
#include "scripts.h"

#include <gtest/gtest.h>
#include <string>

namespace nsenter {
namespace {

using test::ScriptedKernel;

const std::string kOpenProc = test::OpensProc();

/// What EnterNamespaces says, "pid N" with the helper's, "pid 0" without one.
std::string Enter(const Bootstrap& bootstrap, const std::string& script, int log_fd = -1,
                  Kinship kinship = Kinship::kSibling) {
  const ScriptedKernel kernel(script);
  Log log("");
  if (log_fd >= 0) log.SendTo(log_fd);
  const Result<pid_t> helper = EnterNamespaces(bootstrap, kinship, log);
  return helper.ok() ? "pid " + std::to_string(helper.value()) : test::Describe(helper);
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
  )"),
            "pid 0");
}

TEST(EnterNamespaces, WritesTheOomScoreBeforeAnythingElse) {
  Bootstrap bootstrap;
  bootstrap.oom_score_adj = "-999";
  JoinOne(bootstrap);
  EXPECT_EQ(Enter(bootstrap, kOpenProc + R"(
    openat(3, "oom_score_adj", O_WRONLY|O_CLOEXEC) = 4
    write(4, "-999")
    close(4)
    prctl(PR_SET_DUMPABLE, 0)
  )" + kJoinOne + R"(
    setresuid(0)
    setresgid(0)
    prctl(PR_SET_DUMPABLE, 0)
    close(3)
  )"),
            "pid 0");
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
  )"),
            "pid 0");
}

TEST(EnterNamespaces, OpensTimeOffsetsFirstAndWritesThemLast) {
  Bootstrap bootstrap;
  bootstrap.clone_flags = CLONE_NEWTIME;
  bootstrap.time_offsets = "boottime 7 0\n";
  JoinOne(bootstrap);
  EXPECT_EQ(Enter(bootstrap, kOpenProc + R"(
    openat(3, "timens_offsets", O_WRONLY|O_CLOEXEC) = 4
    prctl(PR_SET_DUMPABLE, 0)
  )" + kJoinOne + R"(
    unshare(CLONE_NEWTIME)
    write(4, "boottime 7 0\n")
    setresuid(0)
    setresgid(0)
    prctl(PR_SET_DUMPABLE, 0)
    close(4)
    close(3)
  )"),
            "pid 0");
}

TEST(EnterNamespaces, IgnoresTimeOffsetsWithoutANewTimeNamespace) {
  Bootstrap bootstrap;
  bootstrap.time_offsets = "boottime 7 0\n";
  EXPECT_EQ(Enter(bootstrap, "setresuid(0)\nsetresgid(0)"), "pid 0");
}

TEST(EnterNamespaces, GivesUpGroupsUnlessRootless) {
  Bootstrap bootstrap;
  bootstrap.setgroups = true;
  EXPECT_EQ(Enter(bootstrap, "setresuid(0)\nsetresgid(0)\nsetgroups(0)"), "pid 0");
  bootstrap.rootless_euid = true;
  EXPECT_EQ(Enter(bootstrap, "setresuid(0)\nsetresgid(0)"), "pid 0");
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

std::string WritesSingleMap(const std::string& uid, const std::string& gid) {
  return "getpid() = 42" + test::Writes("setgroups", "deny") +
         test::Writes("uid_map", "0 " + uid + " 1\\n") +
         test::Writes("gid_map", "0 " + gid + " 1\\n");
}

TEST(EnterNamespaces, WritesASingleMapItself) {
  Bootstrap bootstrap;
  bootstrap.clone_flags = CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWPID;
  bootstrap.rootless_euid = true;
  bootstrap.uid_map = ParseIdMap("UIDMAP", "0 1000 1\n").value();
  bootstrap.gid_map = ParseIdMap("GIDMAP", "0 2000 1\n").value();
  EXPECT_EQ(Enter(bootstrap, kOpenProc + R"(
    geteuid() = 1000
    geteuid() = 1000
    getegid() = 2000
    unshare(CLONE_NEWUSER)
)" + WritesSingleMap("1000", "2000") +
                                 R"(
    setresuid(0)
    unshare(CLONE_NEWNET|CLONE_NEWPID)
    setresgid(0)
    close(3)
  )"),
            "pid 0");
}

// To write its map, root need not be dumpable.
TEST(EnterNamespaces, HidesRootThatWritesASingleMapItself) {
  Bootstrap bootstrap;
  bootstrap.clone_flags = CLONE_NEWUSER;
  bootstrap.rootless_euid = true;
  bootstrap.uid_map = ParseIdMap("UIDMAP", "0 0 1\n").value();
  bootstrap.gid_map = ParseIdMap("GIDMAP", "0 0 1\n").value();
  EXPECT_EQ(Enter(bootstrap, kOpenProc + R"(
    geteuid() = 0
    prctl(PR_GET_DUMPABLE) = 1
    prctl(PR_SET_DUMPABLE, 0)
    geteuid() = 0
    getegid() = 0
    unshare(CLONE_NEWUSER)
)" + WritesSingleMap("0", "0") + R"(
    geteuid() = 0
    setresuid(0)
    prctl(PR_SET_DUMPABLE, 1)
    setresgid(0)
    close(3)
  )"),
            "pid 0");
}

// With a helper: it is cloned before anything is joined, and only a caller that is not root opens a
// window.

constexpr const char* kMakesPipes = R"(
    pipe2(O_CLOEXEC) = [10, 11]
    pipe2(O_CLOEXEC) = [12, 13]
    getpid() = 42
    sigprocmask(all)
)";

constexpr const char* kHasHelper = R"(
    sigprocmask(before)
    close(13)
)";

const std::string kCopyHelper = kMakesPipes + test::ClonesCopy("43") + kHasHelper;

const std::string kClose = "close(12)\nclose(11)\nclose(10)\nclose(3)\n";

const std::string kEnd = "setresuid(0)\nsetresgid(0)\n" + kClose;

const std::string kEndAfterJoin =
    "setresuid(0)\nsetresgid(0)\nprctl(PR_SET_DUMPABLE, 0)\n" + kClose;

constexpr const char* kHidesRoot = R"(
    geteuid() = 0
    prctl(PR_GET_DUMPABLE) = 1
    prctl(PR_SET_DUMPABLE, 0)
)";

/// Up to where the helper, which shares memory, is asked for maps.
const std::string kShareHelper = kOpenProc + kHidesRoot + kMakesPipes + R"(
    uname()
    clone(CLONE_PARENT|CLONE_VM|SIGCHLD, NULL, function) = 43
)" + kHasHelper + "unshare(CLONE_NEWUSER)\n";

/// The same of one with a copy, which has written them.
constexpr const char* kCopyWritesMaps = R"(
    unshare(CLONE_NEWUSER)
    write(11, "w")
    read(12, 1) = "m"
)";

/// And of one that shares memory, whose end is waited for.
const std::string kShareWritesMaps = kShareHelper + R"(
    write(11, "w")
    read(12, 1) = "m"
    read(12, 1) = ""
)";

// Until the helper is gone, no other process may get at the memory that it shares. Until the
// process is another user, a process with root's uid but without its capabilities may get at
// nothing.
TEST(EnterNamespaces, IsNotDumpableUntilRootIsSomebodyElse) {
  EXPECT_EQ(Enter(test::WithMaps(), kShareWritesMaps + R"(
    geteuid() = 65534
  )" + kEnd),
            "pid 43");
  EXPECT_EQ(Enter(test::WithMaps(), kShareWritesMaps + R"(
    geteuid() = 0
    setresuid(0)
    prctl(PR_SET_DUMPABLE, 1)
    setresgid(0)
  )" + kClose),
            "pid 43");
  EXPECT_EQ(Enter(test::WithMaps(), kShareHelper + R"(
    write(11, "w")
    read(12, 1) = "f"
    read(12, 1) = ""
  )" + kClose),
            "reported");
  EXPECT_EQ(Enter(test::WithMaps(), kShareHelper + R"(
    write(11, "w") = EPIPE
    read(12, 1) = ""
    read(12, 1) = ""
  )" + kClose),
            "the helper ended before it had written the id maps");
  EXPECT_EQ(Enter(test::WithMaps(), kOpenProc + R"(
    geteuid() = 0
    prctl(PR_GET_DUMPABLE) = EPERM
    close(3)
  )"),
            "failed to find out whether we are dumpable: Operation not permitted");
  EXPECT_EQ(Enter(test::WithMaps(), kOpenProc + R"(
    geteuid() = 0
    prctl(PR_GET_DUMPABLE) = 1
    prctl(PR_SET_DUMPABLE, 0) = EPERM
    close(3)
  )"),
            "failed to become non-dumpable: Operation not permitted");
}

// Which nobody is told of: it is not hidden from others any more, and it is not who it is to be.
TEST(EnterNamespaces, EndsIfItCannotBeDumpableAgain) {
  EXPECT_EQ(Enter(test::WithMaps(), kShareWritesMaps + R"(
    geteuid() = 0
    setresuid(0)
    prctl(PR_SET_DUMPABLE, 1) = EPERM
  )" + kClose),
            "failed to become dumpable: Operation not permitted");
}

TEST(EnterNamespaces, SaysWhichProcessCannotWaitForTheHelpersEnd) {
  // The helper keeps the log, and not a copy of it.
  const std::string script = kShareHelper + R"(
    write(11, "w")
    read(12, 1) = "m"
    read(12, 1) = EPERM
    logs 9 fatal "-0[42]: failed to wait for the helper: Operation not permitted"
    exit(1)
  )";
  test::ExpectExit(test::RunInChild([&] { ADD_FAILURE() << Enter(test::WithMaps(), script, 9); }),
                   1, "");
}

TEST(EnterNamespaces, HasAChildForAHelperIfSoAsked) {
  std::string script = kShareWritesMaps + R"(
    waitpid(43) = 0
    geteuid() = 65534
  )" + kEnd;
  script.replace(script.find("CLONE_PARENT|"), std::string("CLONE_PARENT|").size(), "");
  EXPECT_EQ(Enter(test::WithMaps(), script, -1, Kinship::kChild), "pid 43");
}

// Its files in /proc would be out of the helper's reach, or were never meant to be in it.
TEST(EnterNamespaces, CopiesTheHelperOfWhoIsNotRootOrNotDumpable) {
  for (const std::string caller : {"geteuid() = 1000", "geteuid() = 0\nprctl(PR_GET_DUMPABLE) = 0",
                                   "geteuid() = 0\nprctl(PR_GET_DUMPABLE) = 2"}) {
    std::string script = kOpenProc;
    script.append(caller).append(kCopyHelper).append(kCopyWritesMaps).append(kEnd);
    EXPECT_EQ(Enter(test::WithMaps(), script), "pid 43");
  }
}

TEST(EnterNamespaces, IsNotDumpableEitherWhereNothingIsShared) {
  EXPECT_EQ(Enter(test::WithMaps(), std::string("memory is copied") + kOpenProc + kHidesRoot +
                                        kCopyHelper + kCopyWritesMaps + R"(
    geteuid() = 65534
  )" + kEnd),
            "pid 43");
}

TEST(EnterNamespaces, OpensNoWindowForRoot) {
  Bootstrap bootstrap = test::WithMaps();
  JoinOne(bootstrap);
  EXPECT_EQ(Enter(bootstrap, kOpenProc + "geteuid() = 0\nprctl(PR_SET_DUMPABLE, 0)" + kCopyHelper +
                                 kJoinOne + kCopyWritesMaps + kEndAfterJoin),
            "pid 43");
}

TEST(EnterNamespaces, OpensAWindowForWhoIsNotRoot) {
  Bootstrap bootstrap = test::WithMaps();
  JoinOne(bootstrap);
  EXPECT_EQ(Enter(bootstrap, kOpenProc + "geteuid() = 1000\nprctl(PR_SET_DUMPABLE, 0)" +
                                 kCopyHelper + kJoinOne + R"(
    unshare(CLONE_NEWUSER)
    prctl(PR_SET_DUMPABLE, 1)
    write(11, "w")
    read(12, 1) = "m"
    prctl(PR_SET_DUMPABLE, 0)
  )" + kEndAfterJoin),
            "pid 43");
}

/// The outcome of a script with one answer changed to EPERM, behind which only `clean_up` follows.
std::string EnterUpTo(const Bootstrap& bootstrap, const std::string& script,
                      const std::string& last, const std::string& clean_up) {
  const std::size_t at = script.rfind(last + "\n");
  if (at == std::string::npos) return "no " + last;
  return Enter(bootstrap, script.substr(0, at) + last + " = EPERM\n" + clean_up);
}

TEST(EnterNamespaces, EndsIfItCannotOpenOrCloseTheWindow) {
  Bootstrap bootstrap = test::WithMaps();
  JoinOne(bootstrap);
  const std::string script =
      kOpenProc + "geteuid() = 1000\nprctl(PR_SET_DUMPABLE, 0)" + kCopyHelper + kJoinOne + R"(
    unshare(CLONE_NEWUSER)
    prctl(PR_SET_DUMPABLE, 1)
    write(11, "w")
    read(12, 1) = "m"
    prctl(PR_SET_DUMPABLE, 0)
  )";
  EXPECT_EQ(EnterUpTo(bootstrap, script, "prctl(PR_SET_DUMPABLE, 1)", kClose),
            "failed to become dumpable: Operation not permitted");
  EXPECT_EQ(EnterUpTo(bootstrap, script, "prctl(PR_SET_DUMPABLE, 0)", kClose),
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
  const std::string script = kOpenProc + R"(
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
  EXPECT_EQ(Enter(bootstrap, script + both), "pid 0");
}

TEST(EnterNamespaces, HasANumberInTheLogOnceThereIsAHelper) {
  Bootstrap bootstrap = test::WithMaps();
  JoinOne(bootstrap);
  std::string copy_helper = kCopyHelper;
  copy_helper.insert(copy_helper.find("prctl"), R"(
    logs 9 debug "[42]: the helper has a copy of our memory: others could get at its privileges"
  )");
  EXPECT_EQ(
      Enter(bootstrap, kOpenProc + "geteuid() = 0\nprctl(PR_SET_DUMPABLE, 0)" + copy_helper + R"(
    openat(AT_FDCWD, "/n/net", O_RDONLY|O_CLOEXEC|O_NONBLOCK|O_NOCTTY) = 7
    setns(7, CLONE_NEWNET)
    logs 9 debug "-0[42]: joined net namespace /n/net"
    close(7)
    unshare(CLONE_NEWUSER)
    write(11, "w")
    read(12, 1) = "f"
  )" + kClose,
            9),
      "reported");
}

TEST(EnterNamespaces, EndsIfThereIsNoHelperToBeHad) {
  EXPECT_EQ(EnterUpTo(test::WithMaps(), kOpenProc + "geteuid() = 1000\npipe2(O_CLOEXEC)\n",
                      "pipe2(O_CLOEXEC)", "close(3)"),
            "failed to create a pipe from the launched process to the helper: Operation not "
            "permitted");
}

TEST(EnterNamespaces, DoesNotCreateTheOthersIfTheMapsCouldNotBeWritten) {
  Bootstrap bootstrap = test::WithMaps();
  bootstrap.clone_flags |= CLONE_NEWNET;
  EXPECT_EQ(Enter(bootstrap, kShareHelper + R"(
    write(11, "w")
    read(12, 1) = "f"
    read(12, 1) = ""
  )" + kClose),
            "reported");
}

}  // namespace
}  // namespace nsenter
