// SPDX-License-Identifier: Apache-2.0

#include "namespaces.h"

#include "child.h"
#include "expect.h"
#include "fd.h"
#include "sys.h"

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace nsenter {
namespace {

constexpr NamespaceType kMnt = {"mnt", CLONE_NEWNS};
constexpr NamespaceType kNet = {"net", CLONE_NEWNET};
constexpr NamespaceType kUser = {"user", CLONE_NEWUSER};
constexpr NamespaceType kUts = {"uts", CLONE_NEWUTS};

void Tell(int socket) { EXPECT_EQ(send(socket, "x", 1, MSG_NOSIGNAL), 1); }

bool Hear(int socket) {
  char byte = 0;
  return read(socket, &byte, 1) == 1;
}

/// A process in namespaces of its own, while this lives.
class Fixture {
 public:
  /// `prepare` runs in it, after unshare(flags). In a new user namespace it is uid 0, which outside
  /// is 100000.
  explicit Fixture(int flags, const std::function<void()>& prepare = [] {}) {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL, 0L, 0L, 0L);
      close(ends[0]);
      const bool user = (flags & CLONE_NEWUSER) != 0;
      if (unshare(flags) != 0) _exit(1);
      Tell(ends[1]);
      Hear(ends[1]);
      if (user && (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)) _exit(1);
      prepare();
      Tell(ends[1]);
      for (;;) pause();
    }
    close(ends[1]);
    EXPECT_TRUE(Hear(ends[0])) << "the fixture has no namespaces";
    if ((flags & CLONE_NEWUSER) != 0) {
      for (const char* const map : {"uid_map", "gid_map"}) {
        std::ofstream(Path(map)) << "0 100000 65536\n";
      }
    }
    Tell(ends[0]);
    EXPECT_TRUE(Hear(ends[0])) << "the fixture could not be prepared";
    close(ends[0]);
  }
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;
  ~Fixture() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  [[nodiscard]] std::string Path(const std::string& name) const {
    return "/proc/" + std::to_string(pid_) + "/" + name;
  }
  /// Leads to the same file as "/proc/PID/ns/NAME", but not in the form in which all namespaces are
  /// joined at once.
  [[nodiscard]] std::string Detour(const std::string& name) const {
    return Path("task/" + std::to_string(pid_) + "/ns/" + name);
  }
  [[nodiscard]] ino_t Inode(const std::string& name) const {
    struct stat status = {};
    EXPECT_EQ(stat(Path("ns/" + name).c_str(), &status), 0);
    return status.st_ino;
  }

 private:
  pid_t pid_ = 0;
};

/// A folder of /proc/self that stays reachable in any mount namespace.
ino_t OwnInode(int namespaces, const char* name) {
  struct stat status = {};
  EXPECT_EQ(fstatat(namespaces, name, &status, 0), 0) << name;
  return status.st_ino;
}

std::string Join(std::initializer_list<NamespacePath> joins) {
  Bootstrap bootstrap;
  for (const NamespacePath& join : joins) bootstrap.joins[bootstrap.join_count++] = join;
  return test::Describe(JoinNamespaces(bootstrap, Log("")));
}

TEST(JoinNamespaces, JoinsAllOfAProcess) {
  NEEDS_ROOT();
  const Fixture fixture(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS);
  for (const bool at_once : {true, false}) {
    test::ExpectSilentSuccess(test::RunInChild([&] {
      const int own = open("/proc/self/ns", O_PATH | O_DIRECTORY | O_CLOEXEC);
      const auto path = [&](const char* name) {
        return at_once ? fixture.Path(std::string("ns/") + name) : fixture.Detour(name);
      };
      const std::string net = path("net");
      const std::string mnt = path("mnt");
      const std::string uts = path("uts");
      EXPECT_EQ(Join({{kMnt, mnt}, {kNet, net}, {kUts, uts}}), "success");
      for (const char* const name : {"net", "mnt", "uts"}) {
        EXPECT_EQ(OwnInode(own, name), fixture.Inode(name));
      }
    }));
  }
}

/// Joins a user and a mount namespace in which /proc is not ours, as in every container.
void ExpectUserAndMountJoined(const Fixture& fixture, bool at_once) {
  SCOPED_TRACE(at_once ? "at once" : "in passes");
  const ino_t user_inode = fixture.Inode("user");
  const ino_t mnt_inode = fixture.Inode("mnt");
  test::ExpectSilentSuccess(test::RunInChild([&] {
    const int own = open("/proc/self/ns", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const std::string user = at_once ? fixture.Path("ns/user") : fixture.Detour("user");
    const std::string mnt = at_once ? fixture.Path("ns/mnt") : fixture.Detour("mnt");
    EXPECT_EQ(Join({{kUser, user}, {kMnt, mnt}}), "success");
    EXPECT_EQ(OwnInode(own, "user"), user_inode);
    EXPECT_EQ(OwnInode(own, "mnt"), mnt_inode);
    EXPECT_EQ(getuid(), 0U);
  }));
}

TEST(JoinNamespaces, NeedsNoProcInTheMountNamespace) {
  NEEDS_ROOT();
  const Fixture fixture(CLONE_NEWUSER | CLONE_NEWNS,
                        [] { mount("none", "/proc", "tmpfs", 0, nullptr); });
  ExpectUserAndMountJoined(fixture, true);
  ExpectUserAndMountJoined(fixture, false);
}

TEST(JoinNamespaces, BelievesNothingThatTheMountNamespaceShows) {
  NEEDS_ROOT();
  // A container whose /proc/self/ns/user claims that its user namespace is everybody's own.
  const Fixture fixture(CLONE_NEWUSER | CLONE_NEWNS, [] {
    const std::string ns = "/proc/" + std::to_string(getpid()) + "/ns/user";
    const int user = open(ns.c_str(), O_RDONLY | O_CLOEXEC);
    const std::string link = "/proc/self/fd/" + std::to_string(user);
    mount("none", "/mnt", "tmpfs", 0, nullptr);
    mkdir("/mnt/self", 0755);
    mkdir("/mnt/self/ns", 0755);
    close(open("/mnt/self/ns/user", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    if (mount(link.c_str(), "/mnt/self/ns/user", "", MS_BIND, nullptr) != 0) _exit(1);
    if (mount("/mnt", "/proc", "", MS_BIND | MS_REC, nullptr) != 0) _exit(1);
  });
  ExpectUserAndMountJoined(fixture, true);
  ExpectUserAndMountJoined(fixture, false);
}

TEST(JoinNamespaces, SkipsTheOwnUserNamespaceOnly) {
  NEEDS_ROOT();
  const Fixture fixture(CLONE_NEWNET);
  test::ExpectSilentSuccess(test::RunInChild([&] {
    const int own = open("/proc/self/ns", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const ino_t user = OwnInode(own, "user");
    const std::string user_path = fixture.Path("ns/user");
    const std::string net_path = fixture.Path("ns/net");
    EXPECT_EQ(Join({{kUser, user_path}, {kNet, net_path}}), "success");
    EXPECT_EQ(OwnInode(own, "user"), user);
    EXPECT_EQ(OwnInode(own, "net"), fixture.Inode("net"));
  }));
}

TEST(JoinNamespaces, JoinsWhatBelongsToTheUserNamespaceFromInside) {
  NEEDS_ROOT();
  // Its owner may join the user namespace, and nothing else before he is in it.
  const Fixture fixture(CLONE_NEWUSER | CLONE_NEWNET);
  test::ExpectSilentSuccess(test::RunInChild([&] {
    const int own = open("/proc/self/ns", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const ino_t expected = fixture.Inode("net");
    const std::string user = fixture.Detour("user");
    const std::string net = fixture.Detour("net");
    EXPECT_EQ(Join({{kNet, net}, {kUser, user}}), "success");
    EXPECT_EQ(OwnInode(own, "net"), expected);
  }));
}

/// Kernels before 6.13 do not tell a 32-bit process if they are 64-bit ones themselves.
bool KernelTellsTypes() {
  const UniqueFd file(open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC));
  return sys::NamespaceType(file.get()) == CLONE_NEWUTS;
}

TEST(JoinNamespaces, SaysWhatIsWrongWithAPath) {
  NEEDS_ROOT();
  NEEDS(KernelTellsTypes(), "a kernel that tells this process types of namespaces");
  const test::TemporaryFolder folder;
  const std::string file = folder.WriteProgram("file", "");
  const std::string fifo = folder.path() + "/fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  test::ExpectSilentSuccess(test::RunInChild([&] {
    EXPECT_EQ(Join({{kNet, "/nothing"}}),
              "failed to open net namespace /nothing: No such file or directory");
    EXPECT_EQ(Join({{kNet, file}}),
              "failed to join net namespace " + file + ": it is no namespace");
    EXPECT_EQ(Join({{kNet, fifo}}),
              "failed to join net namespace " + fifo + ": it is no namespace");
    EXPECT_EQ(Join({{kNet, "/proc/self/ns/uts"}}),
              "failed to join net namespace /proc/self/ns/uts: it is a uts namespace");
  }));
}

TEST(JoinNamespaces, SaysWhatIsATimeNamespace) {
  NEEDS_ROOT();
  NEEDS(access("/proc/self/ns/time", F_OK) == 0, "a kernel with time namespaces");
  NEEDS(KernelTellsTypes(), "a kernel that tells this process types of namespaces");
  test::ExpectSilentSuccess(test::RunInChild([] {
    EXPECT_EQ(Join({{kNet, "/proc/self/ns/time"}}),
              "failed to join net namespace /proc/self/ns/time: it is a time namespace");
  }));
}

TEST(CreateNamespaces, CreatesThem) {
  NEEDS_ROOT();
  test::ExpectSilentSuccess(test::RunInChild([] {
    const int own = open("/proc/self/ns", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const ino_t net = OwnInode(own, "net");
    const ino_t uts = OwnInode(own, "uts");
    EXPECT_SUCCESS(CreateNamespaces(CLONE_NEWNET));
    EXPECT_NE(OwnInode(own, "net"), net);
    EXPECT_EQ(OwnInode(own, "uts"), uts);
  }));
}

TEST(CreateNamespaces, SaysWhatIsNotPermitted) {
  NEEDS_ROOT();
  test::ExpectSilentSuccess(test::RunInChild([] {
    ASSERT_EQ(setresuid(1000, 1000, 1000), 0);
    EXPECT_ERROR(CreateNamespaces(CLONE_NEWNET | CLONE_NEWUTS),
                 "failed to create namespaces: net uts: Operation not permitted");
    EXPECT_ERROR(BecomeUidZero(), "failed to become uid 0: Operation not permitted");
  }));
}

}  // namespace
}  // namespace nsenter
